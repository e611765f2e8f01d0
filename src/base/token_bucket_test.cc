#include "base/token_bucket.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace courier {
namespace {

constexpr MonoNs kSecond = 1'000'000'000;
constexpr MonoNs kNow = 1000 * kSecond;

TEST(TokenBucket, LetsABurstThroughAndThenTheRate) {
  TokenBucket bucket(10, 5);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.try_take(1, kNow)) << i;
  EXPECT_FALSE(bucket.try_take(1, kNow));
  EXPECT_FALSE(bucket.try_take(1, kNow + kSecond / 10 - 1));
  EXPECT_TRUE(bucket.try_take(1, kNow + kSecond / 10));
  EXPECT_FALSE(bucket.try_take(1, kNow + kSecond / 10));
}

TEST(TokenBucket, WhatIsRefusedCostsNothing) {
  TokenBucket bucket(10, 5);
  EXPECT_FALSE(bucket.try_take(6, kNow));
  EXPECT_TRUE(bucket.full(kNow));
  EXPECT_TRUE(bucket.try_take(5, kNow));
}

TEST(TokenBucket, ADebtIsWaitedForAndThenPaid) {
  TokenBucket bucket(1000, 100);
  EXPECT_EQ(bucket.take(100, kNow), 0);
  EXPECT_EQ(bucket.take(500, kNow), kSecond / 2);
  EXPECT_FALSE(bucket.try_take(1, kNow + kSecond / 2));
  EXPECT_TRUE(bucket.try_take(1, kNow + kSecond / 2 + kSecond / 1000));
}

TEST(TokenBucket, SaysWhatTakingWouldAndTakesNothing) {
  TokenBucket bucket(1000, 100);
  EXPECT_EQ(bucket.wait_for(100, kNow), 0);
  EXPECT_EQ(bucket.wait_for(600, kNow), kSecond / 2);
  EXPECT_TRUE(bucket.full(kNow));
  EXPECT_EQ(bucket.take(600, kNow), kSecond / 2);
  EXPECT_EQ(bucket.wait_for(100, kNow), kSecond / 2 + kSecond / 10);
  EXPECT_EQ(bucket.wait_for(UINT64_MAX / 2, kNow), bucket.take(UINT64_MAX / 2, kNow));
}

TEST(TokenBucket, RefillsUpToItsBurstAndNoFurther) {
  TokenBucket bucket(10, 5);
  EXPECT_TRUE(bucket.try_take(5, kNow));
  EXPECT_FALSE(bucket.full(kNow));
  EXPECT_TRUE(bucket.full(kNow + kSecond / 2));
  EXPECT_FALSE(bucket.try_take(6, kNow + 100 * kSecond));
  EXPECT_TRUE(bucket.try_take(5, kNow + 100 * kSecond));
}

TEST(TokenBucket, ADebtHasAnEnd) {
  TokenBucket bucket(0.001, 1);
  for (int i = 0; i < 1000; ++i) EXPECT_LE(bucket.take(UINT64_MAX, kNow), 3600 * kSecond);
}

TEST(TokenBucket, TakesWhatIsThereSoonAndSaysHowSoon) {
  TokenBucket bucket(10, 1);
  EXPECT_EQ(bucket.take_within(1, kNow, kSecond / 4), 0);
  EXPECT_EQ(bucket.take_within(1, kNow, kSecond / 4), kSecond / 10);
  EXPECT_EQ(bucket.take_within(1, kNow, kSecond / 4), kSecond / 5);
  EXPECT_EQ(bucket.take_within(1, kNow, kSecond / 4), std::nullopt);
  EXPECT_EQ(bucket.take_within(1, kNow + kSecond / 10, kSecond / 4), kSecond / 5);  // that one took nothing
}

TEST(TokenRate, KeepsManyBucketsApart) {
  const TokenRate rate(10, 1);
  TokenRate::State one{0}, other{0};
  EXPECT_EQ(rate.take(one, 1, kNow), 0);
  EXPECT_EQ(rate.take(one, 1, kNow), kSecond / 10);
  EXPECT_EQ(rate.take_within(other, 1, kNow, 0), 0);
}

TEST(TokenBucket, ThreadsTogetherTakeWhatIsThereAndNoMore) {
  TokenBucket bucket(1000, 10'000);
  std::atomic<uint64_t> taken{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int each = 0; each < 5000; ++each) taken += bucket.try_take(1, kNow) ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(taken, 10'000);
}

}  // namespace
}  // namespace courier
