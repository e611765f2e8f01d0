// Integers of variable length (LEB128): seven bits a byte, low bits first, the high bit says "more follows".
// Zigzag makes small negative numbers short too. Every number has exactly one encoding; longer ones are
// refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace courier {

inline constexpr size_t kVarintBytesMax = 10;

constexpr size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// Writes at most kVarintBytesMax bytes to `to`; returns how many.
inline size_t write_varint(char* to, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) to[size++] = static_cast<char>(value | 0x80);
  to[size++] = static_cast<char>(value);
  return size;
}

inline void put_varint(std::string& out, uint64_t value) {
  if (value < 0x80) {
    out.push_back(static_cast<char>(value));
    return;
  }
  char bytes[kVarintBytesMax];
  out.append(bytes, write_varint(bytes, value));
}

// Takes a varint from the front of `bytes`. Nothing, and `bytes` unchanged, if it ends in the middle, does
// not fit 64 bits or is longer than it must be.
inline std::optional<uint64_t> take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size() && i < kVarintBytesMax; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == kVarintBytesMax - 1 && byte > 1) return std::nullopt;
    value |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte & 0x80) continue;
    if (byte == 0 && i > 0) return std::nullopt;
    bytes.remove_prefix(i + 1);
    return value;
  }
  return std::nullopt;
}

constexpr uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1)));
}

}  // namespace courier
