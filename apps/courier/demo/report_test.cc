// The words of the demo's table.
#include "courier/demo/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::cli::demo {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

std::string after_crash(uint64_t unanswered, uint64_t on_their_way, uint64_t flaps) {
  Orders orders;
  orders.merchants = {"m"};
  return table(Ledger(orders, 1), Crash{unanswered, on_their_way, {}, {}}, flaps);
}

TEST(DemoTable, OneIsNotSpokenOfAsMany) {
  const std::string several = after_crash(1'234, 0, 2);
  EXPECT_THAT(several, HasSubstr("At the kill 1,234 sent orders were unacknowledged by their phones"));
  EXPECT_THAT(several, HasSubstr("and 0 were on their way to\n  courierd. Phones went away 2 times of"));
  const std::string one = after_crash(1, 1, 1);
  EXPECT_THAT(
      one, HasSubstr("At the kill 1 sent order was unacknowledged by its phone, and 1 was on its way to\n"));
  EXPECT_THAT(one, HasSubstr("Phones went away 1 time of"));
}

TEST(DemoTable, OfAClusterSaysForEachNodeWhatBecameOfItsPhones) {
  Orders orders;
  orders.merchants = {"m"};
  Connections connections(3, 6);
  for (size_t phone = 0; phone < 5; ++phone) connections.connected(phone, phone % 3, 0);
  connections.killed(1, 0);
  connections.connected(1, 0, 20'000'000);
  connections.connected(4, 2, 40'000'000);
  connections.dropped(2);
  const std::vector<Node> nodes = {{"n1", {}, {}}, {"n2", {}, {}}, {"n3", {}, {}}};
  const std::string text = cluster_table(Ledger(orders, 6), Crash{}, 0, connections, nodes, 1);
  EXPECT_THAT(text, ContainsRegex("n1 +2 +0\n"));
  EXPECT_THAT(text, ContainsRegex("n2, killed +2 +2 +1 at n1, 1 at n3 +20.0 ms +40.0 ms\n"));
  EXPECT_THAT(text, ContainsRegex("n3 +1 +1\n"));
  EXPECT_THAT(text, HasSubstr("1 was away then"));
}

}  // namespace
}  // namespace courier::cli::demo
