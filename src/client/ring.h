// A queue in one growing circular array. Unlike std::deque it allocates nothing while empty and is four words
// small, which an idle client, of which there may be tens of thousands, is glad of.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"

namespace courier::client {

template <typename T>
class Ring {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  T& operator[](size_t index) { return places_[(head_ + index) & (capacity_ - 1)]; }
  const T& operator[](size_t index) const { return places_[(head_ + index) & (capacity_ - 1)]; }
  T& front() { return (*this)[0]; }

  void push_back(T value) {
    grow();
    ++size_;
    (*this)[size_ - 1] = std::move(value);
  }
  void push_front(T value) {
    grow();
    head_ = (head_ + capacity_ - 1) & (capacity_ - 1);
    ++size_;
    front() = std::move(value);
  }
  T pop_front() {
    CHECK(size_ > 0);
    T value = std::exchange(front(), T{});
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return value;
  }
  // Gives the memory back.
  void clear() { *this = Ring(); }

 private:
  void grow() {
    if (size_ < capacity_) return;
    const size_t capacity = capacity_ == 0 ? 4 : capacity_ * 2;
    auto places = std::make_unique<T[]>(capacity);
    for (size_t i = 0; i < size_; ++i) places[i] = std::move((*this)[i]);
    places_ = std::move(places);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<T[]> places_;
  size_t capacity_ = 0;  // 0 or a power of two
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace courier::client
