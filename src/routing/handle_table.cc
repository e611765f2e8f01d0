#include "routing/handle_table.h"

#include <algorithm>

#include "base/check.h"
#include "routing/block_arena.h"
#include "routing/retained_index.h"

namespace courier::routing {

template <typename Handle>
void HandleTable<Handle>::place(std::vector<Slot>& slots, Slot slot) {
  size_t i = home(slot.tag(), slots.size());
  while (!slots[i].empty()) i = i + 1 == slots.size() ? 0 : i + 1;
  slots[i] = slot;
}

template <typename Handle>
void HandleTable<Handle>::resize(Part& part, size_t size) {
  std::vector<Slot> slots(size);
  for (const Slot& slot : part.slots) {
    if (!slot.empty()) place(slots, slot);
  }
  slots_ += slots.size() - part.slots.size();
  part.slots.swap(slots);
}

// Full at 4/5, where a search that fails looks at 13 neighbouring slots on average; grown by a quarter, since
// memory matters more here than the cost of growing.
template <typename Handle>
void HandleTable<Handle>::insert(uint64_t hash, Handle handle) {
  Part& part = parts_[hash >> kPartShift];
  if ((part.count + 1) * 5 > part.slots.size() * 4) {
    resize(part, std::max(kSlotsMin, part.slots.size() + part.slots.size() / 4));
  }
  place(part.slots, Slot(tag_of(hash), handle));
  ++part.count;
}

template <typename Handle>
void HandleTable<Handle>::erase(uint64_t hash, Handle handle) {
  Part& part = parts_[hash >> kPartShift];
  const size_t size = part.slots.size();
  CHECK(part.count > 0);
  const uint32_t tag = tag_of(hash);
  size_t hole = home(tag, size);
  // Several keys may have one handle: another's entry, pushed here from its home, is not this one.
  for (size_t looked = 0; part.slots[hole].handle() != handle || part.slots[hole].tag() != tag; ++looked) {
    CHECK(looked < size);
    hole = hole + 1 == size ? 0 : hole + 1;
  }
  // Closes the gap: whatever was pushed past the hole moves back into it.
  for (size_t i = hole + 1 == size ? 0 : hole + 1; !part.slots[i].empty(); i = i + 1 == size ? 0 : i + 1) {
    const size_t from_home = (i + size - home(part.slots[i].tag(), size)) % size;
    const size_t from_hole = (i + size - hole) % size;
    if (from_home >= from_hole) {
      part.slots[hole] = part.slots[i];
      hole = i;
    }
  }
  part.slots[hole] = {};
  --part.count;
  if (part.count == 0) {
    resize(part, 0);
  } else if (size > kSlotsMin && part.count * 4 < size) {
    resize(part, std::max(kSlotsMin, size / 2));
  }
}

template class HandleTable<BlockArena::Handle>;
template class HandleTable<const RetainedTopic*>;
template class HandleTable<MarkedPointer>;

}  // namespace courier::routing
