#include "events/interest.h"

#include <gtest/gtest.h>

namespace courier::events {
namespace {

mqtt::MessagePtr message(int number, uint8_t label) {
  auto* made = mqtt::Message::make("orders/" + std::to_string(number), "");
  made->received_at = 1'700'000'000'000 + number;
  made->label = label;
  return mqtt::MessagePtr(made);
}

TEST(Interest, NothingIsWantedUntilSomebodySaysSo) {
  Interest interest;
  EXPECT_FALSE(interest.wants_any());
  EXPECT_FALSE(interest.wants(Kind::publish));
  interest.set(Kinds::of(Kind::publish), true);
  EXPECT_TRUE(interest.wants(Kind::publish));
  EXPECT_FALSE(interest.wants(Kind::drop));
  EXPECT_TRUE(interest.wants_payloads());
  interest.set({}, false);
  EXPECT_FALSE(interest.wants_any());
}

TEST(Interest, ALabelsShareOfMessagesIsToldAndAllEventsOfOneMessageOrNone) {
  Interest interest;
  Kinds kinds = Kinds::of(Kind::publish);
  kinds |= Kinds::of(Kind::delivery_complete);
  interest.set(kinds, false);
  interest.sample(3, 0.1);
  interest.sample(4, 0);
  int some = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto one = message(i, 3);
    some += interest.wants(Kind::publish, *one);
    EXPECT_EQ(interest.wants(Kind::publish, *one), interest.wants(Kind::delivery_complete, *one));
    EXPECT_FALSE(interest.wants(Kind::publish, *message(i, 4)));
    EXPECT_TRUE(interest.wants(Kind::publish, *message(i, 5)));
  }
  EXPECT_NEAR(some, 1'000, 150);
  interest.sample(3, 1);
  EXPECT_TRUE(interest.wants(Kind::publish, *message(1, 3)));
}

TEST(Interest, WhatSomebodyWatchesIsWantedBesides) {
  Interest interest;
  interest.set(Kinds::of(Kind::drop), false);
  interest.watch(Kinds::of(Kind::connect));
  EXPECT_TRUE(interest.wants(Kind::drop));
  EXPECT_TRUE(interest.wants(Kind::connect));
  interest.watch({});
  EXPECT_TRUE(interest.wants(Kind::drop));
  EXPECT_FALSE(interest.wants(Kind::connect));
}

}  // namespace
}  // namespace courier::events
