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

namespace courier {

template <typename T>
class Recycled {
 public:
  Recycled() = default;
  Recycled(Recycled&&) noexcept = default;
  Recycled& operator=(Recycled&&) noexcept = default;

  explicit operator bool() const { return part_ != nullptr; }
  const T& operator*() const { return part_ ? *part_ : none(); }
  const T* operator->() const { return &**this; }
  // Null while it is not there.
  T* get() { return part_.get(); }
  T& make() {
    if (part_) return *part_;
    std::vector<std::unique_ptr<T>>& store = kept();
    if (store.empty()) {
      part_ = std::make_unique<T>();
    } else {
      part_ = std::move(store.back());
      store.pop_back();
    }
    return *part_;
  }
  void drop() {
    if (!part_) return;
    std::vector<std::unique_ptr<T>>& store = kept();
    if (store.size() < kKeptMax && part_->empty_out()) {
      store.push_back(std::move(part_));
    } else {
      part_.reset();
    }
  }

 private:
  static constexpr size_t kKeptMax = 1024;

  static const T& none() {
    static const T none{};
    return none;
  }
  static std::vector<std::unique_ptr<T>>& kept() {
    thread_local std::vector<std::unique_ptr<T>> kept;
    return kept;
  }
  std::unique_ptr<T> part_;
};

}  // namespace courier
