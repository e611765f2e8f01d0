// The hash of topics, filters and levels. Keyed, so that a client who picks filters cannot pick collisions.
// After wyhash (Wang Yi, public domain): two multiplications per 16 bytes, all bits of the result are good.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace courier::routing {

namespace keyed_hash_detail {

__extension__ typedef unsigned __int128 Wide;
inline constexpr uint64_t kA = 0xa0761d6478bd642full;
inline constexpr uint64_t kB = 0xe7037ed1a0b428dbull;

inline uint64_t mix(uint64_t a, uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
inline uint64_t read8(const char* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
inline uint64_t read4(const char* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

}  // namespace keyed_hash_detail

inline uint64_t keyed_hash(uint64_t key, std::string_view text) {
  using namespace keyed_hash_detail;
  const char* p = text.data();
  const size_t size = text.size();
  uint64_t state = key ^ mix(key ^ kA, kB);
  uint64_t a = 0;
  uint64_t b = 0;
  if (size > 16) {
    size_t left = size;
    for (; left > 16; left -= 16, p += 16) state = mix(read8(p) ^ kB, read8(p + 8) ^ state);
    a = read8(p + left - 16);
    b = read8(p + left - 8);
  } else if (size >= 4) {
    const size_t step = (size >> 3) << 2;
    a = read4(p) << 32 | read4(p + step);
    b = read4(p + size - 4) << 32 | read4(p + size - 4 - step);
  } else if (size > 0) {
    const auto byte = [p](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(p[i])); };
    a = byte(0) << 16 | byte(size >> 1) << 8 | byte(size - 1);
  }
  const Wide product = static_cast<Wide>(a ^ kB) * (b ^ state);
  return mix(static_cast<uint64_t>(product) ^ kA ^ size, static_cast<uint64_t>(product >> 64) ^ kB);
}

inline uint64_t keyed_hash(uint64_t key, uint64_t number) {
  using namespace keyed_hash_detail;
  return mix(key ^ kA, number ^ kB);
}

}  // namespace courier::routing
