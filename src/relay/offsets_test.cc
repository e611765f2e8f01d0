#include "relay/offsets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace courier::relay {
namespace {

TEST(Offsets, OnlyWhatIsDoneWithoutAGapCanBeCommitted) {
  Offsets offsets;
  EXPECT_EQ(offsets.committable(), std::nullopt);
  for (const int64_t each : {10, 11, 12, 14, 15}) EXPECT_TRUE(offsets.begin(each, each));
  EXPECT_EQ(offsets.committable(), 10);
  offsets.finish(11);
  offsets.finish(14);
  EXPECT_EQ(offsets.committable(), 10);
  EXPECT_EQ(offsets.oldest(), 10);
  offsets.finish(10);
  EXPECT_EQ(offsets.committable(), 12);
  EXPECT_EQ(offsets.span(), 3u);
  offsets.finish(12);
  EXPECT_EQ(offsets.committable(), 15);
  offsets.finish(12);
  offsets.finish(13);
  offsets.finish(15);
  EXPECT_EQ(offsets.committable(), 16);
  EXPECT_EQ(offsets.oldest(), std::nullopt);
}

TEST(Offsets, WhatComesTwiceOrFromBeforeIsRefused) {
  Offsets offsets;
  EXPECT_TRUE(offsets.begin(5, 0));
  EXPECT_FALSE(offsets.begin(5, 0));
  EXPECT_FALSE(offsets.begin(4, 0));
  offsets.finish(5);
  EXPECT_FALSE(offsets.begin(5, 0));
  EXPECT_EQ(offsets.committable(), 6);
}

TEST(Offsets, InWhateverOrderTheyFinishNoUnfinishedOneIsPassed) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Offsets offsets;
    std::vector<int64_t> open;
    for (int64_t at = 0; at < 200; at += 1 + static_cast<int64_t>(random() % 3)) {
      offsets.begin(at, 0);
      open.push_back(at);
    }
    std::ranges::shuffle(open, random);
    while (!open.empty()) {
      EXPECT_EQ(offsets.committable(), *std::ranges::min_element(open));
      offsets.finish(open.back());
      open.pop_back();
    }
    EXPECT_EQ(offsets.span(), 0u);
  }
}

}  // namespace
}  // namespace courier::relay
