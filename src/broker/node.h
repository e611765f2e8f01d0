// One broker: its shards, the directory, and the ordered log between them.
//
//   shard threads --append--> OrderedLog --on_committed (feed thread)--> Directory --FeedMail--> shard
//   threads
//
// It cannot tell which driver the log is, nor whether sockets or a simulator are around it.
//
// Threads: constructor, start() and stop() on one thread; housekeeping() and checkpoint() on any; what is
// said to run on the feed thread, there.
//
// Invariants
// 1. A checkpoint is of one position: every shard and the directory write what they are after folding exactly
// the
//    records up to it, because each gets the barrier in the same place of its feed.
// 2. One checkpoint at a time; one that cannot be written is tried again until it is, never forgotten.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "admission/bans.h"
#include "admission/flapping.h"
#include "base/metrics.h"
#include "broker/cluster.h"
#include "broker/cluster_figures.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "events/compose.h"
#include "events/outbox.h"
#include "quota/rules.h"
#include "record/directory.h"

namespace courier::broker {

struct NodeOptions {
  uint32_t shard_count = 1;
  uint64_t seed = 0;  // of hashes and of assigned client ids
  int64_t checkpoint_interval_ms = 500;
  uint64_t log_bytes_max = 64 * 1024 * 1024;  // tail that a restart may have to read
  int64_t sys_interval_ms = 10'000;           // of $SYS; 0: none
  std::string version = "0", name;            // in $SYS; the name of a cluster's node
  // Null: nobody is banned; nobody is counted. Else they outlive the node.
  admission::Bans* bans = nullptr;
  admission::Flapping* flapping = nullptr;
  // Null: a node alone. Else it outlives the node, and the log and the state are the cluster's.
  const Cluster* cluster = nullptr;
  Peers* peers = nullptr;  // likewise
  // What is held against it comes from outside: the ends of tokens, bans. Outlives the node; null: the
  // node's.
  const Clock* machine_clock = nullptr;
  // Null: nobody is told of events. Outlives the node.
  events::Outbox* outbox = nullptr;
  // Told when the log was read, and before anything is done by the time: the newest clock in it, 0 if none.
  std::function<void(WallMs)> on_replayed;
};

// A QoS 0 message that another node sent for sessions that are connected here.
struct FromPeer {
  mqtt::MessagePtr message;
  Position after;  // to be delivered once what stands in the log up to here was folded
  std::vector<record::Delivery::To> to;
};

struct StartReport {
  size_t sessions = 0, subscriptions = 0, retained = 0, groups = 0;
  uint64_t replayed_records = 0;
};

class Node final : public store::LogReader, private CheckpointParts {
 public:
  Node(NodeOptions options, const Limits& limits, store::OrderedLog& log, store::StateStore& store,
       const Clock& clock, Post& post, auth::Authenticator& authenticator, auth::acl::Rules& rules,
       Registry& metrics, auth::Hooks* hooks = nullptr);
  ~Node() override;

  // Reads the state, replays the log's tail, starts the log and tells it that the previous run is over.
  // From then on Post is used; connections may come once ready().
  Result<StartReport> start();
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // The log's: whether new promises can be made. Any thread.
  store::LogState log_state() const { return log_.state(); }

  Shard& shard(uint32_t index) { return *shards_[index]; }
  uint32_t shard_count() const { return options_.shard_count; }
  // The limits in force. Others may be put there at any time; housekeeping() sees to those who are connected.
  quota::Rules& quota() { return quota_; }
  // Other hooks are to be asked, about whoever is connected too. Any thread.
  void hooks_changed();
  // No new connections from now on; those of 5.0 are told of these servers in turn. Shard::drain() lets go of
  // who is there.
  void drain(std::vector<std::string> servers = {}) { shared_.draining.begin(std::move(servers)); }
  void undrain() { shared_.draining.end(); }
  bool draining() const { return shared_.draining.on(); }

  // About ten times a second: checkpoints, $SYS, expiry of retained messages, limits of shared groups.
  void housekeeping();
  // Begins a checkpoint unless one runs or nothing changed.
  void checkpoint();
  bool checkpoint_running() const { return checkpoint_running_.load(); }
  // Its last attempt failed; housekeeping() tries again.
  bool checkpoint_failed() const { return checkpoint_failed_.load(); }
  // Memory in use, as the caller measures it; for Limits::memory_bytes_max.
  void set_memory(int64_t bytes) { shared_.memory_bytes = bytes; }

  // Other limits, for what comes from now on. After start(), from one thread.
  void use(const Limits& limits);

  // In the order in which one shard of that node sent them. Any one thread. What waits for the log is
  // bounded.
  void from_peer(std::span<FromPeer> messages);

  NodeEpoch epoch() const { return epoch_; }
  // To the log, at once; housekeeping() does it now and then. Any thread.
  void say_what_was_told();
  // Which events are written from now on. Any thread.
  events::Interest& interest() { return shared_.interest; }

  // Runs on the feed thread, in the log's order; the directory may be read there.
  void run_on_feed(std::function<void(const record::Directory&)> task);

  // LogReader, on the feed thread.
  void on_committed(std::span<store::CommittedBatch> batches) override;
  void on_state(const store::LogState& state) override;

 private:
  struct Job {
    uint64_t id = 0;
    Position position;
    uint64_t cursor = 0;
    WallMs clock = 0;
    size_t parts_missing = 0;
    std::vector<store::StateBatch> parts;
    std::vector<SessionId> ended;
  };

  Result<StartReport> restore();
  // The record of that index, which came back. Returns how many sessions and groups a PUBLISH reached.
  size_t fold(store::CommittedBatch& batch, size_t index);
  void take_event(const record::Event& event, WallMs clock);
  void say_what_was_told(MonoNs now);  // feed thread
  // Until one is refused.
  Result<void> for_rows(
      store::Table table,
      const std::function<Result<void>(std::string_view key, std::string_view value)>& row) const;
  Result<void> restore_groups(StartReport& report);
  Result<uint64_t> replay(WallMs& last_clock);
  void post_items(std::vector<std::vector<FeedMail::Back>> back);
  void post_from_peer(FromPeer message);
  void post_ripe();                                   // feed thread
  void begin_checkpoint();                            // feed thread
  void add(uint64_t checkpoint, Part part) override;  // CheckpointParts
  void write_checkpoint();                            // worker
  Result<void> let_go(SessionId ended, store::StateBatch& into) const;
  uint64_t append_alone(std::vector<record::Record> records);
  void expire_retained();  // feed thread
  void bury_the_gone();    // feed thread; of a cluster, as the next
  void claim_partitions();
  void publish_sys();  // feed thread
  // --- group_limits.cc; feed thread ---
  void limit_groups();
  void limit_group(const routing::SharedGroup& group, std::vector<record::Record>& records);
  template <typename Record>
  void give_up(const routing::SharedGroup& group, Record&& given_up, std::string_view reason,
               std::vector<record::Record>& records);
  void expire_in_group(const routing::SharedGroup& group, std::vector<record::Record>& records);

  bool alone() const { return !options_.cluster; }

  const NodeOptions options_;
  const NodeEpoch epoch_;  // 0: a node alone
  Limits limits_;          // the feed thread's, after start()
  store::OrderedLog& log_;
  store::StateStore& store_;
  const Clock& clock_;
  Post& post_;
  auth::acl::Rules& rules_;
  uint32_t rules_told_;  // their generation that shards know of
  Registry& metrics_;
  std::optional<ClusterFigures> figures_;  // of a cluster; feed thread
  quota::Rules quota_;
  uint32_t quota_told_ = quota_.generation();  // likewise
  Shared shared_;
  record::Directory directory_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<bool> ready_{false};
  const MonoNs started_at_;

  // Feed thread.
  record::FeedItems items_;
  events::Subject subject_;     // of the events that come next
  bool subject_holds_ = false;  // whether it did
  MonoNs tell_again_at_ = 0;    // say_what_was_told()
  Position folded_;
  uint64_t cursor_ = 0;      // of the batch that ends at folded_
  WallMs folded_clock_ = 0;  // likewise
  Position checkpointed_;
  MonoNs checkpoint_began_ = started_at_;
  uint64_t next_checkpoint_ = 1;
  // What was decided shows only when it is back: deciding it again and again meanwhile would fill the memory
  // while the log stalls, and count it twice.
  uint64_t alone_appended_ = 0, alone_back_ = 0;        // tickets of append_alone()
  uint64_t retained_decided_ = 0, groups_decided_ = 0;  // the latest of expire_retained(), limit_groups()
  uint64_t members_decided_ = 0;                        // of bury_the_gone(), claim_partitions()
  std::set<record::GroupId> crowded_;                   // past their limits when last looked at
  bool group_expiry_due_ = false;
  uint64_t burst_ = 0;  // number of the latest post_items()
  // What peers sent and the log is not ready for.
  std::mutex unripe_mutex_;
  std::deque<FromPeer> unripe_;  // guarded by unripe_mutex_, like the next
  size_t unripe_bytes_ = 0;
  Position posted_;  // all up to here was posted to the shards; guarded likewise
  ByLabel<Counter> unripe_drops_;
  ByLabel<Counter> group_ended_drops_, group_full_drops_, group_expired_drops_;
  Histogram& batch_records_;
  Gauge& log_accepting_;
  Gauge& log_position_;

  std::atomic<bool> checkpoint_running_{false};
  std::atomic<bool> checkpoint_failed_{false};  // to be tried again
  std::mutex job_mutex_;
  Job job_;  // guarded by job_mutex_ until all parts are there, then the worker's
  std::atomic<int64_t> sys_at_{0};
};

}  // namespace courier::broker
