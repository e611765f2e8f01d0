#include "config/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "config/control_group.h"

namespace courier::config {

uint32_t cores_within(uint32_t cores, double quota) {
  if (quota <= 0 || quota >= cores) return cores;
  return static_cast<uint32_t>(std::max(1.0, std::ceil(quota)));
}

uint32_t cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const long there =
      ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : ::sysconf(_SC_NPROCESSORS_ONLN);
  const auto group = control_group("", "self");
  return cores_within(static_cast<uint32_t>(std::max(1L, there)), group ? group->cpus : 0);
}

uint64_t memory_bytes() {
  const auto bytes =
      static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto group = control_group("", "self");
  return group && group->memory_max != 0 ? std::min(bytes, group->memory_max) : bytes;
}

}  // namespace courier::config
