// Writing and reading fields, for rows. Inside src/record only.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <string_view>

#include "base/varint.h"

namespace courier::record {

inline void put_u8(std::string& out, uint8_t value) {
  out.push_back(static_cast<char>(value));
}
inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}
inline void put_be64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// Reads fields from the front; after the first that does not fit, everything reads as zero and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  std::string_view rest() const { return rest_; }
  void skip_to(std::string_view rest) { rest_ = rest; }
  void fail() { ok_ = false; }

  uint64_t varint(uint64_t max = UINT64_MAX) {
    const auto value = ok_ ? take_varint(rest_) : std::nullopt;
    if (!value || *value > max) {
      ok_ = false;
      return 0;
    }
    return *value;
  }
  uint8_t u8() {
    if (!ok_ || rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  uint64_t be64() {
    if (!ok_ || rest_.size() < 8) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(8);
    return value;
  }
  std::string_view text() {
    const uint64_t size = varint();
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }
  // A count of things of which each takes at least one byte: bounded by what is left.
  size_t count() { return varint(rest_.size()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace courier::record
