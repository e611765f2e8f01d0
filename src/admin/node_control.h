// The REST side's port over a real node: asks the shards by TaskMail on their own threads, the directory on
// the feed thread, and merges what they say.
//
// The node and the post outlive it. What it has asked of them may still run when it is gone, so those tasks
// hold what they need.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "admin/control.h"
#include "admission/bans.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "broker/node.h"
#include "store/ordered_log.h"
#include "store/state_store.h"

namespace courier::admin {

class NodeControl final : public Control {
 public:
  struct Parts {
    broker::Node& node;
    broker::Post& post;
    store::OrderedLog& log;
    store::StateStore& state;
    const Clock& clock;
    const Registry& registry;
    std::string version;
    admission::Bans* bans = nullptr;  // null: there are none, and none can be made
    // What only those know who put the node together. Called on the server's thread.
    std::function<std::vector<ListenerFacts>()> listeners;
    // Null: it has no events, as in some tests.
    events::Outbox* outbox = nullptr;
    std::function<std::vector<SinkFacts>()> sinks;
    std::function<void(const std::string&, events::Kind, std::function<void(Result<SinkTrial>)>)> test_sink;
    std::function<Result<uint64_t>(const std::string&)> replay_sink;
    // All but who owns what; that is the log's. None: a node alone.
    std::function<ClusterFacts()> cluster;
    std::function<void(std::function<void(Result<ReloadFacts>)>)> reload;
    std::function<void(std::optional<DrainOrder>, std::function<void(DrainFacts)>)> drain;
  };
  explicit NodeControl(Parts parts);
  // Waits for a backup that runs.
  ~NodeControl() override;

  Health health() const override;
  void list_clients(ClientQuery query, std::function<void(ClientPage)> done) override;
  void show_client(ClientName name, std::function<void(Result<ClientDetail>)> done) override;
  void kick_client(ClientName name, std::function<void(Result<void>)> done) override;
  void explain_access(ClientName name, auth::acl::Action action, std::string topic,
                      std::function<void(Result<Why>)> done) override;
  void begin_trace(const ClientName& name, std::shared_ptr<TraceSink> sink) override;
  void end_trace(const ClientName& name, const TraceSink& sink) override;
  BanPage list_bans(admission::BanId after, size_t limit) const override;
  void add_ban(admission::BanTarget target, std::string reason, std::string made_by, WallMs until,
               std::function<void(Result<admission::Ban>)> done) override;
  void remove_ban(admission::BanId id, std::function<void(Result<admission::Ban>)> done) override;
  void describe_node(std::function<void(NodeFacts)> done) override;
  void describe_cluster(std::function<void(Result<ClusterFacts>)> done) override;
  std::vector<ListenerFacts> listeners() const override { return parts_.listeners(); }
  std::vector<SinkFacts> sinks() const override { return parts_.sinks(); }
  void test_sink(const std::string& name, events::Kind kind,
                 std::function<void(Result<SinkTrial>)> done) override {
    parts_.test_sink(name, kind, std::move(done));
  }
  Result<uint64_t> replay_sink(const std::string& name) override { return parts_.replay_sink(name); }
  uint64_t begin_events(events::Kinds kinds, std::function<void(const events::EventPtr&)> each) override;
  void end_events(uint64_t number) override;
  void reload_config(std::function<void(Result<ReloadFacts>)> done) override {
    parts_.reload(std::move(done));
  }
  void drain(std::optional<DrainOrder> order, std::function<void(DrainFacts)> done) override {
    parts_.drain(std::move(order), std::move(done));
  }
  void backup(std::string path, std::function<void(Result<BackupFacts>)> done) override;

 private:
  void save_bans(admission::Ban ban, std::function<void(Result<admission::Ban>)> done);
  class TraceHub;
  void watch_all();

  // Of the shard that has this client.
  uint32_t shard_of(const ClientName& name) const;
  void on_shard(const ClientName& name, std::function<void(broker::Shard&)> task);

  const Parts parts_;
  const MonoNs started_at_;
  // A shard knows one tracer a client; several API clients may watch the same.
  std::map<ClientName, std::shared_ptr<TraceHub>> hubs_;
  std::map<uint64_t, events::Kinds> watched_;  // by number of begin_events()
  std::atomic<bool> backup_running_{false};
  WorkerPool worker_{"courier-backup", 1, 1};
};

}  // namespace courier::admin
