#include "record/packed_subscriptions.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace courier::record {

Subscriptions PackedSubscriptions::get() const {
  if (word_ == 0) return {};
  if (word_ & kList) return *list();
  uint32_t size;
  std::memcpy(&size, block(), sizeof(size));
  auto decoded = decode_subscriptions(std::string_view(block() + sizeof(size), size));
  CHECK(decoded);
  return *std::move(decoded);
}

bool PackedSubscriptions::has(std::string_view filter) const {
  const auto named = [filter](const Subscriptions& all) {
    return std::ranges::any_of(all.filters, [filter](const Subscription& s) { return s.filter == filter; });
  };
  return word_ & kList ? named(*list()) : named(get());
}

Subscriptions PackedSubscriptions::take() {
  Subscriptions taken = word_ & kList ? std::move(*list()) : get();
  clear();
  return taken;
}

void PackedSubscriptions::set(Subscriptions subscriptions) {
  clear();
  if (subscriptions.filters.size() > kPackedMax) {
    word_ = reinterpret_cast<uintptr_t>(new Subscriptions(std::move(subscriptions))) | kList;
    return;
  }
  const std::string row = encode_subscriptions(subscriptions);
  const auto size = static_cast<uint32_t>(row.size());
  char* made = new char[sizeof(size) + row.size()];
  std::memcpy(made, &size, sizeof(size));
  std::memcpy(made + sizeof(size), row.data(), row.size());
  word_ = reinterpret_cast<uintptr_t>(made);
}

void PackedSubscriptions::clear() {
  if (word_ & kList) {
    delete list();
  } else {
    delete[] block();
  }
  word_ = 0;
}

}  // namespace courier::record
