// A part that an owner has while something moves, and there are so many owners that the parts of those who
// rest are used again: Lazy, but what drop() takes goes to the thread's store, still warm, for the next
// make().
//
// T has `bool empty_out()`: makes it like new, but for whatever memory is worth keeping; false if none is.
// Not for several threads.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/lazy.h"

namespace courier {

template <typename T>
class Recycled : public Lazy<T> {
 public:
  T& make() {
    if (part_) return *part_;
    std::vector<std::unique_ptr<T>>& store = kept();
    if (store.empty()) return Lazy<T>::make();
    part_ = std::move(store.back());
    store.pop_back();
    return *part_;
  }
  void drop() {
    if (!part_) return;
    std::vector<std::unique_ptr<T>>& store = kept();
    if (store.size() < kKeptMax && part_->empty_out()) store.push_back(std::move(part_));
    part_.reset();
  }

 private:
  using Lazy<T>::part_;
  static constexpr size_t kKeptMax = 1024;

  static std::vector<std::unique_ptr<T>>& kept() {
    thread_local std::vector<std::unique_ptr<T>> kept;
    return kept;
  }
};

}  // namespace courier
