// What Linux's control groups, those of containers and of systemd's units, leave a process of the machine.
//
// Reads /proc and /sys below `root` (empty: this machine) on the caller's thread. Version 2, and the memory
// and CPU controllers of version 1. What cannot be read limits nothing.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace courier::config {

// What "max", "unlimited" and "infinity" are.
inline constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

struct ControlGroup {
  uint64_t memory_max = kNoLimit;  // bytes, the least of this group and those above it
  uint64_t swap_max = kNoLimit;    // likewise; version 2 only
  double cpus = 0;                 // the least quota, in CPUs; 0: none
  uint64_t throttled = 0;          // periods in which the quota was used up
};

// Of "self" or of a process id; nullopt when it cannot be said in which group it is.
std::optional<ControlGroup> control_group(const std::string& root, const std::string& process);

}  // namespace courier::config
