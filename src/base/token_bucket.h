// A rate and a burst, kept as one number: when what was taken will have been refilled (the generic cell rate
// algorithm, ITU-T I.371). Costs 24 bytes and one atomic operation a take, never a timer.
//
//   take()      takes what was used already, into debt if need be, and says for how long to take no more
//   try_take()  takes only what is there
//   wait_for()  what take() would say, and nothing is taken: to ask several before taking of all
//
// Thread-safe: one bucket may be shared by all shards. A clock that differs a little between threads moves
// the rate by as little.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace courier {

class TokenBucket {
 public:
  // Both above 0; a burst is worth an hour of the rate at most. Full at first.
  TokenBucket(double per_second, double burst)
      : ns_per_token_(1e9 / per_second),
        depth_(static_cast<MonoNs>(std::min(burst * ns_per_token_, kNsMax))) {}

  // How long until the debt is paid; 0: there is none.
  MonoNs take(uint64_t tokens, MonoNs now) {
    const MonoNs cost = cost_of(tokens);
    MonoNs full = full_at_.load(std::memory_order_relaxed), after = 0;
    do {
      after = std::max(full, now) + cost;
      // A debt of hours is one of hours, whatever was taken: nothing overflows.
      after = std::min(after, now + depth_ + static_cast<MonoNs>(kNsMax));
    } while (!full_at_.compare_exchange_weak(full, after, std::memory_order_relaxed));
    return std::max<MonoNs>(0, after - depth_ - now);
  }

  // False, and nothing taken, when so many are not there.
  bool try_take(uint64_t tokens, MonoNs now) {
    const MonoNs cost = cost_of(tokens);
    MonoNs full = full_at_.load(std::memory_order_relaxed), after = 0;
    do {
      after = std::max(full, now) + cost;
      if (after > now + depth_) return false;
    } while (!full_at_.compare_exchange_weak(full, after, std::memory_order_relaxed));
    return true;
  }

  MonoNs wait_for(uint64_t tokens, MonoNs now) const {
    const MonoNs after = std::max(full_at_.load(std::memory_order_relaxed), now) + cost_of(tokens);
    return std::max<MonoNs>(0, std::min(after - now, depth_ + static_cast<MonoNs>(kNsMax)) - depth_);
  }

  // How long a full one lasts to be filled.
  MonoNs depth_ns() const { return depth_; }

  // Whether it is as if it had never been used; who keeps many of them may drop this one.
  bool full(MonoNs now) const { return full_at_.load(std::memory_order_relaxed) <= now; }

 private:
  static constexpr double kNsMax = 3600e9;  // the longest debt, and burst

  MonoNs cost_of(uint64_t tokens) const {
    return static_cast<MonoNs>(std::min(std::ceil(static_cast<double>(tokens) * ns_per_token_), kNsMax));
  }

  const double ns_per_token_;
  const MonoNs depth_;
  std::atomic<MonoNs> full_at_{0};  // when all that was taken is refilled
};

}  // namespace courier
