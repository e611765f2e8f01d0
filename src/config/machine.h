// What this machine (or the container that we run in) offers: the meaning of "0" in threads and memory_max.
#pragma once

#include <cstdint>

#include "config/settings.h"

namespace courier::config {

// Cores that this process may run on, or its control group's quota of CPUs, rounded up, where that is less;
// at least 1.
uint32_t cores();
uint32_t cores_within(uint32_t cores, double quota);  // 0: no quota
// Physical memory, or the limit of the control group (a container's, a systemd unit's) where that is less.
uint64_t memory_bytes();

// The values in force.
inline uint32_t threads(const Settings& settings) {
  return settings.threads != 0 ? settings.threads : cores();
}
inline uint64_t memory_max(const Limits& limits) {
  return limits.memory_max != 0 ? limits.memory_max : memory_bytes() / 10 * 7;
}

}  // namespace courier::config
