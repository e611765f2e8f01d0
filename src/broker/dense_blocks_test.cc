#include "broker/dense_blocks.h"

#include <cstring>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace courier::broker {
namespace {

TEST(DenseBlocks, KeepWhatTheyHoldWhateverGoes) {
  std::mt19937_64 random(1);
  DenseBlocks blocks;
  struct Known {
    uint64_t number;
    size_t bytes;
  };
  std::map<std::byte*, Known> known;
  const auto agrees = [&](std::byte* block) {
    const Known& what = known.at(block);
    uint64_t number;
    std::memcpy(&number, block + 1, sizeof(number));
    return number == what.number && DenseBlocks::size(block) >= what.bytes &&
           block[what.bytes - 1] == static_cast<std::byte>(what.number) &&
           reinterpret_cast<uintptr_t>(block) % 4 == 0;
  };
  for (uint64_t number = 1; number <= 100'000; ++number) {
    const bool growing = number % 20'000 < 12'000;
    if (random() % 10 < (growing ? 8 : 2) || known.empty()) {
      const size_t bytes = 10 + random() % (random() % 2 == 0 ? 60 : DenseBlocks::kBytesMax - 9);
      std::byte* block = blocks.add(bytes);
      ASSERT_FALSE(known.contains(block));
      std::memcpy(block + 1, &number, sizeof(number));
      if (bytes > 9) block[bytes - 1] = static_cast<std::byte>(number);
      known[block] = {number, bytes};
      continue;
    }
    auto at = known.lower_bound(reinterpret_cast<std::byte*>(random()));
    if (at == known.end()) at = known.begin();
    std::byte* block = at->first;
    known.erase(at);
    if (std::byte* moved_from = blocks.remove(block)) {
      known[block] = known.at(moved_from);
      known.erase(moved_from);
      ASSERT_TRUE(agrees(block));
    }
  }
  for (const auto& [block, what] : known) ASSERT_TRUE(agrees(block));
  while (!known.empty()) {
    const auto at = known.begin();
    std::byte* block = at->first;
    known.erase(at);
    if (std::byte* moved_from = blocks.remove(block)) {
      known[block] = known.at(moved_from);
      known.erase(moved_from);
    }
  }
  EXPECT_EQ(blocks.bytes(), 0u) << "all of it is given back";
}

}  // namespace
}  // namespace courier::broker
