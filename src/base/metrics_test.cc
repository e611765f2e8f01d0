#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

namespace courier {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Registry, InstancesOfOneSeriesAreSummed) {
  Registry registry;
  Counter& first = registry.counter("courier_messages_dropped_total", "Dropped.", {{"reason", "expired"}});
  Counter& second = registry.counter("courier_messages_dropped_total", "Dropped.", {{"reason", "expired"}});
  Counter& other = registry.counter("courier_messages_dropped_total", "Dropped.", {{"reason", "inbox_full"}});
  ASSERT_NE(&first, &second);
  first.add(3);
  second.add(4);
  other.add();
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP courier_messages_dropped_total Dropped.\n"
            "# TYPE courier_messages_dropped_total counter\n"
            "courier_messages_dropped_total{reason=\"expired\"} 7\n"
            "courier_messages_dropped_total{reason=\"inbox_full\"} 1\n");
  EXPECT_EQ(registry.value("courier_messages_dropped_total", {{"reason", "expired"}}), 7);
  EXPECT_EQ(registry.value("courier_messages_dropped_total", {{"reason", "else"}}), std::nullopt);
  EXPECT_EQ(registry.total("courier_messages_dropped_total"), 8);
}

TEST(Registry, HelpAndLabelValuesAreEscaped) {
  Registry registry;
  registry.counter("courier_x_total", "A \\ and\na \"line\".", {{"listener", "a\"b\\c\nd"}}).add(2);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP courier_x_total A \\\\ and\\na \"line\".\n"
            "# TYPE courier_x_total counter\n"
            "courier_x_total{listener=\"a\\\"b\\\\c\\nd\"} 2\n");
}

TEST(Registry, GaugesSumAcrossThreadsAndCallbacksAreAskedEachTime) {
  Registry registry;
  Gauge& a = registry.gauge("courier_connections", "Open connections.", {{"listener", "mobile"}});
  Gauge& b = registry.gauge("courier_connections", "Open connections.", {{"listener", "mobile"}});
  a.set(10);
  b.add(5);
  b.add(-2);
  double lag = 0.25;
  registry.gauge_callback("courier_loop_lag_seconds", "Lag.", {{"shard", "0"}}, [&] { return lag; });
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("courier_connections{listener=\"mobile\"} 13\n"));
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("courier_loop_lag_seconds{shard=\"0\"} 0.25\n"));
  lag = std::numeric_limits<double>::infinity();
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("courier_loop_lag_seconds{shard=\"0\"} +Inf\n"));
}

TEST(Registry, LabelSetsAreBoundedAndTheRestIsCountedAsOther) {
  Registry registry;
  for (size_t i = 0; i < Registry::kSeriesMax + 50; ++i) {
    registry.counter("courier_y_total", "Y.", {{"label", std::to_string(i)}}).add();
  }
  EXPECT_EQ(registry.value("courier_y_total", {{"label", "other"}}), 50);
  EXPECT_EQ(registry.total("courier_y_total"), Registry::kSeriesMax + 50);
}

TEST(Registry, LargeCountsAreWrittenWithoutAnExponent) {
  Registry registry;
  registry.counter("courier_bytes_total", "Bytes.").add(123456789012345);
  EXPECT_THAT(registry.prometheus_text(), HasSubstr("courier_bytes_total 123456789012345\n"));
}

TEST(RegistryDeathTest, OneNameHasOneType) {
  Registry registry;
  registry.counter("courier_z_total", "Z.");
  EXPECT_DEATH(registry.gauge("courier_z_total", "Z."), "CHECK");
  EXPECT_DEATH(registry.counter("courier-z", "Z."), "CHECK");
}

TEST(Histogram, ABoundBelongsToTheBucketThatItCloses) {
  for (const auto unit : {Histogram::Unit::seconds, Histogram::Unit::plain}) {
    Histogram shape(unit);
    for (size_t i = 0; i + 1 < shape.bucket_count(); ++i) {
      Histogram histogram(unit);
      histogram.observe(histogram.bound(i));
      histogram.observe(std::nextafter(histogram.bound(i), 1e300));
      EXPECT_EQ(histogram.bucket(i), 1u) << "bound " << histogram.bound(i);
      EXPECT_EQ(histogram.bucket(i + 1), 1u) << "just above " << histogram.bound(i);
    }
  }
}

TEST(Histogram, OutliersLandInTheFirstAndTheLastBucket) {
  Histogram histogram(Histogram::Unit::seconds);
  histogram.observe(0);
  histogram.observe(-3);
  histogram.observe(1e-12);
  histogram.observe(1e9);
  histogram.observe(std::numeric_limits<double>::infinity());
  histogram.observe(std::nan(""));
  EXPECT_EQ(histogram.bucket(0), 3u);
  EXPECT_EQ(histogram.bucket(histogram.bucket_count() - 1), 2u);
  EXPECT_EQ(histogram.count(), 5u);
}

TEST(Histogram, AQuantileIsOffByAnEighthAtMost) {
  Histogram histogram(Histogram::Unit::seconds);
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (int i = 1; i <= 1000; ++i) histogram.observe(i / 1000.0);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    EXPECT_GE(histogram.quantile(q), q * 0.999);
    EXPECT_LE(histogram.quantile(q), q * 1.126);
  }
}

TEST(Histogram, IsWrittenCumulativelyAndEndsOnInfinity) {
  Registry registry;
  Histogram& a =
      registry.histogram("courier_commit_batch_events", "Batch.", {{"log", "solo"}}, Histogram::Unit::plain);
  Histogram& b =
      registry.histogram("courier_commit_batch_events", "Batch.", {{"log", "solo"}}, Histogram::Unit::plain);
  a.observe(1);
  b.observe(2);
  b.observe(1e12);
  const std::string text = registry.prometheus_text();
  EXPECT_THAT(text, HasSubstr("# TYPE courier_commit_batch_events histogram\n"));
  EXPECT_THAT(text, HasSubstr("courier_commit_batch_events_bucket{log=\"solo\",le=\"1\"} 1\n"
                              "courier_commit_batch_events_bucket{log=\"solo\",le=\"1.5\"} 1\n"
                              "courier_commit_batch_events_bucket{log=\"solo\",le=\"2\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("courier_commit_batch_events_bucket{log=\"solo\",le=\"1073741824\"} 2\n"
                              "courier_commit_batch_events_bucket{log=\"solo\",le=\"+Inf\"} 3\n"
                              "courier_commit_batch_events_sum{log=\"solo\"} 1000000000003\n"
                              "courier_commit_batch_events_count{log=\"solo\"} 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(Registry, ManyThreadsCountWhileOneReads) {
  Registry registry;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry] {
      Counter& counter = registry.counter("courier_n_total", "N.");
      Histogram& histogram = registry.histogram("courier_n_seconds", "N.");
      for (int i = 0; i < 10000; ++i) {
        counter.add();
        histogram.observe(0.001);
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(registry.prometheus_text().size() > 1'000'000);
  threads.clear();
  EXPECT_EQ(registry.total("courier_n_total"), 40000);
  EXPECT_EQ(registry.value("courier_n_seconds"), 40000);
}

}  // namespace
}  // namespace courier
