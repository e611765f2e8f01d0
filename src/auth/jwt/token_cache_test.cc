#include "auth/jwt/token_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace courier::auth::jwt {
namespace {

constexpr MonoNs kEver = INT64_MAX;

jose::Digest of(int token) {
  return jose::sha256(std::to_string(token));
}
std::shared_ptr<const int> value(int n) {
  return std::make_shared<const int>(n);
}

TEST(TokenCache, ForgetsTheOneThatNobodyAskedForLongest) {
  TokenCache<int> cache(3);
  for (int i = 0; i < 3; ++i) cache.put(of(i), 1, kEver, value(i));
  EXPECT_EQ(*cache.find(of(0), 1, 0), 0);
  cache.put(of(3), 1, kEver, value(3));
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_NE(cache.find(of(0), 1, 0), nullptr);
  EXPECT_EQ(cache.find(of(1), 1, 0), nullptr);
  EXPECT_NE(cache.find(of(2), 1, 0), nullptr);
}

TEST(TokenCache, WhatIsTooOldOrOfOtherKeysIsNotThereAndGoes) {
  TokenCache<int> cache(10);
  cache.put(of(1), 1, 100, value(1));
  EXPECT_NE(cache.find(of(1), 1, 99), nullptr);
  EXPECT_EQ(cache.find(of(1), 1, 100), nullptr);
  EXPECT_EQ(cache.size(), 0u);
  cache.put(of(1), 1, kEver, value(1));
  EXPECT_EQ(cache.find(of(1), 2, 0), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(TokenCache, ALaterAnswerTakesThePlaceOfAnEarlierOne) {
  TokenCache<int> cache(10);
  cache.put(of(1), 1, kEver, value(1));
  cache.put(of(1), 2, kEver, value(2));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(*cache.find(of(1), 2, 0), 2);
}

TEST(TokenCache, OfNoSizeKeepsNothing) {
  TokenCache<int> cache(0);
  cache.put(of(1), 1, kEver, value(1));
  EXPECT_EQ(cache.find(of(1), 1, 0), nullptr);
}

TEST(TokenCache, ManyThreadsStayWithinTheBound) {
  TokenCache<int> cache(64);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 2000; ++i) {
        const int token = (i * 7 + t) % 200;
        cache.put(of(token), 1, kEver, value(token));
        const auto found = cache.find(of(token), 1, 0);
        EXPECT_TRUE(!found || *found == token);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(cache.size(), 64u);
}

}  // namespace
}  // namespace courier::auth::jwt
