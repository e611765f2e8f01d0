// Hashes that nobody outside can aim: of addresses and names that strangers choose.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace courier::admission {

inline uint64_t fresh_seed() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

__extension__ typedef unsigned __int128 Product;  // pedantic about what every compiler here has

inline uint64_t mix(uint64_t a, uint64_t b) {
  const Product product = static_cast<Product>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// After wyhash: each eight bytes are multiplied with what came before, under the seed.
inline uint64_t seeded_hash(uint64_t seed, std::string_view bytes) {
  uint64_t hash = mix(seed ^ 0xA0761D6478BD642Fu, bytes.size() ^ 0xE7037ED1A0B428DBu);
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t size = bytes.size() < 8 ? bytes.size() : 8;
    std::memcpy(&word, bytes.data(), size);
    hash = mix(hash ^ word ^ 0x8EBC6AF09C88C6E3u, seed ^ 0x589965CC75374CC3u);
    bytes.remove_prefix(size);
  }
  return hash;
}

}  // namespace courier::admission
