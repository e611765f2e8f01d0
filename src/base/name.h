// A string that few things have and many name: a listener, a mountpoint. One word each; the text stands once
// in the process, for as long as anybody names it.
//
// Any thread. Making one takes a lock and a lookup; copying, reading and comparing do not.
#pragma once

#include <atomic>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace courier {

class Name {
 public:
  Name() = default;
  Name(std::string_view text);
  Name(const std::string& text) : Name(std::string_view(text)) {}
  Name(const char* text) : Name(std::string_view(text)) {}
  Name(const Name& other) noexcept : entry_(other.entry_) {
    if (entry_) entry_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Name(Name&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  Name& operator=(Name other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Name() {
    if (entry_) release();
  }

  const std::string& str() const { return entry_ ? entry_->text : kEmpty; }
  operator const std::string&() const { return str(); }
  operator std::string_view() const { return str(); }
  bool empty() const { return entry_ == nullptr; }

  bool operator==(const Name& other) const { return entry_ == other.entry_; }
  bool operator==(std::string_view other) const { return str() == other; }
  bool operator==(const std::string& other) const { return str() == other; }
  bool operator==(const char* other) const { return str() == other; }
  friend std::ostream& operator<<(std::ostream& out, const Name& name) { return out << name.str(); }

  // How many different ones there are; for tests.
  static size_t count();

 private:
  struct Entry {
    explicit Entry(std::string_view t) : text(t) {}
    std::atomic<uint64_t> references{1};
    const std::string text;
  };
  struct Table;
  static Table& table();
  void release() noexcept;

  static const std::string kEmpty;
  Entry* entry_ = nullptr;  // null: the empty one
};

}  // namespace courier
