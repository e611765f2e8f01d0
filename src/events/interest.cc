#include "events/interest.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace courier::events {

void Interest::sample(uint8_t label, double part) {
  const double threshold = std::clamp(part, 0.0, 1.0) * kAll;
  thresholds_[label].store(static_cast<uint32_t>(threshold), std::memory_order_relaxed);
}

uint32_t Interest::hash_of(const mqtt::Message& message) {
  const auto when = static_cast<uint64_t>(message.received_at);
  return static_cast<uint32_t>(XXH3_64bits_withSeed(message.topic.data(), message.topic.size(), when) >> 32);
}

}  // namespace courier::events
