// What this machine (or the container that we run in) offers: the meaning of "0" in threads and memory_max.
#pragma once

#include <cstdint>

#include "config/settings.h"

namespace courier::config {

// Cores that this process may run on; at least 1.
uint32_t cores();
// Physical memory, or the control group's limit where that is less.
uint64_t memory_bytes();

// The values in force.
inline uint32_t threads(const Settings& settings) {
  return settings.threads != 0 ? settings.threads : cores();
}
inline uint64_t memory_max(const Limits& limits) {
  return limits.memory_max != 0 ? limits.memory_max : memory_bytes() / 10 * 7;
}

}  // namespace courier::config
