#include "load/arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace courier::load {
namespace {

TEST(Connects, FollowTheirShape) {
  ConnectStep step{.groups = {}, .over_ms = 1000, .shape = Shape::linear};
  EXPECT_EQ(connect_time_ms(step, 0, 10, 1), 0);
  EXPECT_EQ(connect_time_ms(step, 5, 10, 1), 500);
  step.shape = Shape::step;
  EXPECT_EQ(connect_time_ms(step, 19, 100, 1), 100);
  step.shape = Shape::front_loaded;
  EXPECT_EQ(connect_time_ms(step, 50, 100, 1), 200);
  EXPECT_LT(connect_time_ms(step, 99, 100, 1), 1000);
  step.shape = Shape::poisson;
  double sum = 0;
  for (uint64_t i = 0; i < 10'000; ++i) {
    const double at = connect_time_ms(step, i, 10'000, 7);
    EXPECT_GE(at, 0);
    EXPECT_LT(at, 1000);
    EXPECT_EQ(at, connect_time_ms(step, i, 10'000, 7)) << "the same seed, the same moment";
    sum += at;
  }
  EXPECT_NEAR(sum / 10'000, 500, 10);
}

TEST(Counts, AreSharedByPartsAndComeToExactlyAll) {
  for (const uint64_t count : {1ul, 2ul, 200ul, 201ul, 202ul, 1'000'003ul}) {
    for (const std::vector<uint64_t>& sizes :
         {std::vector<uint64_t>{4}, {2, 1, 1}, {1, 1, 1}, {334, 333, 333}, {1, 0, 7}}) {
      uint64_t all = 0, before = 0, sum = 0;
      for (const uint64_t size : sizes) all += size;
      for (const uint64_t size : sizes) {
        const uint64_t part = part_of_count(count, before, size, all);
        EXPECT_NEAR(static_cast<double>(part), static_cast<double>(count * size) / static_cast<double>(all),
                    1);
        sum += part;
        before += size;
      }
      EXPECT_EQ(sum, count);
    }
  }
}

TEST(Picks, OfZipfHaveItsFrequencies) {
  constexpr uint64_t kCount = 100, kDraws = 200'000;
  for (const double exponent : {0.8, 1.0, 1.5}) {
    Picker picker({.group = 0, .distribution = Distribution::zipf, .exponent = exponent}, kCount, 3, 0, 1);
    std::vector<uint64_t> seen(kCount);
    for (uint64_t i = 0; i < kDraws; ++i) ++seen.at(picker.next());
    double all = 0;
    for (uint64_t k = 1; k <= kCount; ++k) all += std::pow(static_cast<double>(k), -exponent);
    for (const uint64_t k : {1ul, 2ul, 5ul, 20ul, 100ul}) {
      const double expected = kDraws * std::pow(static_cast<double>(k), -exponent) / all;
      EXPECT_NEAR(static_cast<double>(seen[k - 1]), expected, 5 * std::sqrt(expected))
          << exponent << " " << k;
    }
  }
}

TEST(Picks, InTurnAreSharedByTheWorkers) {
  const Pick pick{.group = 0, .distribution = Distribution::sequential};
  Picker first(pick, 6, 1, 0, 2), second(pick, 6, 1, 1, 2);
  EXPECT_EQ(first.next(), 0u);
  EXPECT_EQ(second.next(), 1u);
  EXPECT_EQ(first.next(), 2u);
  EXPECT_EQ(first.next(), 4u);
  EXPECT_EQ(first.next(), 0u);
}

TEST(Picks, OfThreeWorkersAreThoseOfOne) {
  for (const Distribution distribution :
       {Distribution::uniform, Distribution::zipf, Distribution::sequential}) {
    const Pick pick{.group = 0, .distribution = distribution};
    Picker alone(pick, 1000, 5, 0, 1);
    Picker three[] = {Picker(pick, 1000, 5, 0, 3), Picker(pick, 1000, 5, 1, 3), Picker(pick, 1000, 5, 2, 3)};
    for (int i = 0; i < 300; ++i) EXPECT_EQ(three[i % 3].next(), alone.next()) << i;
  }
}

TEST(Picks, AreTheSeeds) {
  const Pick pick{.group = 0};
  Picker a(pick, 1000, 5, 0, 1), b(pick, 1000, 5, 0, 1), c(pick, 1000, 6, 0, 1);
  size_t same = 0;
  for (int i = 0; i < 100; ++i) {
    const uint64_t n = a.next();
    EXPECT_EQ(n, b.next());
    same += n == c.next();
  }
  EXPECT_LT(same, 10u);
}

TEST(Thinking, HasItsMedianAndItsTail) {
  const ThinkTime think{40, 400};
  EXPECT_NEAR(think_ms(think, 0.5), 40, 0.01);
  EXPECT_NEAR(think_ms(think, 0.99), 400, 0.1);
  EXPECT_LT(think_ms(think, 0.01), 5);
  EXPECT_EQ(think_ms({40, 40}, 0.9), 40);
  EXPECT_EQ(think_ms({}, 0.9), 0);
}

}  // namespace
}  // namespace courier::load
