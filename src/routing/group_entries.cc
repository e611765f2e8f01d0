#include "routing/group_entries.h"

#include <algorithm>

#include "base/check.h"

namespace courier::routing {

namespace {

constexpr size_t kGapsAlways = 64;       // not worth sweeping
constexpr size_t kCapacityKept = 1'024;  // not worth giving back

}  // namespace

size_t GroupEntries::place_of(uint64_t seq) const {
  if (items_.empty() || seq > items_.back().seq) return items_.size();
  if (seq <= items_.front().seq) return 0;
  // Each number is there once at most, so its place is no further from either end than its number; nearly
  // always that leaves one place.
  const uint64_t to_end = items_.back().seq - seq;
  const size_t least = to_end < items_.size() ? items_.size() - 1 - static_cast<size_t>(to_end) : 0;
  const size_t most = static_cast<size_t>(std::min<uint64_t>(seq - items_.front().seq, items_.size() - 1));
  const auto found = std::lower_bound(items_.begin() + static_cast<ptrdiff_t>(least),
                                      items_.begin() + static_cast<ptrdiff_t>(most), seq,
                                      [](const Item& item, uint64_t number) { return item.seq < number; });
  return static_cast<size_t>(found - items_.begin());
}

GroupEntries::Item* GroupEntries::find(uint64_t seq) {
  const size_t place = place_of(seq);
  if (place == items_.size() || items_[place].seq != seq || items_[place].gone) return nullptr;
  return &items_[place];
}

const GroupEntry& GroupEntries::at(uint64_t seq) const {
  const Item* item = find(seq);
  CHECK(item != nullptr);
  return item->entry;
}

GroupEntries::Item& GroupEntries::emplace(uint64_t seq, GroupEntry entry) {
  CHECK(items_.empty() || seq > items_.back().seq);
  ++size_;
  return items_.emplace_back(Item{seq, std::move(entry), false});
}

void GroupEntries::erase(Item& item) {
  CHECK(!item.gone);
  item.gone = true;
  item.entry = {};
  --size_;
  if (items_.size() - size_ > size_ + kGapsAlways) sweep();
}

void GroupEntries::sweep() {
  std::erase_if(items_, [](const Item& item) { return item.gone; });
  if (items_.capacity() <= kCapacityKept || items_.capacity() / 8 <= items_.size()) return;
  std::vector<Item> smaller;
  smaller.reserve(std::max(2 * items_.size(), kCapacityKept));
  std::ranges::move(items_, std::back_inserter(smaller));
  items_ = std::move(smaller);
}

}  // namespace courier::routing
