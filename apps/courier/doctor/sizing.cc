#include "courier/doctor/sizing.h"

#include <algorithm>
#include <bit>

namespace courier::cli::doctor {
namespace {

// Beyond any machine, and far from what multiplication could overflow.
constexpr uint64_t kConnectionsBeyond = 10'000'000'000;

uint64_t in_proportion(const Size& size, uint64_t connections) {
  if (size.connections == 0) return size.sessions;
  const double share = static_cast<double>(connections) / static_cast<double>(size.connections);
  return static_cast<uint64_t>(static_cast<double>(size.sessions) * share);
}

}  // namespace

MemoryNeed memory_need(const Size& size, const MemoryTerms& terms) {
  const uint64_t stored = std::min(size.connections, size.sessions);
  const uint64_t clean = size.connections - stored;
  const uint64_t sleeping = size.sessions - stored;
  const uint64_t more_filters = size.filters > 1 ? size.filters - 1 : 0;
  MemoryNeed need;
  need.node = kNodeBytes + terms.cache_bytes + clean * kCleanConnectionBytes +
              stored * kStoredConnectionBytes + sleeping * kSleepingSessionBytes +
              (clean + stored + sleeping) * more_filters * kFilterBytes;
  need.kernel = size.connections * (kKernelConnectionBytes + (terms.tracked ? kTrackedConnectionBytes : 0));
  return need;
}

uint64_t connections_in_memory(const Size& size, const MemoryTerms& terms, uint64_t node_bytes,
                               uint64_t total_bytes) {
  const auto fits = [&](uint64_t connections) {
    const MemoryNeed need = memory_need({connections, in_proportion(size, connections), size.filters}, terms);
    return need.node <= node_bytes && need.total() <= total_bytes;
  };
  uint64_t fitting = 0, beyond = kConnectionsBeyond;
  while (fitting + 1 < beyond) {
    const uint64_t middle = fitting + (beyond - fitting) / 2;
    (fits(middle) ? fitting : beyond) = middle;
  }
  return fitting;
}

uint64_t rounded_limit(uint64_t need) {
  return std::bit_ceil(need);
}

}  // namespace courier::cli::doctor
