#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

#include "base/check.h"

namespace courier::net {

TimerNode::~TimerNode() {
  CHECK(!armed());
}

TimerWheelCore::TimerWheelCore(MonoNs now, MonoNs tick_ns) : tick_ns_(tick_ns) {
  CHECK(tick_ns >= 1 && now >= 0);
  present_ = static_cast<uint64_t>(now / tick_ns);
}

TimerWheelCore::~TimerWheelCore() {
  // The wheel may go first; its timers are then simply no longer armed.
  for (Level& level : levels_) {
    for (TimerNode* node : level.slots) {
      while (node != nullptr) {
        node->link_ = nullptr;
        node = std::exchange(node->next_, nullptr);
      }
    }
  }
}

void TimerWheelCore::arm(TimerNode& node, MonoNs due, uint64_t multiple) {
  cancel(node);
  const auto tick_ns = static_cast<uint64_t>(tick_ns_);
  uint64_t tick = 0;
  if (due > 0) tick = (static_cast<uint64_t>(due) + tick_ns - 1) / tick_ns;
  tick = (tick + multiple - 1) / multiple * multiple;
  node.tick_ = std::max(tick, advancing_ ? target_ + 1 : present_);
  insert(node);
  ++size_;
}

void TimerWheelCore::cancel(TimerNode& node) {
  if (!node.armed()) return;
  unlink(node);
  --size_;
}

void TimerWheelCore::insert(TimerNode& node) {
  const uint64_t different = node.tick_ ^ present_;
  const unsigned level =
      different == 0 ? 0 : (63u - static_cast<unsigned>(std::countl_zero(different))) / kDigitBits;
  const unsigned slot = (node.tick_ >> (level * kDigitBits)) & (kSlots - 1);
  Level& home = levels_[level];
  home.occupied |= uint64_t{1} << slot;
  TimerNode*& head = home.slots[slot];
  node.next_ = head;
  node.link_ = &head;
  if (head != nullptr) head->link_ = &node.next_;
  head = &node;
}

void TimerWheelCore::unlink(TimerNode& node) {
  TimerNode** const link = std::exchange(node.link_, nullptr);
  *link = node.next_;
  if (node.next_ != nullptr) {
    node.next_->link_ = link;
    node.next_ = nullptr;
    return;
  }
  // Perhaps its slot is empty now: then `link` is the slot's own head.
  const std::less<> before;
  for (Level& level : levels_) {
    TimerNode** const first = level.slots.data();
    if (before(link, first) || !before(link, first + kSlots)) continue;
    level.occupied &= ~(uint64_t{1} << (link - first));
    return;
  }
}

std::optional<TimerWheelCore::Place> TimerWheelCore::earliest() const {
  // All timers of a finer level come before those of a coarser one, because they share more leading digits
  // with the present tick. Within a level no slot before the present digit is occupied.
  for (unsigned level = 0; level < kLevels; ++level) {
    const uint64_t occupied = levels_[level].occupied;
    if (occupied == 0) continue;
    const auto slot = static_cast<unsigned>(std::countr_zero(occupied));
    const unsigned shift = level * kDigitBits;
    const unsigned above = shift + kDigitBits;
    const uint64_t prefix = above >= 64 ? 0 : present_ >> above << above;
    return Place{level, slot, prefix | uint64_t{slot} << shift};
  }
  return std::nullopt;
}

std::optional<MonoNs> TimerWheelCore::next_due() const {
  const auto place = earliest();
  if (!place) return std::nullopt;
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<MonoNs>::max());
  const auto tick_ns = static_cast<uint64_t>(tick_ns_);
  return static_cast<MonoNs>(place->tick > kMax / tick_ns ? kMax : place->tick * tick_ns);
}

void TimerWheelCore::begin(MonoNs now) {
  CHECK(!advancing_);
  target_ = std::max(present_, static_cast<uint64_t>(std::max<MonoNs>(now, 0) / tick_ns_));
  advancing_ = true;
}

TimerNode* TimerWheelCore::pop() {
  while (firing_ == nullptr) {
    const auto place = earliest();
    if (!place || place->tick > target_) return nullptr;
    present_ = place->tick;
    Level& level = levels_[place->level];
    level.occupied &= ~(uint64_t{1} << place->slot);
    TimerNode* list = std::exchange(level.slots[place->slot], nullptr);
    if (place->level == 0) {
      firing_ = list;
      firing_->link_ = &firing_;
      break;
    }
    // A coarse slot's turn: its timers differ from the present tick in a lower digit only, and go there.
    while (list != nullptr) {
      TimerNode& node = *list;
      list = node.next_;
      insert(node);
    }
  }
  TimerNode* const node = firing_;
  unlink(*node);
  --size_;
  return node;
}

void TimerWheelCore::end() {
  present_ = target_;
  advancing_ = false;
}

}  // namespace courier::net
