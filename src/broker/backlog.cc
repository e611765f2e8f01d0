#include "broker/backlog.h"

#include <utility>
#include <variant>

namespace courier::broker {

namespace {

// Of most records it is the list that may be long.
struct ListOf {
  uint64_t operator()(const auto& r) const {
    if constexpr (requires { r.messages; }) return r.messages.size() * sizeof(r.messages[0]);
    if constexpr (requires { r.entries; }) return r.entries.size() * sizeof(r.entries[0]);
    if constexpr (requires { r.filters; }) return r.filters.size() * sizeof(r.filters[0]);
    return 0;
  }
};

}  // namespace

// The order of the two atomics matters on both sides: whoever changes one looks at the other afterwards, so
// that of a mark and the fall below half that meet, at least one side sees both.
void Backlog::posted(uint32_t shard, uint64_t bytes) {
  OfShard& of = of_[shard];
  if (of.bytes.fetch_add(bytes) + bytes <= bytes_max_ || of.too_long.load()) return;
  const std::lock_guard lock(mutex_);
  if (of.too_long.load()) return;
  of.too_long.store(true);
  too_long_.fetch_add(1);
  if (of.bytes.load() > bytes_max_ / 2) return;
  // It fell meanwhile. Nobody can have begun to wait for it: that takes the mutex.
  of.too_long.store(false);
  too_long_.fetch_sub(1);
}

std::vector<uint32_t> Backlog::worked_off(uint32_t shard, uint64_t bytes) {
  OfShard& of = of_[shard];
  if (of.bytes.fetch_sub(bytes) - bytes > bytes_max_ / 2 || !of.too_long.load()) return {};
  std::vector<uint32_t> woken;
  const std::lock_guard lock(mutex_);
  if (!of.too_long.load()) return woken;
  of.too_long.store(false);
  if (too_long_.fetch_sub(1) > 1) return woken;
  for (uint32_t s = 0; s < waits_.size(); ++s) {
    if (waits_[s]) woken.push_back(s);
    waits_[s] = false;
  }
  return woken;
}

bool Backlog::wait(uint32_t shard) {
  const std::lock_guard lock(mutex_);
  waits_[shard] = too_long();
  return waits_[shard];
}

void post_direct(Post& post, Backlog& backlog, uint32_t shard, record::Delivery&& delivery, bool from_peer) {
  const uint64_t bytes = sizeof(delivery) + cost(delivery);
  backlog.posted(shard, bytes);
  post.post(shard, DirectMail{std::move(delivery), bytes, from_peer});
}

uint64_t cost(const record::Delivery& delivery) {
  return delivery.message->cost() + delivery.to.size() * sizeof(record::Delivery::To);
}

uint64_t cost(const std::vector<record::FeedItem>& items) {
  uint64_t bytes = items.size() * sizeof(record::FeedItem);
  for (const record::FeedItem& item : items) {
    if (const auto* delivery = std::get_if<record::Delivery>(&item)) {
      bytes += cost(*delivery);
    } else if (const auto* of_session = std::get_if<record::SessionRecord>(&item)) {
      bytes += std::visit(ListOf{}, of_session->record);
    }
  }
  return bytes;
}

}  // namespace courier::broker
