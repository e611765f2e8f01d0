#include "relay/offsets.h"

#include <algorithm>

namespace courier::relay {

bool Offsets::begin(int64_t offset, MonoNs now) {
  if (offset <= last_) return false;
  last_ = offset;
  begun_.push_back({offset, now});
  return true;
}

void Offsets::finish(int64_t offset) {
  const auto place = std::ranges::lower_bound(begun_, offset, {}, &Begun::offset);
  if (place == begun_.end() || place->offset != offset) return;
  place->finished = true;
  while (!begun_.empty() && begun_.front().finished) begun_.pop_front();
}

std::optional<int64_t> Offsets::committable() const {
  if (last_ < 0) return std::nullopt;
  return begun_.empty() ? last_ + 1 : begun_.front().offset;
}

std::optional<MonoNs> Offsets::oldest() const {
  if (begun_.empty()) return std::nullopt;
  return begun_.front().at;
}

}  // namespace courier::relay
