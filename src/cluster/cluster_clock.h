// The time of the cluster: what one node writes a deadline by and another reads it by.
//
// It is the wall clock of this machine when the node starts, as long as that is right. Whether it is, a node
// asks those who have the time already (time_agreement.h), and one that is off is put right by set(). From
// then on it goes by a clock that nobody sets and that goes on while the machine sleeps; follow() takes over
// what NTP does to the wall clock little by little, and nothing else. So what counts is that durations are
// the same for all; should the first node of a cluster have a wrong clock, all go by that until all have
// ended.
//
// Not for what others outside wrote, as the end of a certificate or of a token.
//
// Any thread may read it. One alone, its owner's, calls set() and follow().
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "base/boot_clock.h"

namespace courier::cluster {

// Clocks that are kept by NTP differ by less, and are not set by as much.
inline constexpr WallMs kClockStepMs = 5000;

// Times outside of this are no times: a clock without a battery, or a message that is none. From 2020 to
// 2120.
inline constexpr WallMs kTimeMin = 1'577'836'800'000;
inline constexpr WallMs kTimeMax = 4'733'510'400'000;
inline constexpr bool is_plausible(WallMs time) {
  return kTimeMin <= time && time < kTimeMax;
}

class ClusterClock final : public Clock {
 public:
  // `own` outlives it; `sleepless` never goes back.
  explicit ClusterClock(const Clock& own, std::function<MonoNs()> sleepless = boot_ns);

  WallMs wall_ms() const override {
    return sleepless_() / kNsPerMs + offset_.load(std::memory_order_relaxed);
  }
  MonoNs mono_ns() const override { return own_.mono_ns(); }

  // It is `time` now, if that is not about what it says anyway. What is not plausible is not believed.
  void set(WallMs time);
  // To be called often: the wall clock of this machine may have been moved.
  void follow();
  // What is added to this machine's clock.
  WallMs correction_ms() const { return correction_.load(std::memory_order_relaxed); }

 private:
  // This machine's wall clock less the sleepless one, of one moment. Nothing: the thread stood still
  // meanwhile.
  std::optional<WallMs> base() const;
  void put(WallMs offset);

  const Clock& own_;
  const std::function<MonoNs()> sleepless_;
  std::atomic<WallMs> offset_{0};  // this clock less the sleepless one
  std::atomic<WallMs> correction_{0};
  WallMs base_ = 0;  // as last read; the owner's thread
};

}  // namespace courier::cluster
