// The messages of one shared group, in order of their sequence numbers, in one piece of memory: what comes in
// at the end and goes out near the front costs no allocation and no walk through a tree.
//
// Owned by its group. An entry that was erased stays behind as a gap, until there are more gaps than entries;
// then they are all swept out at once. So memory is bounded by what is there, however far the numbers run
// ahead of an old message that nobody acknowledges.
//
// emplace() and erase() move the other entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"

namespace courier::routing {

struct GroupEntry {
  Position position;
  mqtt::MessagePtr message;
  SessionId member;  // who holds it; 0 = nobody
  mqtt::Qos qos{};   // at which the member holds it

  // SharedGroups' own notes.
  bool pending = false;  // may be given to somebody
  bool listed = false;   // among the group's dirty entries
  uint32_t place = 0;    // in the member's `held`
};

class GroupEntries {
 public:
  struct Item {
    uint64_t seq = 0;
    GroupEntry entry;
    bool gone = false;
  };

  // Over those that are there, ascending.
  template <typename Of>
  class Walk {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Item;
    using difference_type = ptrdiff_t;
    using pointer = Of*;
    using reference = Of&;
    Walk() = default;
    Walk(Of* at, Of* end) : at_(at), end_(end) { skip(); }
    Of& operator*() const { return *at_; }
    Of* operator->() const { return at_; }
    Walk& operator++() {
      ++at_;
      skip();
      return *this;
    }
    Walk operator++(int) {
      Walk before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Walk& other) const { return at_ == other.at_; }

   private:
    void skip() {
      while (at_ != end_ && at_->gone) ++at_;
    }
    Of* at_ = nullptr;
    Of* end_ = nullptr;
  };
  using iterator = Walk<Item>;
  using const_iterator = Walk<const Item>;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t slots() const { return items_.size(); }  // with the gaps
  iterator begin() { return {items_.data(), items_.data() + items_.size()}; }
  iterator end() { return {items_.data() + items_.size(), items_.data() + items_.size()}; }
  const_iterator begin() const { return {items_.data(), items_.data() + items_.size()}; }
  const_iterator end() const { return {items_.data() + items_.size(), items_.data() + items_.size()}; }
  // From the first with this number or a higher one.
  iterator from(uint64_t seq) { return {items_.data() + place_of(seq), items_.data() + items_.size()}; }
  const_iterator from(uint64_t seq) const {
    return {items_.data() + place_of(seq), items_.data() + items_.size()};
  }

  // Null if it is not there.
  Item* find(uint64_t seq);
  const Item* find(uint64_t seq) const { return const_cast<GroupEntries*>(this)->find(seq); }
  bool contains(uint64_t seq) const { return find(seq) != nullptr; }
  const GroupEntry& at(uint64_t seq) const;  // which is there

  // A number higher than all before.
  Item& emplace(uint64_t seq, GroupEntry entry);
  void erase(Item& item);

 private:
  size_t place_of(uint64_t seq) const;  // of the first item, there or gone, that is not lower
  void sweep();

  std::vector<Item> items_;  // ascending
  size_t size_ = 0;          // of them not gone
};

}  // namespace courier::routing
