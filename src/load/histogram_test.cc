#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace courier::load {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(AHistogram, IsWithinOnePercentOfTheExactQuantiles) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> milliseconds(1.0, 2.0);
  Histogram histogram;
  std::vector<int64_t> exact;
  for (int i = 0; i < 20'000; ++i) {
    exact.push_back(static_cast<int64_t>(milliseconds(random) * kMs));
    histogram.record(exact.back());
  }
  std::sort(exact.begin(), exact.end());
  for (const double part : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double truth = static_cast<double>(exact[static_cast<size_t>(std::ceil(part * 20'000)) - 1]) / 1e9;
    EXPECT_GE(histogram.quantile(part), truth) << part;
    EXPECT_LE(histogram.quantile(part), truth * (1 + 1.0 / 128) + 2e-6) << part;
  }
  EXPECT_EQ(histogram.max(), static_cast<double>(exact.back()) / 1e9);
  EXPECT_EQ(histogram.quantile(1), histogram.max());
}

TEST(AHistogram, MergedIsAsIfRecordedTogether) {
  std::mt19937_64 random(8);
  Histogram all, left, right;
  for (int i = 0; i < 1'000; ++i) {
    const auto value = static_cast<int64_t>(random() % (5'000 * kMs));
    all.record(value);
    (i % 3 == 0 ? left : right).record(value);
  }
  left.merge(right);
  EXPECT_EQ(left.buckets(), all.buckets());
  EXPECT_EQ(left.max_ns(), all.max_ns());
  EXPECT_EQ(left.quantile(0.99), all.quantile(0.99));
}

TEST(AHistogram, EveryBucketBeginsWhereTheOneBeforeEnds) {
  double before = 0;
  Histogram histogram;
  for (int64_t ns = 1; ns < int64_t{4'000} * 1'000'000'000; ns += ns / 100 + 100) {
    Histogram one;
    one.record(ns);
    const uint32_t index = one.buckets().front().index;
    const double end = Histogram::bucket_end(index);
    EXPECT_GE(end, before);
    before = end;
    if (ns < int64_t{3'600} * 1'000'000'000) {
      EXPECT_GT(end, static_cast<double>(ns) / 1e9);
      if (index > 0) {
        EXPECT_LE(Histogram::bucket_end(index - 1), static_cast<double>(ns) / 1e9 + 1e-12);
      }
    }
  }
}

TEST(AHistogram, ComesBackFromItsBuckets) {
  Histogram histogram, restored;
  for (int64_t i = 0; i < 500; ++i) histogram.record(i * i * 1'000);
  ASSERT_TRUE(restored.restore(histogram.buckets(), histogram.max_ns(), histogram.sum_ns()));
  EXPECT_EQ(restored, histogram);
  EXPECT_FALSE(restored.restore({{1u << 30, 1}}, 1, 1));
  EXPECT_FALSE(restored.restore({}, 5, 0));
  EXPECT_FALSE(restored.restore({{1, 1}}, -5, 0));
}

TEST(AHistogram, OfNothingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  EXPECT_EQ(histogram.mean(), 0);
  EXPECT_EQ(histogram.count_below(1), 0u);
}

}  // namespace
}  // namespace courier::load
