// Strings for what there are millions of and hardly ever changes: client ids, usernames, addresses.
//
// An immutable text of kSize bytes in place. What has fewer bytes than that lies inside; anything longer is
// one block, which all copies share (its count is thread-safe). A std::string takes 32 bytes, and a block of
// its own for each copy of more than 15.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace courier {

template <size_t kSize>
class BasicText {
 public:
  static constexpr size_t kInside = kSize - 1;  // the longest that needs no block

  BasicText() = default;
  BasicText(std::string_view text) {
    if (text.size() <= kInside) {
      if (!text.empty()) std::memcpy(bytes_, text.data(), text.size());
      bytes_[kInside] = static_cast<char>(text.size());
      return;
    }
    Block* block = new (::operator new(sizeof(Block) + text.size())) Block;
    block->size = text.size();
    std::memcpy(block->text(), text.data(), text.size());
    std::memcpy(bytes_, &block, sizeof(block));
    bytes_[kInside] = kOutside;
  }
  BasicText(const std::string& text) : BasicText(std::string_view(text)) {}
  BasicText(const char* text) : BasicText(std::string_view(text)) {}
  BasicText(const BasicText& other) noexcept {
    std::memcpy(bytes_, other.bytes_, kSize);
    if (outside()) block()->references.fetch_add(1, std::memory_order_relaxed);
  }
  BasicText(BasicText&& other) noexcept { swap(other); }
  BasicText& operator=(BasicText other) noexcept {
    swap(other);
    return *this;
  }
  ~BasicText() {
    if (!outside() || block()->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    block()->~Block();
    ::operator delete(block());
  }

  std::string_view view() const {
    return outside() ? std::string_view(block()->text(), block()->size)
                     : std::string_view(bytes_, static_cast<size_t>(bytes_[kInside]));
  }
  operator std::string_view() const { return view(); }
  std::string str() const { return std::string(view()); }
  bool empty() const { return bytes_[kInside] == 0; }
  size_t size() const { return view().size(); }

  bool operator==(const BasicText& other) const { return view() == other.view(); }
  bool operator==(std::string_view other) const { return view() == other; }
  bool operator==(const std::string& other) const { return view() == other; }
  bool operator==(const char* other) const { return view() == other; }
  friend std::ostream& operator<<(std::ostream& out, const BasicText& text) { return out << text.view(); }

 private:
  static constexpr char kOutside = 0x7F;
  static_assert(kSize % 8 == 0 && kSize >= 16 && kInside < kOutside);

  struct Block {
    std::atomic<uint32_t> references{1};
    size_t size = 0;
    char* text() { return reinterpret_cast<char*>(this + 1); }
  };

  bool outside() const { return bytes_[kInside] == kOutside; }
  Block* block() const {
    Block* block;
    std::memcpy(&block, bytes_, sizeof(block));
    return block;
  }
  void swap(BasicText& other) noexcept {
    char bytes[kSize];
    std::memcpy(bytes, bytes_, kSize);
    std::memcpy(bytes_, other.bytes_, kSize);
    std::memcpy(other.bytes_, bytes, kSize);
  }

  alignas(8) char bytes_[kSize] = {};  // the last one: how many of them count, or kOutside
};

using Text = BasicText<16>;

}  // namespace courier
