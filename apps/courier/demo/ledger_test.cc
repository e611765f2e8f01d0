// What the demo calls lost, and what it does not.
#include "courier/demo/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::cli::demo {
namespace {

using testing::ElementsAre;

// Orders a, b, c for the merchants m, n, m.
Orders three() {
  Orders orders;
  orders.merchants = {"m", "n"};
  orders.orders = {{"a", 0, "{}"}, {"b", 1, "{}"}, {"c", 0, "{}"}};
  return orders;
}

TEST(Ledger, WhatWasNotAcknowledgedToTheBackendIsNotLost) {
  const Orders orders = three();
  Ledger ledger(orders, 2);
  ledger.published(0, 0, {1, 1});
  EXPECT_EQ(ledger.lost(), 0u);
  ledger.sent(0);
  EXPECT_EQ(ledger.lost(), 1u);
  EXPECT_THAT(ledger.lost_ids(5), ElementsAre("a (never shown)"));
  ledger.shown(0, "a", 5, 1);
  EXPECT_THAT(ledger.lost_ids(5), ElementsAre("a (shown, its answer lost)"));
  ledger.acked(0, "a");
  EXPECT_EQ(ledger.lost(), 0u);
  EXPECT_FALSE(ledger.complete());  // two have not been published
}

TEST(Ledger, AnAnswerMayOvertakeThePuback) {
  const Orders orders = three();
  Ledger ledger(orders, 2);
  for (size_t i = 0; i < 3; ++i) {
    ledger.published(i, 0, {1, 1});
    ledger.shown(i == 1, orders.orders[i].id, 1, 1);
    ledger.acked(i == 1, orders.orders[i].id);
    EXPECT_EQ(ledger.promised(), 0u);
    ledger.sent(i);
    EXPECT_EQ(ledger.promised(), 0u);
  }
  EXPECT_TRUE(ledger.complete());
  EXPECT_EQ(ledger.counts().acked, 3u);
}

TEST(Ledger, RepetitionsAreDuplicatesAndNothingElse) {
  const Orders orders = three();
  Ledger ledger(orders, 2);
  ledger.published(0, 0, {1, 1});
  ledger.sent(0);
  for (int i = 0; i < 3; ++i) ledger.shown(0, "a", 5, 1);
  for (int i = 0; i < 2; ++i) ledger.acked(0, "a");
  EXPECT_EQ(ledger.counts().delivered, 1u);
  EXPECT_EQ(ledger.counts().shown_again, 2u);
  EXPECT_EQ(ledger.counts().acked, 1u);
  EXPECT_EQ(ledger.counts().acked_again, 1u);
  EXPECT_EQ(ledger.before_crash().all.size(), 1u);
}

TEST(Ledger, AnOrderAtAnotherMerchantsPhoneIsAStray) {
  const Orders orders = three();
  Ledger ledger(orders, 2);
  ledger.published(0, 0, {1, 1});
  EXPECT_FALSE(ledger.shown(1, "a", 5, 1));
  EXPECT_FALSE(ledger.shown(0, "c", 5, 1));  // not published yet
  EXPECT_FALSE(ledger.acked(0, "nobody's"));
  EXPECT_EQ(ledger.counts().strays, 3u);
  EXPECT_EQ(ledger.counts().delivered, 0u);
}

TEST(Ledger, EachPhoneOfAMerchantIsToShowItsOrders) {
  const Orders orders = three();
  Ledger ledger(orders, 3);  // the third is m's second
  EXPECT_THAT(ledger.phones_of(0), ElementsAre(0u, 2u));
  ledger.published(0, 0, {1, 1, 1});
  ledger.sent(0);
  EXPECT_EQ(ledger.counts().expected, 2u);
  ledger.shown(0, "a", 5, 1);
  ledger.acked(0, "a");
  EXPECT_EQ(ledger.lost(), 1u);
}

TEST(Ledger, OnePhoneServesManyMerchantsWhenThereAreFewer) {
  const Orders orders = three();
  EXPECT_THAT(Ledger(orders, 1).merchants_of(0), ElementsAre(0u, 1u));
}

TEST(Ledger, LatencyOfConnectedPhonesLeavesOutThoseThatCameBack) {
  const Orders orders = three();
  Ledger ledger(orders, 2);
  ledger.published(0, 100, {4, 0});
  ledger.published(1, 100, {4, 0});  // its phone is away
  ledger.published(2, 100, {4, 0});
  ledger.shown(0, "a", 130, 4);
  ledger.shown(1, "b", 900, 1);
  ledger.crash();
  ledger.shown(0, "c", 9'100, 4);
  EXPECT_THAT(ledger.before_crash().connected, ElementsAre(30));
  EXPECT_THAT(ledger.before_crash().all, ElementsAre(30, 800));
  EXPECT_THAT(ledger.after_crash().connected, ElementsAre(9'000));
}

TEST(Percentile, IsTheSmallestThatCoversTheShare) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({7}, 0.99), 7);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 0.5), 2);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 0.99), 4);
}

}  // namespace
}  // namespace courier::cli::demo
