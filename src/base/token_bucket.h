// A rate and a burst, kept as one number: when what was taken will have been refilled (the generic cell rate
// algorithm, ITU-T I.371). Costs 24 bytes and one atomic operation a take, never a timer.
//
//   take()         takes what was used already, into debt if need be, and says for how long to take no more
//   try_take()     takes only what is there
//   take_within()  takes what is there or will be soon, and says how long that is away
//   wait_for()     what take() would say, and nothing is taken: to ask several before taking of all
//
// TokenRate is the rate without the number, for whoever keeps many buckets of one rate: 8 bytes each.
//
// Thread-safe: one bucket may be shared by all shards. A clock that differs a little between threads moves
// the rate by as little.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace courier {

class TokenRate {
 public:
  // When all that was taken is refilled; 0 at first.
  using State = std::atomic<MonoNs>;

  // Both above 0; a burst is worth an hour of the rate at most. Full at first.
  TokenRate(double per_second, double burst)
      : ns_per_token_(1e9 / per_second),
        depth_(static_cast<MonoNs>(std::min(burst * ns_per_token_, kNsMax))) {}

  // How long until the debt is paid; 0: there is none.
  MonoNs take(State& full_at, uint64_t tokens, MonoNs now) const {
    const MonoNs cost = cost_of(tokens);
    MonoNs full = full_at.load(std::memory_order_relaxed), after = 0;
    do {
      after = std::max(full, now) + cost;
      // A debt of hours is one of hours, whatever was taken: nothing overflows.
      after = std::min(after, now + depth_ + static_cast<MonoNs>(kNsMax));
    } while (!full_at.compare_exchange_weak(full, after, std::memory_order_relaxed));
    return std::max<MonoNs>(0, after - depth_ - now);
  }

  // How long until they are there, `wait_max` at most. Nothing: it would be longer, and nothing was taken.
  std::optional<MonoNs> take_within(State& full_at, uint64_t tokens, MonoNs now, MonoNs wait_max) const {
    const MonoNs cost = cost_of(tokens);
    MonoNs full = full_at.load(std::memory_order_relaxed), after = 0;
    do {
      after = std::max(full, now) + cost;
      if (after > now + depth_ + wait_max) return std::nullopt;
    } while (!full_at.compare_exchange_weak(full, after, std::memory_order_relaxed));
    return std::max<MonoNs>(0, after - depth_ - now);
  }

  MonoNs wait_for(const State& full_at, uint64_t tokens, MonoNs now) const {
    const MonoNs after = std::max(full_at.load(std::memory_order_relaxed), now) + cost_of(tokens);
    return std::max<MonoNs>(0, std::min(after - now, depth_ + static_cast<MonoNs>(kNsMax)) - depth_);
  }

  // How long a full one lasts to be filled.
  MonoNs depth_ns() const { return depth_; }

 private:
  static constexpr double kNsMax = 3600e9;  // the longest debt, and burst

  MonoNs cost_of(uint64_t tokens) const {
    return static_cast<MonoNs>(std::min(std::ceil(static_cast<double>(tokens) * ns_per_token_), kNsMax));
  }

  double ns_per_token_;
  MonoNs depth_;
};

class TokenBucket {
 public:
  // As TokenRate.
  TokenBucket(double per_second, double burst) : rate_(per_second, burst) {}

  // How long until the debt is paid; 0: there is none.
  MonoNs take(uint64_t tokens, MonoNs now) { return rate_.take(full_at_, tokens, now); }
  // False, and nothing taken, when so many are not there.
  bool try_take(uint64_t tokens, MonoNs now) { return take_within(tokens, now, 0).has_value(); }
  // How long until they are there, `wait_max` at most. Nothing: it would be longer, and nothing was taken.
  std::optional<MonoNs> take_within(uint64_t tokens, MonoNs now, MonoNs wait_max) {
    return rate_.take_within(full_at_, tokens, now, wait_max);
  }
  MonoNs wait_for(uint64_t tokens, MonoNs now) const { return rate_.wait_for(full_at_, tokens, now); }
  MonoNs depth_ns() const { return rate_.depth_ns(); }

  // Whether it is as if it had never been used; who keeps many of them may drop this one.
  bool full(MonoNs now) const { return full_at_.load(std::memory_order_relaxed) <= now; }

 private:
  const TokenRate rate_;
  TokenRate::State full_at_{0};
};

}  // namespace courier
