#include "base/clock.h"

#include <chrono>

namespace courier {

const Clock& system_clock() {
  struct SystemClock final : Clock {
    WallMs wall_ms() const override {
      using namespace std::chrono;
      return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    }
    MonoNs mono_ns() const override {
      using namespace std::chrono;
      return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
    }
  };
  static const SystemClock clock;
  return clock;
}

}  // namespace courier
