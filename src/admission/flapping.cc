#include "admission/flapping.h"

#include <string>

#include "admission/seeded_hash.h"

namespace courier::admission {

Flapping::Flapping(const FlappingOptions& options)
    : seed_(fresh_seed()), on_(options.connects != 0), options_(options) {}

void Flapping::use(const FlappingOptions& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
  on_ = options.connects != 0;
  if (!on_) sets_.reset();
}

std::optional<int64_t> Flapping::came(std::string_view mountpoint, std::string_view client_id, MonoNs now) {
  if (!on_.load(std::memory_order_relaxed)) return std::nullopt;
  const uint64_t client = mix(seeded_hash(seed_, mountpoint), seeded_hash(seed_, client_id)) | 1;
  const std::lock_guard lock(mutex_);
  if (options_.connects == 0) return std::nullopt;
  if (!sets_) sets_ = std::make_unique<Set[]>(kFlappingSets);
  Place* place = nullptr;
  for (Place& each : sets_[(client >> 32) % kFlappingSets]) {
    if (each.client == client) {
      place = &each;
      break;
    }
    // Who is nearest to being as if it had never come.
    if (!place ||
        each.full_at.load(std::memory_order_relaxed) < place->full_at.load(std::memory_order_relaxed))
      place = &each;
  }
  if (place->client != client) {
    place->client = client;
    place->full_at.store(0, std::memory_order_relaxed);
  }
  const double connects = options_.connects;
  const TokenRate rate(connects * 1e9 / static_cast<double>(options_.within_ns), connects);
  if (rate.take_within(place->full_at, 1, now, 0)) return std::nullopt;
  place->full_at.store(0, std::memory_order_relaxed);  // the ban over, it begins anew
  return options_.ban_ms;
}

}  // namespace courier::admission
