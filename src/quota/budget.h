// What one sharer of a rule has used: connections by count, rates by token buckets. And the budgets of all
// that share by identity or by listener.
//
// Thread-safe. A Budget is used by the shards of all connections that share it, an atomic operation each.
// Budgets::of() takes a lock for a lookup, once a CONNECT; which one depends on the key, so that a million
// identities neither wait for one lock nor for one table that grows.
//
// 1. A budget is kept while anybody holds it, and after that until it is as good as new: who comes back finds
//    the debts that he left. tidy() forgets the others.
// 2. No more than kLeftBehindMax are kept that nobody holds.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/token_bucket.h"
#include "quota/limits.h"
#include "quota/rule.h"

namespace courier::quota {

// A rate that delays.
class Meter {
 public:
  explicit Meter(const Rate& rate)
      : bucket_(static_cast<double>(rate.per_second),
                static_cast<double>(rate.burst != 0 ? rate.burst : rate.per_second)),
        pause_min_(std::min(kPauseMin, bucket_.depth_ns() / 2)) {}

  // The debt that taking would leave, in time.
  MonoNs debt_after(uint64_t tokens, MonoNs now) const { return bucket_.wait_for(tokens, now); }
  // Takes. For how long to take no more; 0: go on. What comes late is made up for by the burst.
  MonoNs take(uint64_t tokens, MonoNs now) {
    const MonoNs debt = bucket_.take(tokens, now);
    return debt == 0 ? 0 : std::max(debt, pause_min_);
  }
  bool full(MonoNs now) const { return bucket_.full(now); }

 private:
  TokenBucket bucket_;
  const MonoNs pause_min_;
};

struct Budget {
  explicit Budget(const Rule& rule);

  // One more connection, if there is room.
  bool enter(uint32_t max);
  void enter() { connections.fetch_add(1, std::memory_order_relaxed); }
  void leave() { connections.fetch_sub(1, std::memory_order_relaxed); }
  // As good as a new one.
  bool full(MonoNs now) const;

  std::atomic<uint32_t> connections{0};
  std::optional<Meter> connects, messages, bytes;  // those that the rule has
};

class Budgets {
 public:
  explicit Budgets(const Rule& rule);

  // Null when the rule shares nothing. `rule` is the one that this was made of.
  std::shared_ptr<Budget> of(const Rule& rule, const Subject& subject, MonoNs now);
  // Looks at some of them, more each time; for housekeeping, about ten times a second.
  void tidy(MonoNs now);
  // Of identities or listeners.
  size_t size() const;

 private:
  static constexpr size_t kParts = 64;
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<Budget>> budgets;  // guarded by mutex
  };
  static void tidy(Part& part, MonoNs now);
  std::shared_ptr<Budget> find(const Rule& rule, std::string key, MonoNs now);

  std::shared_ptr<Budget> all_;  // of everybody; null unless the rule says so
  std::unique_ptr<std::array<Part, kParts>> parts_;
  std::atomic<size_t> next_part_{0};
};

}  // namespace courier::quota
