// A clock that nobody sets and that goes on while the machine sleeps (CLOCK_BOOTTIME): for what others count,
// too, as a lease. Any thread.
#pragma once

#include "base/clock.h"

namespace courier {

MonoNs boot_ns();

}  // namespace courier
