// What the demo calls a dropped connection, and who is back after a kill.
#include "courier/demo/connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::cli::demo {
namespace {

using testing::ElementsAre;

TEST(Connections, AreNumberedForEachPhone) {
  Connections connections(1, 2);
  connections.connected(1, 0, 0);
  EXPECT_THAT(connections.numbers(), ElementsAre(0u, 1u));
  connections.left(1);
  connections.connected(1, 0, 0);
  EXPECT_THAT(connections.numbers(), ElementsAre(0u, 2u));
  EXPECT_EQ(connections.count(), 1u);
}

TEST(Connections, WhoLeftOrWasNotThereWasNotDropped) {
  Connections connections(2, 2);
  connections.connected(0, 1, 0);
  connections.left(0);
  connections.dropped(0);
  connections.dropped(1);
  EXPECT_EQ(connections.nodes()[1].dropped, 0u);
  connections.connected(0, 1, 0);
  connections.dropped(0);
  EXPECT_EQ(connections.nodes()[0].dropped, 0u);
  EXPECT_EQ(connections.nodes()[1].dropped, 1u);
  EXPECT_EQ(connections.count(), 0u);
}

TEST(Connections, OnlyPhonesOfTheKilledNodeAreAwaited) {
  Connections connections(3, 4);
  for (size_t phone = 0; phone < 3; ++phone) connections.connected(phone, phone, 0);
  connections.killed(1, 1'000);
  EXPECT_EQ(connections.awaited(), 1u);
  EXPECT_TRUE(connections.awaited(1));
  EXPECT_EQ(connections.count(), 2u);
  connections.dropped(1);  // it notices
  EXPECT_EQ(connections.nodes()[1].dropped, 0u);
  connections.connected(3, 2, 1'005);  // it was away at the kill
  connections.connected(1, 2, 1'030);
  EXPECT_EQ(connections.awaited(), 0u);
  EXPECT_EQ(connections.nodes()[1].at_kill, 1u);
  EXPECT_EQ(connections.nodes()[2].at_kill, 1u);
  EXPECT_THAT(connections.nodes()[2].came_back, ElementsAre(30));
  EXPECT_EQ(connections.last_came_back(), 30);
}

TEST(Connections, OneThatComesBackAndIsDroppedIsNotAwaitedAgain) {
  Connections connections(2, 1);
  connections.connected(0, 0, 0);
  connections.killed(0, 10);
  connections.connected(0, 1, 20);
  connections.dropped(0);
  connections.connected(0, 1, 30);
  EXPECT_EQ(connections.nodes()[1].dropped, 1u);
  EXPECT_THAT(connections.nodes()[1].came_back, ElementsAre(10));
}

}  // namespace
}  // namespace courier::cli::demo
