// What is on its way to each shard in mail that brings messages, in bytes: posted by the feed thread, or by a
// publisher's shard when the log is skipped, and not yet worked off.
//
// A shard that lags behind stops nobody from acknowledging, so what others publish would pile up in its
// mailbox. While any shard's backlog is too long, no shard reads a PUBLISH (Shard::hold_back()); what a
// shard does about its own mail never waits for that, so every backlog ends. Who waits is woken, once.
//
// Any thread. Invariants
// 1. A backlog is too long from the moment it is beyond `bytes_max` until it is down to half of that.
// 2. Whoever wait() takes is named by exactly one later worked_off().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "broker/mail.h"
#include "record/directory.h"

namespace courier::broker {

class Backlog {
 public:
  Backlog(size_t shards, uint64_t bytes_max) : bytes_max_(bytes_max), of_(shards), waits_(shards, false) {}

  void posted(uint32_t shard, uint64_t bytes);
  // Returns the shards to be woken: this was the last backlog that was too long.
  std::vector<uint32_t> worked_off(uint32_t shard, uint64_t bytes);

  bool too_long() const { return too_long_.load(std::memory_order_relaxed) != 0; }
  // False: none is too long any more, nobody need wait.
  bool wait(uint32_t shard);

 private:
  struct alignas(64) OfShard {  // apart: two threads write it all the time
    std::atomic<uint64_t> bytes{0};
    std::atomic<bool> too_long{false};  // changed under mutex_
  };
  const uint64_t bytes_max_;
  std::vector<OfShard> of_;
  std::atomic<uint32_t> too_long_{0};  // how many are; changed under mutex_
  std::mutex mutex_;
  std::vector<bool> waits_;  // guarded by mutex_
};

// Posts it to a shard and counts it; `from_peer` as in DirectMail.
void post_direct(Post& post, Backlog& backlog, uint32_t shard, record::Delivery&& delivery,
                 bool from_peer = false);

// What these cost while they wait.
uint64_t cost(const record::Delivery& delivery);
uint64_t cost(const std::vector<record::FeedItem>& items);

}  // namespace courier::broker
