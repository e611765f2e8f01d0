// The subscribers of one filter, in 12 bytes: nobody, one, or a pointer to a hash table of several. A million
// subscribers to one filter are added and removed as fast as two, and read from end to end.
//
// A member is a session's subscription or a shared group (by its slot in IndexedGroups). Stands inside arena
// blocks, so it is copied by its bytes and must be emptied by hand before its block goes.
//
// Changes come in two steps so that no reader waits for a big table to be built: prepare() builds it from
// what only the writer changes, before the lock is taken; add() and remove() swap it in under the lock; the
// old table dies with the SpareTable, after the lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "routing/match_result.h"

namespace courier::routing {

// Subscriber in 12 bytes, aligned to 4.
class PackedSubscriber {
 public:
  PackedSubscriber() = default;
  static PackedSubscriber of(const Subscriber& subscriber);
  static PackedSubscriber of_group(uint32_t slot);

  bool present() const { return bits_ != 0 || low_ != 0 || high_ != 0; }
  bool is_group() const { return (bits_ & kKindMask) == kGroup; }
  bool is_table() const { return (bits_ & kKindMask) == kTable; }
  uint32_t group_slot() const { return low_; }
  SessionId session() const { return SessionId(key()); }
  Subscriber subscriber() const;
  bool no_local() const { return (bits_ & kNoLocal) != 0; }

  uint64_t key() const { return uint64_t{high_} << 32 | low_; }
  bool same_member(const PackedSubscriber& other) const {
    return low_ == other.low_ && high_ == other.high_ && is_group() == other.is_group();
  }

 private:
  friend class SubscriberSet;
  // Bits: QoS (2), No Local, Retain As Published, identifier (28). QoS 3 does not exist: it marks what is not
  // a session's subscription, and the next bit says what it is.
  static constexpr uint32_t kQosMask = 3, kNoLocal = 4, kRetainAsPublished = 8, kKindMask = 7, kGroup = 3,
                            kTable = 7;

  uint32_t low_ = 0, high_ = 0, bits_ = 0;
};

struct SubscriberTable;

class SpareTable {
 public:
  SpareTable() = default;
  ~SpareTable();
  SpareTable(const SpareTable&) = delete;
  SpareTable& operator=(const SpareTable&) = delete;

 private:
  friend class SubscriberSet;
  SubscriberTable* table_ = nullptr;
  bool old_ = false;  // it was swapped out, not prepared
};

class SubscriberSet {
 public:
  bool empty() const { return !one_.present(); }
  size_t size() const;
  bool contains(PackedSubscriber member) const { return find(member).present(); }
  // The same member as it stands here; one that is not present() if it does not.
  PackedSubscriber find(PackedSubscriber member) const;

  void prepare_add(SpareTable& spare) const;
  void prepare_remove(SpareTable& spare) const;
  // True if new, false if it replaced the same session's or group's. Needs what prepare_add() left.
  bool add(PackedSubscriber member, SpareTable& spare);
  // False if it was not there.
  bool remove(PackedSubscriber member, SpareTable& spare);

  template <typename Visit>
  void for_each(Visit visit) const;

  // Memory outside of the 12 bytes.
  size_t table_bytes() const;
  // Empties it; for the index's end.
  void destroy();

 private:
  SubscriberTable* table() const {
    return reinterpret_cast<SubscriberTable*>(static_cast<uintptr_t>(one_.key()));
  }
  void point_to(SubscriberTable* table);

  PackedSubscriber one_;
};
static_assert(sizeof(SubscriberSet) == 12 && alignof(SubscriberSet) == 4);

// Open-addressed, at most 3/4 full; `slots` are behind the header.
struct SubscriberTable {
  uint32_t count = 0;
  uint32_t capacity_log = 0;

  uint32_t capacity() const { return 1u << capacity_log; }
  PackedSubscriber* slots() { return reinterpret_cast<PackedSubscriber*>(this + 1); }
  const PackedSubscriber* slots() const { return reinterpret_cast<const PackedSubscriber*>(this + 1); }

  static SubscriberTable* make(uint32_t capacity_log);
  static void destroy(SubscriberTable* table);
  static size_t bytes(uint32_t capacity_log) {
    return sizeof(SubscriberTable) + (size_t{1} << capacity_log) * sizeof(PackedSubscriber);
  }

  uint32_t home(const PackedSubscriber& member) const {
    return static_cast<uint32_t>(member.key() * 0x9E3779B97F4A7C15ull >> (64 - capacity_log));
  }
  uint32_t find(const PackedSubscriber& member) const;  // its slot, or the free one where it belongs
};

template <typename Visit>
void SubscriberSet::for_each(Visit visit) const {
  if (!one_.is_table()) {
    if (one_.present()) visit(one_);
    return;
  }
  const SubscriberTable& members = *table();
  const PackedSubscriber* slots = members.slots();
  for (uint32_t i = 0; i < members.capacity(); ++i) {
    if (slots[i].present()) visit(slots[i]);
  }
}

}  // namespace courier::routing
