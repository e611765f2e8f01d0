// What the shards of a node share besides the subscription index: small, thread-safe, rarely written.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "admission/bans.h"
#include "admission/flapping.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "broker/backlog.h"
#include "broker/limits.h"
#include "events/interest.h"
#include "events/outbox.h"
#include "routing/group_id.h"
#include "store/state_store.h"

namespace courier::broker {

// Whose inbox is at its limit, for the policy `refuse`. Empty nearly always, and then one relaxed load.
template <typename Id>
class FullInboxes {
 public:
  void set(Id owner, bool full) {
    const std::lock_guard lock(mutex_);
    if (full) {
      owners_.insert(owner);
    } else {
      owners_.erase(owner);
    }
    count_.store(owners_.size(), std::memory_order_relaxed);
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    owners_.clear();
    count_.store(0, std::memory_order_relaxed);
  }
  bool any() const { return count_.load(std::memory_order_relaxed) != 0; }
  bool contains(Id owner) const {
    const std::lock_guard lock(mutex_);
    return owners_.contains(owner);
  }

 private:
  std::atomic<size_t> count_{0};
  mutable std::mutex mutex_;
  std::unordered_set<Id> owners_;  // guarded by mutex_
};

// What a checkpoint gathers: each shard and the feed thread give their part.
class CheckpointParts {
 public:
  struct Part {
    store::StateBatch rows;
    std::vector<SessionId> ended;  // their inbox rows are to be erased, shared messages let go
  };
  virtual ~CheckpointParts() = default;
  virtual void add(uint64_t checkpoint, Part part) = 0;
};

// Whether clients are let go and no new ones taken, and where else they may go: told to those of 5.0, one
// server after another. Any thread.
class Draining {
 public:
  // `servers`: as the Server Reference names them, section 4.11; may be empty.
  void begin(std::vector<std::string> servers) {
    const std::lock_guard lock(mutex_);
    servers_ = std::move(servers);
    knows_servers_ = !servers_.empty();
    on_ = true;
  }
  void end() { on_ = false; }
  bool on() const { return on_.load(std::memory_order_relaxed); }
  bool knows_servers() const { return knows_servers_; }
  // "" if there is none.
  std::string next_server() {
    const std::lock_guard lock(mutex_);
    return servers_.empty() ? "" : servers_[next_++ % servers_.size()];
  }

 private:
  std::atomic<bool> on_{false}, knows_servers_{false};
  std::mutex mutex_;
  std::vector<std::string> servers_;  // guarded by mutex_
  size_t next_ = 0;                   // likewise
};

class Shared {
 public:
  Shared(Registry& registry, const Limits& limits, size_t shards)
      : metrics(registry), backlog(shards, limits.uncommitted_bytes_max) {}
  Registry& metrics;
  Backlog backlog;
  FullInboxes<SessionId> full_inboxes;
  FullInboxes<routing::GroupId> full_groups;
  CheckpointParts* checkpoint_parts = nullptr;  // set before the shards run
  admission::Bans* bans = nullptr;              // as well; null: nobody is banned
  admission::Flapping* flapping = nullptr;      // as well; null: nobody is counted
  const Clock* machine_clock = nullptr;         // as well; never null then
  // The latest burst of committed batches whose FeedMail every shard has. One shard may already work on its
  // own while another's is still being posted: what skips the log must not overtake it.
  std::atomic<uint64_t> bursts_posted{0};
  std::atomic<uint64_t> next_connection{1};
  std::atomic<int64_t> memory_bytes{0};  // as last measured; see Node::housekeeping()
  Draining draining;
  // Which events are written; somebody may want others at any time. Where nobody wants any, there need be no
  // outbox.
  events::Interest interest;
  events::Outbox* outbox = nullptr;  // set before the shards run
  std::string node;                  // likewise; its name in a cluster, else ""
};

}  // namespace courier::broker
