// Time as an argument. Pure folders take times as parameters; only threads ask a Clock.
#pragma once

#include <cstdint>

namespace courier {

// Milliseconds since the Unix epoch. What records, expiry and deadlines are written in.
using WallMs = int64_t;
// Nanoseconds of a clock that never goes back. For keep-alive, lingers, latencies.
using MonoNs = int64_t;

inline constexpr MonoNs kNsPerMs = 1'000'000;
inline constexpr MonoNs kNsPerSecond = 1'000'000'000;

// Thread-safe. The real one is system_clock(); the simulator has its own.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallMs wall_ms() const = 0;
  virtual MonoNs mono_ns() const = 0;
};

// Reads the kernel's clocks.
const Clock& system_clock();

}  // namespace courier
