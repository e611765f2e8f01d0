// What of an orders file is refused, with the words that a person needs to mend it.
#include "courier/demo/orders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace courier::cli::demo {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class OrdersFile : public testing::Test {
 protected:
  Result<Orders> read(const std::string& text) {
    std::ofstream(file_) << text;
    return read_orders(file_);
  }
  std::string mistake(const std::string& text) {
    const auto orders = read(text);
    return orders ? "taken" : orders.error().message;
  }
  ~OrdersFile() override { std::remove(file_.c_str()); }

  const std::string file_ = testing::TempDir() + "orders_test.jsonl";
};

TEST_F(OrdersFile, LinesAreCarriedAsTheyAre) {
  const auto orders = read(
      "{\"id\": \"a\",  \"merchant\": {\"id\": \"m1\"}}\r\n\n"
      "{\"id\": 2, \"merchant_id\": 7}\n"
      "{\"id\": \"c\", \"merchant\": {\"id\": \"m1\"}}");
  ASSERT_TRUE(orders) << orders.error().message;
  EXPECT_THAT(orders->merchants, ElementsAre("m1", "7"));
  ASSERT_EQ(orders->orders.size(), 3u);
  EXPECT_EQ(orders->orders[0].line, "{\"id\": \"a\",  \"merchant\": {\"id\": \"m1\"}}");
  EXPECT_EQ(orders->orders[1].id, "2");
  EXPECT_EQ(orders->orders[2].merchant, 0u);
}

TEST_F(OrdersFile, MistakesAreNamedWithFileAndLine) {
  const std::string good = "{\"id\":\"a\",\"merchant_id\":\"m\"}\n";
  EXPECT_THAT(mistake(good + "{\"id\": oops}\n"), HasSubstr(file_ + ":2: not JSON: column 8"));
  EXPECT_THAT(mistake(good + "[1]\n"), HasSubstr(":2: an order is a JSON object"));
  EXPECT_THAT(mistake("\n\n{\"merchant_id\":\"m\"}\n"), HasSubstr(":3: the order has no \"id\""));
  EXPECT_THAT(mistake("{\"id\":\"a\"}\n"), HasSubstr(":1: the order has no \"merchant\""));
  EXPECT_THAT(mistake(good + good), EndsWith(":2: the id \"a\" is already that of line 1"));
  EXPECT_THAT(mistake("{\"id\":\"a\",\"merchant_id\":\"m/+\"}\n"), HasSubstr("cannot be a level of a topic"));
  EXPECT_THAT(mistake("\n"), EndsWith("no orders in it"));
  EXPECT_THAT(mistake(std::string(kOrderBytesMax + 1, ' ') + "x"), HasSubstr(":1: the line has"));
}

TEST_F(OrdersFile, MissingFilesAndFoldersAreNoOrders) {
  const auto missing = read_orders(file_ + ".not");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("No such file"));
  EXPECT_FALSE(read_orders(testing::TempDir()));
}

TEST(Answers, AreReadAsTheyWereWritten) {
  const Answer answer = read_answer(answer_payload({"o\"1", "phone-002"}));
  EXPECT_EQ(answer.order, "o\"1");
  EXPECT_EQ(answer.phone, "phone-002");
  EXPECT_EQ(read_answer("oops").order, "");
  EXPECT_EQ(order_of("{\"id\":17}"), "17");
  EXPECT_EQ(order_of("[]"), "");
}

}  // namespace
}  // namespace courier::cli::demo
