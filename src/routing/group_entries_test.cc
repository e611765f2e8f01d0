#include "routing/group_entries.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "routing/routing_test_model.h"

namespace courier::routing {
namespace {

TEST(GroupEntries, AgreeWithAMapHoweverNumbersAreLeftOutAndErased) {
  std::mt19937_64 random(1);
  const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
  for (int round = 0; round < 20; ++round) {
    GroupEntries entries;
    std::map<uint64_t, Position> model;
    uint64_t next = 1;
    const uint64_t left_out = 1 + below(4), erased_of_ten = below(11);
    for (int step = 0; step < 3'000; ++step) {
      if (model.empty() || below(10) >= erased_of_ten) {
        next += below(left_out);
        entries.emplace(next,
                        {Position(1'000 + next), model::message("t", mqtt::Qos::at_least_once), {}, {}});
        model.emplace(next, Position(1'000 + next));
        ++next;
      } else {
        // Mostly of the oldest, now and then of all.
        auto victim = model.begin();
        std::advance(victim, below(below(4) == 0 ? model.size() : std::min<size_t>(model.size(), 20)));
        GroupEntries::Item* item = entries.find(victim->first);
        ASSERT_NE(item, nullptr);
        entries.erase(*item);
        model.erase(victim);
      }
      const uint64_t asked = below(next + 2);
      const auto known = model.find(asked);
      ASSERT_EQ(entries.contains(asked), known != model.end());
      if (known != model.end()) {
        ASSERT_EQ(entries.at(asked).position, known->second);
      }
      const auto from = entries.from(asked);
      const auto model_from = model.lower_bound(asked);
      ASSERT_EQ(from == entries.end(), model_from == model.end());
      if (model_from != model.end()) {
        ASSERT_EQ(from->seq, model_from->first);
      }
      ASSERT_EQ(entries.size(), model.size());
    }
    auto expected = model.begin();
    for (const auto& item : entries) ASSERT_EQ(item.seq, (expected++)->first);
    ASSERT_EQ(expected, model.end());
  }
}

TEST(GroupEntries, AnOldOneDoesNotKeepTheGapsOfThoseThatCameAfter) {
  GroupEntries entries;
  const auto add = [&](uint64_t seq) -> GroupEntries::Item& {
    return entries.emplace(seq, {Position(seq), model::message("t", mqtt::Qos::exactly_once), {}, {}});
  };
  add(1);
  for (uint64_t seq = 2; seq < 100'000; ++seq) entries.erase(add(seq));
  EXPECT_TRUE(entries.contains(1));
  EXPECT_EQ(entries.size(), 1u);
  EXPECT_LT(entries.slots(), 200u);
}

}  // namespace
}  // namespace courier::routing
