// What makes a node one of a cluster: the way to etcd, its place there, the log, and the mesh.
//
//   open():  etcd is asked whether it can be worked with, and what cluster this is; the store may be opened
//   join():  the mesh listens, the node gets its lease and its epoch, the mesh begins; others say what time
//            it is
//   open_log(): where the store stands. If the log does not reach back to there (errc::snapshot_needed):
//   fetch_state(), the store is opened anew, and open_log() again
//   log_was_read(): the time is agreed on
//   start(): the broker is there for what others send; what came before it was dropped
//   give_state(): the node is ready, so others may have a copy of its state
//   stop_log(), stop_mesh(), leave(): in this order; or nothing of it, when the lease is lost
//
// Owned by Daemon, used on the main thread, where nothing else is said. Lists of members come on the engine's
// thread, messages on the mesh's; the shards call deliver() and flush().
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "admin/control.h"
#include "base/metrics.h"
#include "base/result.h"
#include "broker/node.h"
#include "broker/peers.h"
#include "cluster/cluster_clock.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/etcd_log.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/membership.h"
#include "cluster/members.h"
#include "cluster/roster.h"
#include "cluster/time_agreement.h"
#include "config/settings.h"
#include "mesh/mesh.h"
#include "state_giver.h"
#include "store/state_store.h"

namespace courier::courierd {

class ClusterNode final : public cluster::MembershipListener, public mesh::Handler, public broker::Peers {
 public:
  // Errors: settings that cannot work (cluster::etcd::errc::bad_options), and what etcd answered.
  // `clock` is that by which the broker writes and reads deadlines. It outlives the node, and is right from
  // log_was_read() on.
  static Result<std::unique_ptr<ClusterNode>> open(const config::Settings& settings,
                                                   cluster::ClusterClock& clock, Registry& registry);
  ~ClusterNode() override;

  // Which log this is: whose state the store has to hold.
  const std::string& log_id() const { return meta_.id; }
  // Waits for the time, for as long as `go_on` says so. cluster::errc::cut: nobody told it.
  Result<void> join(const config::Settings& settings, size_t shards, const std::function<bool()>& go_on);
  Result<void> open_log(const config::Settings& settings, const store::StateStore& state);
  // Waits, with a store that is open, and may be closed only afterwards. state_fetch.h has the errors.
  Result<void> fetch_state(const config::Settings& settings, std::function<bool()> go_on);
  // Before anything is done by the time. `newest`: the newest clock in the log.
  void log_was_read(WallMs newest);
  void start(broker::Node& node) { node_ = &node; }
  void give_state(store::StateStore& state, const std::string& data_dir) { giver_.open(state, data_dir); }

  store::OrderedLog& log() { return *log_; }
  const cluster::Roster& roster() const { return *roster_; }

  // Whether others are to have this node's partitions; they hear of it when etcd does. After join().
  void set_draining(bool draining);
  // Where the other active nodes say that clients reach them. Any thread, after join().
  std::vector<std::string> others_for_clients() const;

  // All but who owns what, which is the log's. Any thread, after join().
  admin::ClusterFacts facts() const;

  // Why this run is over, or nothing: then the node may appear to work, and must stop.
  std::optional<std::string> lost() const;
  // To be called often, while the node serves: notices that it has lost its place without being told.
  void listen_for_etcd(MonoNs now);

  // What is not there yet need not be stopped.
  void stop_log();
  void stop_mesh();
  void leave();

  // --- cluster::MembershipListener ---
  void on_members(const std::vector<cluster::Member>& members, uint64_t revision) override;
  void on_lost(const std::string& reason) override;
  // --- mesh::Handler ---
  void on_deliver(NodeEpoch from, std::span<mesh::Deliver> messages) override;
  void on_request(NodeEpoch from, uint16_t kind, std::string_view body, mesh::Reply reply) override;
  void on_link(NodeEpoch peer, bool up) override;
  // --- broker::Peers ---
  void deliver(uint32_t shard, NodeEpoch node, Position after, const mqtt::MessagePtr& message,
               std::vector<record::Delivery::To> to) override;
  void flush(uint32_t shard) override;

 private:
  ClusterNode(cluster::ClusterClock& clock, Registry& registry) : clock_(clock), registry_(registry) {}
  void tell_members();
  Result<void> agree_on_time(int64_t patience_ms, const std::function<bool()>& go_on);
  struct TimeRound {
    cluster::TimeVerdict verdict;
    bool under_way = false;  // somebody in front will have the time, or end
    std::string silent;      // who did not answer, and where that was tried
  };
  Result<TimeRound> ask_all_for_time(bool stepped_back, const std::function<bool()>& go_on);
  std::optional<cluster::TimeAnswer> ask_for_time(NodeEpoch of);
  std::string name_of(NodeEpoch epoch) const;

  cluster::ClusterClock& clock_;
  Registry& registry_;
  std::atomic<cluster::TimeAnswer::Kind> time_{cluster::TimeAnswer::Kind::asks};  // what is said of it
  std::string name_, node_name_;
  std::optional<cluster::etcd::Keys> keys_;
  cluster::etcd::Meta meta_;
  std::unique_ptr<cluster::etcd::Client> client_;
  std::unique_ptr<mesh::Mesh> mesh_;
  std::unique_ptr<cluster::etcd::Membership> membership_;
  std::unique_ptr<cluster::Roster> roster_;  // once the mesh runs; guarded by mutex_ until join() returns
  std::unique_ptr<cluster::etcd::EtcdLog> log_;
  std::atomic<broker::Node*> node_{nullptr};  // from start() on
  StateGiver giver_;

  std::mutex telling_;  // held while members are told to others, so that they hear it in order; taken first
  mutable std::mutex mutex_;
  std::vector<cluster::Member> members_;  // guarded by mutex_, like all below
  uint64_t members_revision_ = 0;
  std::optional<std::string> lost_;

  MonoNs deaf_since_ = 0;  // main thread; 0: etcd answers
};

}  // namespace courier::courierd
