// A hash table of handles (arena handles, pointers) that keeps 32 bits of each key's hash beside the handle,
// so that it grows without touching what they name and compares almost only what is equal. With 4-byte
// handles 10 to 12 bytes per entry.
//
// It is cut into parts by the upper bits of the hash: growth moves one part at a time, so that a table of
// millions never holds its readers up for longer than some microseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace courier::routing {

// A value-initialised Handle is "none".
template <typename Handle>
class HandleTable {
 public:
  using value_type = Handle;

  // The handle with this hash for which `is_it` holds, or none.
  template <typename IsIt>
  Handle find(uint64_t hash, IsIt is_it) const {
    const Part& part = parts_[hash >> kPartShift];
    if (part.count == 0) return {};
    const auto tag = static_cast<uint32_t>(hash);
    const size_t size = part.slots.size();
    for (size_t i = home(tag, size); part.slots[i].handle != Handle{}; i = i + 1 == size ? 0 : i + 1) {
      if (part.slots[i].tag == tag && is_it(part.slots[i].handle)) return part.slots[i].handle;
    }
    return {};
  }
  // Fetches what find() will look at into the cache, without waiting for it.
  void prefetch(uint64_t hash) const {
    const Part& part = parts_[hash >> kPartShift];
    if (part.count == 0) return;
    __builtin_prefetch(&part.slots[home(static_cast<uint32_t>(hash), part.slots.size())]);
  }

  // Not there yet; it is there.
  void insert(uint64_t hash, Handle handle);
  void erase(uint64_t hash, Handle handle);

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Part& part : parts_) {
      for (const Slot& slot : part.slots) {
        if (slot.handle != Handle{}) visit(slot.handle);
      }
    }
  }
  size_t bytes() const { return sizeof(*this) + slots_ * sizeof(Slot); }

 private:
  struct Slot {
    uint32_t tag = 0;
    Handle handle{};
  };
  struct Part {
    std::vector<Slot> slots;
    size_t count = 0;
  };
  static constexpr int kPartShift = 56;
  static constexpr size_t kSlotsMin = 8;

  static size_t home(uint32_t tag, size_t size) { return static_cast<size_t>(uint64_t{tag} * size >> 32); }
  static void place(std::vector<Slot>& slots, Slot slot);
  void resize(Part& part, size_t size);

  std::array<Part, size_t{1} << (64 - kPartShift)> parts_;
  size_t slots_ = 0;  // of all parts
};

}  // namespace courier::routing
