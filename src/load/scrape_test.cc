#include "load/scrape.h"

#include <gmock/gmock.h>

namespace courier::load {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ReadMetrics, SumsUpLabelsAndSkipsWhatIsNone) {
  const auto values = read_metrics(
      "# HELP a A.\n# TYPE a counter\n"
      "a{x=\"1 }\",y=\"2\"} 3\n"
      "a{x=\"2\"} 4 1700000000\n"
      "b 5e-1\n"
      "b_bucket{le=\"1\"} 9\n"
      "nan NaN\nempty \nnothing\n{} 3\n\n"
      "last 7");
  EXPECT_THAT(values, ElementsAre(Pair("a", 7), Pair("b", 0.5), Pair("last", 7)));
}

TEST(ScrapedSeries, CountersAreRatesAndHistogramsMeans) {
  ScrapedSeries series("", {"mine_total", "mine"});
  series.add(1,
             "process_cpu_seconds_total 10\ncourier_commit_seconds_sum 1\ncourier_commit_seconds_count 100\n"
             "process_resident_memory_bytes 1000\nmine_total 5\nmine 6\n");
  series.add(
      3,
      "process_cpu_seconds_total 13\ncourier_commit_seconds_sum 1.5\ncourier_commit_seconds_count 200\n"
      "process_resident_memory_bytes 2000\nmine_total 9\nmine 7\n");
  std::map<std::string, std::vector<std::pair<double, double>>> points;
  for (const Scraped& plot : series.plots()) points[plot.name] = plot.points;
  EXPECT_THAT(points.at("process_cpu_seconds_total"), ElementsAre(Pair(3, 1.5)));
  EXPECT_THAT(points.at("courier_commit_seconds"), ElementsAre(Pair(3, DoubleNear(0.005, 1e-9))));
  EXPECT_THAT(points.at("process_resident_memory_bytes"), ElementsAre(Pair(1, 1000), Pair(3, 2000)));
  EXPECT_THAT(points.at("mine_total"), ElementsAre(Pair(3, 2)));
  EXPECT_THAT(points.at("mine"), ElementsAre(Pair(1, 6), Pair(3, 7)));
}

TEST(ScrapedSeries, ABrokerThatWasStartedAnewShowsNoNegativeRate) {
  ScrapedSeries series("", {});
  series.add(1, "process_cpu_seconds_total 10\n");
  series.add(2, "process_cpu_seconds_total 1\n");
  series.add(3, "process_cpu_seconds_total 2\n");
  ASSERT_EQ(series.plots().size(), 1u);
  EXPECT_THAT(series.plots()[0].points, ElementsAre(Pair(3, 1)));
}

TEST(Scraper, ATargetWithoutMetricsIsNotedOnce) {
  Scraper scraper({"http://127.0.0.1:1/metrics"}, {});
  scraper.start(system_clock().mono_ns());
  scraper.stop();
  ASSERT_EQ(scraper.troubles().size(), 1u);
  EXPECT_THAT(scraper.troubles()[0], ::testing::HasSubstr("http://127.0.0.1:1/metrics"));
  EXPECT_TRUE(scraper.plots().empty());
}

}  // namespace
}  // namespace courier::load
