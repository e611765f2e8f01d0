#include "routing/handle_table.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "routing/block_arena.h"
#include "routing/keyed_hash.h"

namespace courier::routing {
namespace {

using Table = HandleTable<BlockArena::Handle>;

Table::value_type find(const Table& table, uint64_t hash, Table::value_type wanted) {
  return table.find(hash, [&](Table::value_type candidate) { return candidate == wanted; });
}

TEST(HandleTable, TellsApartWhatHashesAlike) {
  Table table;
  table.insert(5, 1);
  table.insert(5, 2);
  EXPECT_EQ(find(table, 5, 1), 1u);
  EXPECT_EQ(find(table, 5, 2), 2u);
  EXPECT_EQ(find(table, 5, 3), 0u);
  table.erase(5, 1);
  EXPECT_EQ(find(table, 5, 1), 0u);
  EXPECT_EQ(find(table, 5, 2), 2u);
}

// Keys may share a handle (sessions with one filter): what stands in the way of one must not go for another.
TEST(HandleTable, ErasesTheEntryOfThatHashThoughOthersHaveTheSameHandle) {
  for (const uint64_t first : {0x10000000u, 0x10000001u}) {
    const uint64_t second = first ^ 1;
    Table table;
    table.insert(first, 7);
    table.insert(second, 7);  // its home is taken: it stands behind
    table.erase(second, 7);
    EXPECT_EQ(find(table, first, 7), 7u);
    EXPECT_EQ(find(table, second, 7), 0u);
    table.insert(second, 7);
    table.erase(first, 7);
    EXPECT_EQ(find(table, second, 7), 7u);
    EXPECT_EQ(find(table, first, 7), 0u);
  }
}

// Few distinct hashes, at both ends of the tag's range and in few parts: long runs that wrap around.
TEST(HandleTable, AgreesWithAMapUnderRandomChanges) {
  std::mt19937_64 random(1);
  Table table;
  std::map<Table::value_type, uint64_t> model;
  const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
  for (int step = 0; step < 20'000; ++step) {
    const auto handle = static_cast<Table::value_type>(1 + below(200));
    const auto known = model.find(handle);
    if (known == model.end()) {
      const uint64_t tag = below(2) == 0 ? 0xFFFFFFFF - below(4) : below(1u << 30) << 2;
      const uint64_t hash = below(3) << 56 | tag;
      table.insert(hash, handle);
      model[handle] = hash;
    } else {
      table.erase(known->second, handle);
      model.erase(known);
    }
    if (step % 10 != 0) continue;
    for (const auto& [each, hash] : model) ASSERT_EQ(find(table, hash, each), each);
    size_t count = 0;
    table.for_each([&](Table::value_type each) {
      ++count;
      ASSERT_TRUE(model.contains(each));
    });
    ASSERT_EQ(count, model.size());
  }
}

TEST(KeyedHash, DependsOnEveryByteAndOnTheKey) {
  for (size_t size = 1; size <= 40; ++size) {
    const std::string text(size, 'a');
    for (size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = 'b';
      EXPECT_NE(keyed_hash(1, text), keyed_hash(1, other)) << size << " " << i;
    }
    EXPECT_NE(keyed_hash(1, text), keyed_hash(2, text));
    EXPECT_NE(keyed_hash(1, text), keyed_hash(1, text + "a"));
  }
}

}  // namespace
}  // namespace courier::routing
