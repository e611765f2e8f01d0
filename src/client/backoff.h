// When to try again: exponential growth with full jitter, so that a million phones that lost their server at
// once do not come back at once. After Brooker, "Exponential Backoff And Jitter" (2015).
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "base/clock.h"

namespace courier::client {

struct Backoff {
  int64_t first_ms = 500;
  int64_t max_ms = 30'000;
  // A connection that lived this long starts the count anew; a shorter one does not, so that two clients with
  // one id do not throw each other out in a tight loop.
  int64_t stable_ms = 5'000;
  // False: exactly first * 2^attempts.
  bool jitter = true;
  // What the jitter follows from, so that it can be had again; 0: from the loop's randomness.
  uint64_t seed = 0;
};

using Random = std::mt19937_64;

// Uniform between 0 and first * 2^attempts, at most max. `attempts` counts the failures in a row before this
// one.
inline MonoNs backoff_delay(const Backoff& backoff, unsigned attempts, Random& random) {
  const int64_t grown =
      attempts >= 32 ? backoff.max_ms : std::min(backoff.max_ms, backoff.first_ms << std::min(attempts, 31u));
  const MonoNs most = std::max<int64_t>(grown, 0) * kNsPerMs;
  return backoff.jitter ? std::uniform_int_distribution<MonoNs>(0, most)(random) : most;
}

}  // namespace courier::client
