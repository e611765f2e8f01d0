// A queue in one piece of memory, indexed from its front, that costs nothing while empty: most sessions owe
// nothing most of the time, and there are millions of them (std::deque keeps 600 bytes from its first
// breath).
//
// Grows by doubling; gives its memory back as soon as it is empty, unless it is room for no more than `kKept`
// items: for owners who give the whole ring away when they have no use for it. Not for several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/check.h"

namespace courier {

template <typename T, uint32_t kKept = 0>
class Ring {
 public:
  Ring() = default;
  Ring(Ring&& other) noexcept { swap(other); }
  Ring& operator=(Ring&& other) noexcept {
    Ring taken(std::move(other));
    swap(taken);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t capacity() const { return capacity_; }
  T& operator[](size_t index) { return items_[(front_ + index) & (capacity_ - 1)]; }
  const T& operator[](size_t index) const { return items_[(front_ + index) & (capacity_ - 1)]; }
  T& front() { return (*this)[0]; }

  T& emplace_back(T item = {}) {
    if (size_ == capacity_) grow();
    T& place = (*this)[size_++];
    place = std::move(item);
    return place;
  }
  void push_back(T item) { emplace_back(std::move(item)); }
  void push_front(T item) {
    if (size_ == capacity_) grow();
    front_ = (front_ + capacity_ - 1) & (capacity_ - 1);
    ++size_;
    front() = std::move(item);
  }
  T pop_front() {
    CHECK(size_ > 0);
    T item = std::exchange(front(), T{});
    front_ = (front_ + 1) & (capacity_ - 1);
    if (--size_ == 0) clear();
    return item;
  }
  // Drops all from `size` on, which is not more than there are.
  void truncate(size_t size) {
    CHECK(size <= size_);
    while (size_ > size) (*this)[--size_] = T{};
    if (size_ == 0) clear();
  }
  void clear() {
    if (capacity_ <= kKept) {
      while (size_ > 0) (*this)[--size_] = T{};
    } else {
      items_.reset();
      capacity_ = size_ = 0;
    }
    front_ = 0;
  }

 private:
  static constexpr uint32_t kCapacityMin = 4;

  void swap(Ring& other) {
    std::swap(items_, other.items_);
    std::swap(capacity_, other.capacity_);
    std::swap(front_, other.front_);
    std::swap(size_, other.size_);
  }
  void grow() {
    CHECK(capacity_ < uint32_t{1} << 31);
    const uint32_t capacity = capacity_ == 0 ? kCapacityMin : capacity_ * 2;
    auto items = std::make_unique<T[]>(capacity);
    for (uint32_t i = 0; i < size_; ++i) items[i] = std::move((*this)[i]);
    items_ = std::move(items);
    capacity_ = capacity;
    front_ = 0;
  }

  std::unique_ptr<T[]> items_;
  uint32_t capacity_ = 0;  // 0 or a power of two
  uint32_t front_ = 0, size_ = 0;
};

}  // namespace courier
