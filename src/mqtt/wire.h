// The data types of section 1.5 as bytes: a Reader over one packet's body, a Writer onto a string.
// Both belong to the call that made them and allocate nothing of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "mqtt/decoder.h"
#include "mqtt/limits.h"
#include "mqtt/protocol.h"
#include "mqtt/topic.h"

namespace courier::mqtt {

// Reads from front to back. The first failure sticks and ends the input: later reads give zeros and empty
// views, so a decoder reads straight down and failed() is asked once, at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return at_; }

  bool failed() const { return violation_.has_value(); }
  const Violation& violation() const { return *violation_; }
  void fail(const Violation& violation) {
    if (failed()) return;
    violation_ = violation;
    at_ = end_;
  }
  // Fails unless the condition holds. `what` and `clause` are static texts.
  void require(bool condition, ReasonCode reason, std::string_view what, std::string_view clause = {}) {
    if (!condition) [[unlikely]]
      fail({.reason = reason, .what = what, .clause = clause});
  }

  uint8_t byte() {
    if (!has(1)) return 0;
    return static_cast<uint8_t>(*at_++);
  }
  uint16_t two_bytes() {
    if (!has(2)) return 0;
    const uint16_t value = static_cast<uint16_t>(octet(0) << 8 | octet(1));
    at_ += 2;
    return value;
  }
  uint32_t four_bytes() {
    if (!has(4)) return 0;
    const uint32_t value =
        uint32_t{octet(0)} << 24 | uint32_t{octet(1)} << 16 | uint32_t{octet(2)} << 8 | octet(3);
    at_ += 4;
    return value;
  }
  uint32_t variable_byte_integer() {
    uint32_t value = 0;
    for (int shift = 0; shift <= 21; shift += 7) {
      if (!has(1)) return 0;
      const uint8_t digit = static_cast<uint8_t>(*at_++);
      value |= uint32_t{digit & 0x7Fu} << shift;
      if ((digit & 0x80) != 0) continue;
      // [MQTT-1.5.5-1]
      require(digit != 0 || shift == 0, ReasonCode::malformed_packet,
              "a variable byte integer has more bytes than it needs", "MQTT-1.5.5-1");
      return failed() ? 0 : value;
    }
    require(false, ReasonCode::malformed_packet, "a variable byte integer has more than four bytes");
    return 0;
  }
  std::string_view take(size_t size) {
    if (!has(size)) return {};
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }
  std::string_view rest() { return take(left()); }
  std::string_view binary() { return take(two_bytes()); }
  std::string_view string() {
    const std::string_view text = binary();
    if (is_utf8(text)) [[likely]]
      return text;
    const bool has_nul = text.find('\0') != std::string_view::npos;
    fail({.reason = ReasonCode::malformed_packet,
          .what = has_nul ? "a string holds U+0000" : "a string is not well-formed UTF-8",
          .clause = has_nul ? "MQTT-1.5.4-2" : "MQTT-1.5.4-1"});
    return {};
  }

 private:
  uint8_t octet(size_t index) const { return static_cast<uint8_t>(at_[index]); }
  bool has(size_t size) {
    if (left() >= size) [[likely]]
      return true;
    fail({.reason = ReasonCode::malformed_packet, .what = "a field runs past the end of the packet"});
    return false;
  }

  const char* at_;
  const char* end_;
  std::optional<Violation> violation_;
};

constexpr size_t variable_byte_integer_size(uint32_t value) {
  return value < 128 ? 1 : value < 16'384 ? 2 : value < 2'097'152 ? 3 : 4;
}

// Appends to a string that the caller owns.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  size_t size() const { return out_.size(); }
  void byte(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void two_bytes(uint16_t value) {
    const char bytes[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
    out_.append(bytes, 2);
  }
  void four_bytes(uint32_t value) {
    two_bytes(static_cast<uint16_t>(value >> 16));
    two_bytes(static_cast<uint16_t>(value));
  }
  void variable_byte_integer(uint32_t value) {
    CHECK(value <= kVariableByteIntegerMax);
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  // A string or binary data: two bytes of length in front.
  void string(std::string_view text) {
    CHECK(text.size() <= kStringSizeMax);
    two_bytes(static_cast<uint16_t>(text.size()));
    out_.append(text);
  }

  // A variable byte integer that counts what is written between open_length() and close_length(). One byte is
  // set aside; the rare longer one moves what follows. Returns false, leaving the text as it is, when the
  // count is more than such an integer can hold.
  size_t open_length() {
    byte(0);
    return size();
  }
  bool close_length(size_t opened);

 private:
  std::string& out_;
};

}  // namespace courier::mqtt
