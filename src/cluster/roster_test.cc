#include "cluster/roster.h"

#include <map>

#include <gtest/gtest.h>

namespace courier::cluster {
namespace {

Member member(const char* id, uint64_t epoch, MemberState state = MemberState::active) {
  return {id, NodeEpoch(epoch), "", "", "", state};
}

constexpr uint16_t kPartitions = 256;

TEST(Roster, EveryPartitionIsToBeOwnedByOneAndNobodyHasFarMoreThanItsShare) {
  const std::vector<Member> members{member("a", 1), member("b", 2), member("c", 3), member("d", 4)};
  std::map<std::string, int> owned;
  for (uint16_t partition = 0; partition < kPartitions; ++partition)
    ++owned[Roster::owner_of(partition, members)];
  EXPECT_EQ(owned.size(), 4u);
  for (const auto& [id, count] : owned) {
    EXPECT_GT(count, 40) << id;
    EXPECT_LT(count, 90) << id;
  }
}

TEST(Roster, WithANodeGoesItsShareAndNothingElseMoves) {
  const std::vector<Member> three{member("a", 1), member("b", 2), member("c", 3)};
  const std::vector<Member> two{member("a", 9), member("b", 8)};  // both in another run
  for (uint16_t partition = 0; partition < kPartitions; ++partition) {
    const std::string before = Roster::owner_of(partition, three);
    if (before == "c") continue;
    EXPECT_EQ(before, Roster::owner_of(partition, two)) << partition;
  }
}

TEST(Roster, ANodeThatDrainsIsToOwnNothing) {
  const std::vector<Member> members{member("a", 1, MemberState::draining), member("b", 2)};
  for (uint16_t partition = 0; partition < 16; ++partition)
    EXPECT_EQ(Roster::owner_of(partition, members), "b");
  EXPECT_EQ(Roster::owner_of(0, {member("a", 1, MemberState::draining)}), "a") << "somebody has to act";
}

TEST(Roster, ARunIsGoneOnlyIfTheListIsNewEnoughToHaveIt) {
  Roster roster("a", NodeEpoch(5), {16, 1});
  EXPECT_FALSE(roster.gone(NodeEpoch(3)));
  roster.set_members({member("a", 5), member("b", 7)}, 8);
  EXPECT_TRUE(roster.gone(NodeEpoch(3)));
  EXPECT_FALSE(roster.gone(NodeEpoch(7)));
  EXPECT_FALSE(roster.gone(NodeEpoch(9))) << "it came after the list";
  roster.set_members({member("a", 5)}, 12);
  EXPECT_TRUE(roster.gone(NodeEpoch(7)));
  EXPECT_TRUE(roster.gone(NodeEpoch(9)));
  roster.set_members({member("a", 5), member("b", 7)}, 8);  // old news
  EXPECT_TRUE(roster.gone(NodeEpoch(7)));
  for (uint16_t partition = 0; partition < 16; ++partition) EXPECT_TRUE(roster.should_own(partition));
  EXPECT_FALSE(roster.should_own(16));
}

}  // namespace
}  // namespace courier::cluster
