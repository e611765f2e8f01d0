#include "routing/subscriber_set.h"

#include <memory>
#include <new>

#include "base/check.h"

namespace courier::routing {

PackedSubscriber PackedSubscriber::of(const Subscriber& subscriber) {
  CHECK(subscriber.session && subscriber.subscription_identifier < (1u << 28));
  PackedSubscriber packed;
  packed.low_ = static_cast<uint32_t>(subscriber.session.value);
  packed.high_ = static_cast<uint32_t>(subscriber.session.value >> 32);
  packed.bits_ = static_cast<uint32_t>(subscriber.options.qos) |
                 (subscriber.options.no_local ? kNoLocal : 0) |
                 (subscriber.options.retain_as_published ? kRetainAsPublished : 0) |
                 subscriber.subscription_identifier << 4;
  return packed;
}

PackedSubscriber PackedSubscriber::of_group(uint32_t slot) {
  PackedSubscriber packed;
  packed.low_ = slot;
  packed.bits_ = kGroup;
  return packed;
}

Subscriber PackedSubscriber::subscriber() const {
  Subscriber subscriber;
  subscriber.session = session();
  subscriber.options.qos = static_cast<mqtt::Qos>(bits_ & kQosMask);
  subscriber.options.no_local = no_local();
  subscriber.options.retain_as_published = (bits_ & kRetainAsPublished) != 0;
  subscriber.subscription_identifier = bits_ >> 4;
  return subscriber;
}

SubscriberTable* SubscriberTable::make(uint32_t capacity_log) {
  void* memory = ::operator new(bytes(capacity_log));
  auto* table = new (memory) SubscriberTable;
  table->capacity_log = capacity_log;
  std::uninitialized_default_construct_n(table->slots(), table->capacity());
  return table;
}

void SubscriberTable::destroy(SubscriberTable* table) {
  ::operator delete(table);
}

uint32_t SubscriberTable::find(const PackedSubscriber& member) const {
  const uint32_t mask = capacity() - 1;
  uint32_t i = home(member);
  while (slots()[i].present() && !slots()[i].same_member(member)) i = (i + 1) & mask;
  return i;
}

namespace {

constexpr uint32_t kCapacityLogMin = 2;

SubscriberTable* rebuilt(const SubscriberTable& from, uint32_t capacity_log) {
  SubscriberTable* to = SubscriberTable::make(capacity_log);
  for (uint32_t i = 0; i < from.capacity(); ++i) {
    if (from.slots()[i].present()) to->slots()[to->find(from.slots()[i])] = from.slots()[i];
  }
  to->count = from.count;
  return to;
}

}  // namespace

SpareTable::~SpareTable() {
  if (table_) SubscriberTable::destroy(table_);
}

size_t SubscriberSet::size() const {
  if (one_.is_table()) return table()->count;
  return one_.present() ? 1 : 0;
}

PackedSubscriber SubscriberSet::find(PackedSubscriber member) const {
  if (one_.is_table()) return table()->slots()[table()->find(member)];
  return one_.present() && one_.same_member(member) ? one_ : PackedSubscriber();
}

size_t SubscriberSet::table_bytes() const {
  return one_.is_table() ? SubscriberTable::bytes(table()->capacity_log) : 0;
}

void SubscriberSet::point_to(SubscriberTable* table) {
  const auto address = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(table));
  one_.low_ = static_cast<uint32_t>(address);
  one_.high_ = static_cast<uint32_t>(address >> 32);
  one_.bits_ = PackedSubscriber::kTable;
}

void SubscriberSet::prepare_add(SpareTable& spare) const {
  CHECK(!spare.table_);
  if (empty()) return;
  if (!one_.is_table()) {
    spare.table_ = SubscriberTable::make(kCapacityLogMin);
    spare.table_->slots()[spare.table_->find(one_)] = one_;
    spare.table_->count = 1;
  } else if ((table()->count + 1) * uint64_t{4} > table()->capacity() * uint64_t{3}) {
    spare.table_ = rebuilt(*table(), table()->capacity_log + 1);
  }
}

void SubscriberSet::prepare_remove(SpareTable& spare) const {
  CHECK(!spare.table_);
  if (!one_.is_table()) return;
  const SubscriberTable& members = *table();
  if (members.capacity_log > kCapacityLogMin && members.count * uint64_t{6} < members.capacity()) {
    spare.table_ = rebuilt(members, members.capacity_log - 1);
  }
}

bool SubscriberSet::add(PackedSubscriber member, SpareTable& spare) {
  if (empty() || (!one_.is_table() && one_.same_member(member))) {
    const bool is_new = empty();
    one_ = member;
    return is_new;
  }
  if (spare.table_ && !spare.old_) {
    SubscriberTable* old = one_.is_table() ? table() : nullptr;
    point_to(spare.table_);
    spare.table_ = old;
    spare.old_ = true;
  }
  SubscriberTable& members = *table();
  PackedSubscriber& slot = members.slots()[members.find(member)];
  const bool is_new = !slot.present();
  slot = member;
  if (is_new) ++members.count;
  CHECK(members.count < members.capacity());
  return is_new;
}

bool SubscriberSet::remove(PackedSubscriber member, SpareTable& spare) {
  if (!one_.is_table()) {
    if (!one_.present() || !one_.same_member(member)) return false;
    one_ = {};
    return true;
  }
  if (spare.table_ && !spare.old_) {
    SubscriberTable* old = table();
    point_to(spare.table_);
    spare.table_ = old;
    spare.old_ = true;
  }
  SubscriberTable& members = *table();
  PackedSubscriber* slots = members.slots();
  const uint32_t mask = members.capacity() - 1;
  uint32_t hole = members.find(member);
  if (!slots[hole].present()) return false;
  // Closes the gap: whatever was pushed past the hole moves back into it.
  for (uint32_t i = (hole + 1) & mask; slots[i].present(); i = (i + 1) & mask) {
    if (((i - members.home(slots[i])) & mask) >= ((i - hole) & mask)) {
      slots[hole] = slots[i];
      hole = i;
    }
  }
  slots[hole] = {};
  if (--members.count == 1) {
    PackedSubscriber last;
    for_each([&](const PackedSubscriber& left) { last = left; });
    SubscriberTable* old = table();
    one_ = last;
    // A second table to free is small by now: a set shrinks on its way down.
    if (spare.table_) {
      SubscriberTable::destroy(old);
    } else {
      spare.table_ = old;
      spare.old_ = true;
    }
  }
  return true;
}

void SubscriberSet::destroy() {
  if (one_.is_table()) SubscriberTable::destroy(table());
  one_ = {};
}

}  // namespace courier::routing
