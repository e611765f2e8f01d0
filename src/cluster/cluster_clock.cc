#include "cluster/cluster_clock.h"

#include <cstdlib>

#include "base/log.h"

namespace courier::cluster {

ClusterClock::ClusterClock(const Clock& own) : own_(own), base_(base_of(own.wall_ms())) {}

WallMs ClusterClock::wall_ms() const {
  const WallMs wall = own_.wall_ms();
  const WallMs base = base_of(wall);
  const WallMs before = base_.load(std::memory_order_relaxed);
  // Small steps, as NTP takes them, are followed.
  if (std::abs(base - before) <= kClockStepMs) {
    if (base != before) base_.store(base, std::memory_order_relaxed);
    return wall + correction_.load(std::memory_order_relaxed);
  }
  const std::lock_guard lock(stepping_);
  const WallMs now = own_.wall_ms();  // another thread may have been here, between the two readings above
  const WallMs step = base_of(now) - base_.load(std::memory_order_relaxed);
  if (std::abs(step) > kClockStepMs) {
    base_.fetch_add(step, std::memory_order_relaxed);
    correction_.fetch_sub(step, std::memory_order_relaxed);
    log::error("this machine's clock was set; the node goes on by the time of the cluster",
               {{"by_ms", step}, {"correction_ms", correction_ms()}});
  }
  return now + correction_ms();
}

void ClusterClock::set(WallMs time) {
  const WallMs off = wall_ms() - time;
  if (std::abs(off) <= kClockStepMs) return;
  const std::lock_guard lock(stepping_);
  correction_.fetch_sub(off, std::memory_order_relaxed);
  log::error("this machine's clock is not that of the cluster, by which the node goes; look after NTP",
             {{"ahead_ms", off}, {"correction_ms", correction_ms()}});
}

}  // namespace courier::cluster
