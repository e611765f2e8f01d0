// Under LD_PRELOAD: courierd reads a wall clock that is off by CLOCK_SHIFT_SECONDS. It alone, by what it
// reads it with: libraries that ask the kernel's clock and wait by it, as gRPC does, are not misled.
#include <chrono>
#include <cstdlib>
#include <ctime>

std::chrono::system_clock::time_point std::chrono::system_clock::now() noexcept {
  static const long shift_seconds = std::atol(std::getenv("CLOCK_SHIFT_SECONDS"));
  timespec kernel{};
  clock_gettime(CLOCK_REALTIME, &kernel);
  const auto since_epoch =
      std::chrono::seconds(kernel.tv_sec + shift_seconds) + std::chrono::nanoseconds(kernel.tv_nsec);
  return time_point(std::chrono::duration_cast<duration>(since_epoch));
}
