// A pointer to an object that counts its own references (one word, one allocation).
// Used for what many threads share without changing it: messages, payloads.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace courier {

// Derive from this (CRTP) and hold by Intrusive<T>. The count is thread-safe; the object must be immutable
// once shared.
template <typename T>
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void add_reference() const noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() const noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<const T*>(this);
  }

 private:
  mutable std::atomic<uint32_t> references_{0};
};

template <typename T>
class Intrusive {
 public:
  Intrusive() = default;
  explicit Intrusive(T* object) : object_(object) {
    if (object_) object_->add_reference();
  }
  Intrusive(const Intrusive& other) : Intrusive(other.object_) {}
  Intrusive(Intrusive&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Intrusive& operator=(Intrusive other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Intrusive() {
    if (object_) object_->drop_reference();
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Intrusive&) const = default;

 private:
  T* object_ = nullptr;
};

}  // namespace courier
