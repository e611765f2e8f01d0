// The words of the demo's table.
#include "courier/demo/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::cli::demo {
namespace {

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

}  // namespace
}  // namespace courier::cli::demo
