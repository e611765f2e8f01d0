#include "record/packed_subscriptions.h"

#include <gtest/gtest.h>

namespace courier::record {
namespace {

static_assert(sizeof(PackedSubscriptions) == 8);

TEST(PackedSubscriptions, ComeBackAsTheyWereFewOrMany) {
  PackedSubscriptions packed;
  EXPECT_EQ(packed.get(), Subscriptions{});
  Subscriptions expected{"tenant", {}};
  for (uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(packed.take(), i == 0 ? Subscriptions{} : expected);
    expected.filters.push_back({"a/" + std::to_string(i), {.qos = static_cast<mqtt::Qos>(i % 3)}, i * 1000});
    packed.set(expected);
    EXPECT_EQ(packed.get(), expected);
    EXPECT_TRUE(packed.has("a/" + std::to_string(i)));
    EXPECT_FALSE(packed.has("a/" + std::to_string(i + 1)));
  }
  PackedSubscriptions moved = std::move(packed);
  while (!expected.filters.empty()) {
    expected.filters.pop_back();
    moved.set(expected);
    EXPECT_EQ(moved.get(), expected);
  }
}

}  // namespace
}  // namespace courier::record
