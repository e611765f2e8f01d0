// A hash table of handles (arena handles, pointers) that keeps 32 bits of each key's hash beside the handle,
// so that it grows without touching what they name and compares almost only what is equal. With 4-byte
// handles 10 to 12 bytes per entry; as much with pointers, where it keeps 17 bits.
//
// It is cut into parts by the upper bits of the hash: growth moves one part at a time, so that a table of
// millions never holds its readers up for longer than some microseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace courier::routing {

template <typename Handle>
struct HandleSlot;

// The address of something aligned to four bytes, and a mark that says what that is.
class MarkedPointer {
 public:
  MarkedPointer() = default;
  MarkedPointer(const void* to, bool marked)
      : bits_(static_cast<uint64_t>(reinterpret_cast<uintptr_t>(to)) | (marked ? kMark : 0)) {}

  bool marked() const { return (bits_ & kMark) != 0; }
  void* get() const { return reinterpret_cast<void*>(static_cast<uintptr_t>(bits_ & ~kMark)); }
  explicit operator bool() const { return bits_ != 0; }
  bool operator==(const MarkedPointer&) const = default;

 private:
  friend struct HandleSlot<MarkedPointer>;
  static constexpr uint64_t kMark = 2;
  uint64_t bits_ = 0;
};

// Where one handle stands. A value-initialised one is "none".
template <typename Handle>
struct HandleSlot {
  static constexpr int kTagBits = 32;
  HandleSlot() = default;
  HandleSlot(uint32_t t, Handle h) : tag_(t), handle_(h) {}
  uint32_t tag() const { return tag_; }
  Handle handle() const { return handle_; }
  bool empty() const { return handle_ == Handle{}; }

 private:
  uint32_t tag_ = 0;
  Handle handle_{};
};

// In one word: addresses have 48 bits, of which the lowest is never set here.
template <>
struct HandleSlot<MarkedPointer> {
  static constexpr int kTagBits = 17;
  HandleSlot() = default;
  HandleSlot(uint32_t t, MarkedPointer pointer) : word_(uint64_t{t} << kPointerBits | pointer.bits_ >> 1) {}
  uint32_t tag() const { return static_cast<uint32_t>(word_ >> kPointerBits); }
  MarkedPointer handle() const {
    MarkedPointer pointer;
    pointer.bits_ = (word_ & ((uint64_t{1} << kPointerBits) - 1)) << 1;
    return pointer;
  }
  bool empty() const { return word_ == 0; }

 private:
  static constexpr int kPointerBits = 64 - kTagBits;
  uint64_t word_ = 0;
};

// A value-initialised Handle is "none".
template <typename Handle>
class HandleTable {
 public:
  using value_type = Handle;

  // The handle with this hash for which `is_it` holds, or none.
  template <typename IsIt>
  Handle find(uint64_t hash, IsIt is_it) const {
    const Slot* slot = find_slot(hash, is_it);
    return slot ? slot->handle() : Handle{};
  }
  // Fetches what find() will look at into the cache, without waiting for it.
  void prefetch(uint64_t hash) const {
    const Part& part = parts_[hash >> kPartShift];
    if (part.count == 0) return;
    __builtin_prefetch(&part.slots[home(tag_of(hash), part.slots.size())]);
  }

  // What find() will most likely return: something of that hash, which nobody has looked at.
  Handle guess(uint64_t hash) const {
    return find(hash, [](const Handle&) { return true; });
  }

  // Not there yet; it is there.
  void insert(uint64_t hash, Handle handle);
  void erase(uint64_t hash, Handle handle);
  // Puts another in its place. False: it is not there.
  bool replace(uint64_t hash, Handle handle, Handle by) {
    Slot* slot = const_cast<Slot*>(find_slot(hash, [&](const Handle& found) { return found == handle; }));
    if (slot) *slot = Slot(slot->tag(), by);
    return slot != nullptr;
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (size_t part = 0; part < kParts; ++part) for_each_in(part, visit);
  }
  // Those of one of kParts parts, which they never leave.
  static constexpr int kPartShift = 56;
  static constexpr size_t kParts = size_t{1} << (64 - kPartShift);
  template <typename Visit>
  void for_each_in(size_t part, Visit&& visit) const {
    for (const Slot& slot : parts_[part].slots) {
      if (!slot.empty()) visit(slot.handle());
    }
  }
  size_t bytes() const { return sizeof(*this) + slots_ * sizeof(Slot); }

 private:
  using Slot = HandleSlot<Handle>;
  struct Part {
    std::vector<Slot> slots;
    size_t count = 0;
  };
  static constexpr size_t kSlotsMin = 8;

  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash) >> (32 - Slot::kTagBits); }
  static size_t home(uint32_t tag, size_t size) {
    return static_cast<size_t>(uint64_t{tag} * size >> Slot::kTagBits);
  }
  template <typename IsIt>
  const Slot* find_slot(uint64_t hash, const IsIt& is_it) const {
    const Part& part = parts_[hash >> kPartShift];
    if (part.count == 0) return nullptr;
    const uint32_t tag = tag_of(hash);
    const size_t size = part.slots.size();
    for (size_t i = home(tag, size); !part.slots[i].empty(); i = i + 1 == size ? 0 : i + 1) {
      if (part.slots[i].tag() == tag && is_it(part.slots[i].handle())) return &part.slots[i];
    }
    return nullptr;
  }
  static void place(std::vector<Slot>& slots, Slot slot);
  void resize(Part& part, size_t size);

  std::array<Part, kParts> parts_;
  size_t slots_ = 0;  // of all parts
};

}  // namespace courier::routing
