#include "base/boot_clock.h"

#include <time.h>

namespace courier {

MonoNs boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace courier
