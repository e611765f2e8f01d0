// A part that most owners do not have at any moment: one word, and memory only from make() to drop().
//
// Read through *this (an empty T stands in for a part that is not there), written through make(). Whoever
// keeps it decides when it goes: not after each use, where the next follows at once. Not for several threads.
#pragma once

#include <memory>

namespace courier {

template <typename T>
class Lazy {
 public:
  explicit operator bool() const { return part_ != nullptr; }
  const T& operator*() const { return part_ ? *part_ : none(); }
  const T* operator->() const { return &**this; }
  // Null while it is not there.
  T* get() { return part_.get(); }
  T& make() {
    if (!part_) part_ = std::make_unique<T>();
    return *part_;
  }
  void drop() { part_.reset(); }

 protected:
  std::unique_ptr<T> part_;

 private:
  static const T& none() {
    static const T none{};
    return none;
  }
};

}  // namespace courier
