// The etcd of a simulated cluster: who is a member, and the one ordered log. What it does is what etcd's
// transactions do, and what src/cluster/etcd makes of them: a batch is taken only while its node's lease is
// there, everybody sees the same order, and a reply that is lost changes nothing.
//
// One thread. The simulator says when a batch is committed, who hears of it when, and whose lease ends.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "broker/cluster.h"
#include "store/memory/memory_disk.h"
#include "store/ordered_log.h"

namespace courier::sim {

class SimEtcd {
 public:
  explicit SimEtcd(record::Partitioning partitioning) : partitioning_(partitioning) {}

  record::Partitioning partitioning() const { return partitioning_; }
  // A new run of some node.
  NodeEpoch join();
  // Its lease is gone: whatever it appends from now on is refused.
  void expire(NodeEpoch node) { members_.erase(node); }
  bool alive(NodeEpoch node) const { return members_.contains(node); }
  const std::set<NodeEpoch>& members() const { return members_; }
  NodeEpoch last_epoch() const { return last_; }

  struct Entry {
    Position first;
    size_t record_count = 0;
    WallMs clock = 0;
    NodeEpoch node;
    uint32_t origin = 0;
    uint64_t ticket = 0;
    std::string bytes;  // as record::encode_batch() has them
  };
  // False: the node is not a member any more.
  bool append(NodeEpoch node, WallMs clock, const store::Batch& batch);
  const std::deque<Entry>& log() const { return log_; }
  Position end() const { return Position(next_.value - 1); }  // of the last record

 private:
  const record::Partitioning partitioning_;
  std::set<NodeEpoch> members_;
  NodeEpoch last_;
  std::deque<Entry> log_;
  Position next_{1};
};

// What one node knows of the members: as of when it last looked.
class SimMembers final : public broker::Cluster {
 public:
  SimMembers(const SimEtcd& etcd, NodeEpoch epoch) : etcd_(etcd), epoch_(epoch) { look(); }

  void look() {
    members_ = etcd_.members();
    known_until_ = etcd_.last_epoch();
  }
  NodeEpoch epoch() const override { return epoch_; }
  record::Partitioning partitioning() const override { return etcd_.partitioning(); }
  size_t size() const override { return members_.size(); }
  bool should_own(uint16_t partition) const override;
  bool gone(NodeEpoch node) const override { return node <= known_until_ && !members_.contains(node); }

 private:
  const SimEtcd& etcd_;
  const NodeEpoch epoch_;
  std::set<NodeEpoch> members_;
  NodeEpoch known_until_;
};

// One node's end of the log.
class SimLog final : public store::OrderedLog {
 public:
  SimLog(SimEtcd& etcd, NodeEpoch epoch, const Clock& clock) : etcd_(etcd), epoch_(epoch), clock_(clock) {}

  Result<void> replay(Position after,
                      const std::function<Result<void>(store::CommittedBatch&&)>& fold) override;
  void start(store::LogReader& reader) override { reader_ = &reader; }
  void stop() override { reader_ = nullptr; }
  void append(store::Batch batch) override { waiting_.push_back(std::move(batch)); }
  void post(std::function<void()> task) override { posted_.push_back(std::move(task)); }
  store::LogState state() const override { return state_; }
  uint64_t tail_bytes() const override { return 0; }

  // Commits the oldest `count` batches that wait. They come back by feed().
  void commit(size_t count);
  // Runs what was posted and gives the reader up to `count` batches, anybody's, that it has not seen.
  // Returns how many.
  size_t feed(size_t count);
  size_t waiting() const { return waiting_.size(); }
  // Its way to etcd is slow: nothing is committed until that is over.
  void hold(bool held) { held_ = held; }
  bool commits() const { return !waiting_.empty() && state_.accepting && !dead_ && !held_; }
  bool behind() const { return seen_ < etcd_.log().size(); }
  // It was told that it is not a member any more: nothing that it appends is ever safe.
  bool dead() const { return dead_; }

  void stall(std::string reason);
  void unstall();

 private:
  store::CommittedBatch batch_at(size_t index, Position from) const;
  void tell(store::LogState state);

  SimEtcd& etcd_;
  const NodeEpoch epoch_;
  const Clock& clock_;
  store::LogReader* reader_ = nullptr;
  std::deque<store::Batch> waiting_;
  std::deque<std::function<void()>> posted_;
  store::LogState state_;
  size_t seen_ = 0;  // entries of the log
  bool dead_ = false, held_ = false;
};

}  // namespace courier::sim
