// A session's subscriptions as they are kept in memory: a million sessions have one or two each.
//
// Few of them are one block, the row of the store; many are a list, so that the next SUBSCRIBE of a session
// that has ten thousand does not take them all apart. Not for several threads.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "record/rows.h"

namespace courier::record {

class PackedSubscriptions {
 public:
  PackedSubscriptions() = default;
  PackedSubscriptions(PackedSubscriptions&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  PackedSubscriptions& operator=(PackedSubscriptions&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~PackedSubscriptions() { clear(); }

  Subscriptions get() const;
  // Takes none of them apart where there are many.
  bool has(std::string_view filter) const;
  void set(Subscriptions subscriptions);

  // Takes them out to be changed; set() puts them back.
  Subscriptions take();

 private:
  static constexpr size_t kPackedMax = 8;  // filters
  static constexpr uintptr_t kList = 1;    // the lowest bit of word_

  Subscriptions* list() const { return reinterpret_cast<Subscriptions*>(word_ & ~kList); }
  char* block() const { return reinterpret_cast<char*>(word_); }
  void clear();

  uintptr_t word_ = 0;  // 0, a block (its size in four bytes, then the row), or a list and kList
};

}  // namespace courier::record
