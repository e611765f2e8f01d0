// The time of the cluster: what one node writes a deadline by and another reads it by.
//
// It is the wall clock of this machine, as long as that is right. Whether it is, a node asks those who have
// the time already (whoever owns the clock does that, and calls set()). One that is off is put right by the
// difference; a clock that is set while the node runs does not move it. So what counts is that durations are
// the same for all; should the first node of a cluster have a wrong clock, all go by that until all have
// ended.
//
// Not for what others outside wrote, as the end of a certificate.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <mutex>

#include "base/clock.h"

namespace courier::cluster {

// What a node is asked for: no body; the answer is its time in milliseconds, as decimal text.
inline constexpr uint16_t kTimeRequest = 2;

// Clocks that are kept by NTP differ by less, and are not set by as much.
inline constexpr WallMs kClockStepMs = 5000;

class ClusterClock final : public Clock {
 public:
  // `own` outlives it.
  explicit ClusterClock(const Clock& own);

  WallMs wall_ms() const override;
  MonoNs mono_ns() const override { return own_.mono_ns(); }

  // It is `time` now, if that is not about what it says anyway.
  void set(WallMs time);
  // What is added to this machine's clock.
  WallMs correction_ms() const { return correction_.load(std::memory_order_relaxed); }

 private:
  // Between the two clocks of this machine: changes when its wall clock is set.
  WallMs base_of(WallMs wall) const { return wall - own_.mono_ns() / kNsPerMs; }

  const Clock& own_;
  mutable std::atomic<WallMs> base_;
  mutable std::atomic<WallMs> correction_{0};
  mutable std::mutex stepping_;
};

}  // namespace courier::cluster
