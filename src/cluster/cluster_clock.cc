#include "cluster/cluster_clock.h"

#include <cstdlib>
#include <utility>

#include "base/log.h"

namespace courier::cluster {

namespace {
// Two clocks are read at one moment if that takes no longer.
constexpr MonoNs kMomentNs = kNsPerMs;
constexpr int kReadingsMax = 10;
}  // namespace

ClusterClock::ClusterClock(const Clock& own, std::function<MonoNs()> sleepless)
    : own_(own), sleepless_(std::move(sleepless)), base_(own.wall_ms() - sleepless_() / kNsPerMs) {
  if (const auto exact = base()) base_ = *exact;
  put(base_);
}

std::optional<WallMs> ClusterClock::base() const {
  for (int i = 0; i < kReadingsMax; ++i) {
    const MonoNs before = sleepless_();
    const WallMs wall = own_.wall_ms();
    if (sleepless_() - before <= kMomentNs) return wall - before / kNsPerMs;
  }
  return std::nullopt;
}

void ClusterClock::put(WallMs offset) {
  offset_.store(offset, std::memory_order_relaxed);
  correction_.store(offset - base_, std::memory_order_relaxed);
}

void ClusterClock::set(WallMs time) {
  if (!is_plausible(time)) {
    log::error("what is said to be the time of the cluster cannot be, and is not believed",
               {{"time_ms", time}});
    return;
  }
  const WallMs off = wall_ms() - time;
  if (std::abs(off) <= kClockStepMs) return;
  put(offset_.load(std::memory_order_relaxed) - off);
  log::error("this machine's clock is not that of the cluster, by which the node goes; look after NTP",
             {{"ahead_ms", off}, {"correction_ms", correction_ms()}});
}

void ClusterClock::follow() {
  const std::optional<WallMs> now = base();
  if (!now) return;
  const WallMs step = *now - std::exchange(base_, *now);
  const WallMs offset = offset_.load(std::memory_order_relaxed);
  if (std::abs(step) <= kClockStepMs) {
    if (step != 0) put(offset + step);
    return;
  }
  put(offset);
  log::error("this machine's clock was set; the node goes on by the time of the cluster",
             {{"by_ms", step}, {"correction_ms", correction_ms()}});
}

}  // namespace courier::cluster
