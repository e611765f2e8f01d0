#include "load/quantity.h"

#include <gtest/gtest.h>

#include <cmath>

namespace courier::load {
namespace {

TEST(Rates, AreReadPerSecondMinuteAndHour) {
  EXPECT_EQ(parse_rate("2000/s"), 2000);
  EXPECT_EQ(parse_rate("30/min"), 0.5);
  EXPECT_EQ(parse_rate("0.5/s"), 0.5);
  EXPECT_EQ(parse_rate("3600/h"), 1);
  for (const char* wrong : {"", "2000", "/s", "-1/s", "1e9/s", "5/day", "nan/s", "./s", "5 /s"}) {
    EXPECT_FALSE(parse_rate(wrong)) << wrong;
  }
}

TEST(Rates, AreWrittenAsTheyAreRead) {
  for (const double rate : {0.0, 0.001, 0.5, 1.0, 2000.0, 1.5}) {
    EXPECT_NEAR(*parse_rate(format_rate(rate)), rate, 1e-9) << format_rate(rate);
  }
}

TEST(Shares, AreOfAHundred) {
  EXPECT_DOUBLE_EQ(*parse_share("99.9%"), 0.999);
  EXPECT_EQ(parse_share("100%"), 1);
  for (const char* wrong : {"", "%", "101%", "99.9", "-1%"}) EXPECT_FALSE(parse_share(wrong)) << wrong;
}

TEST(DurationRanges, AreOrdered) {
  EXPECT_EQ(parse_duration_range("20s..90s"), (DurationRange{20'000, 90'000}));
  EXPECT_EQ(parse_duration_range("5m"), (DurationRange{300'000, 300'000}));
  for (const char* wrong : {"90s..20s", "..5s", "5s..", "x"})
    EXPECT_FALSE(parse_duration_range(wrong)) << wrong;
}

TEST(ARateCurve, CountsWhatIsDueAndSaysWhen) {
  const RateCurve curve({{10'000, 0, 100}, {20'000, 100, 100}, {10'000, 100, 0}});
  EXPECT_DOUBLE_EQ(curve.rate_at(5), 50);
  EXPECT_DOUBLE_EQ(curve.events_until(10), 500);
  EXPECT_DOUBLE_EQ(curve.events_until(30), 2500);
  EXPECT_DOUBLE_EQ(curve.events_until(1000), 3000);
  EXPECT_TRUE(std::isinf(curve.time_of(3001)));
  EXPECT_EQ(curve.highest(), 100);
  // The one is the other's inverse, everywhere.
  for (double n = 1; n <= 2999; n += 17) EXPECT_NEAR(curve.events_until(curve.time_of(n)), n, 1e-6) << n;
}

TEST(ARateCurve, GoesOnAsItEnded) {
  const RateCurve curve({{1000, 10, 20}});
  EXPECT_DOUBLE_EQ(curve.events_until(2), 35);
  EXPECT_DOUBLE_EQ(curve.time_of(35), 2);
  EXPECT_DOUBLE_EQ(RateCurve::constant(4).time_of(2), 0.5);
}

}  // namespace
}  // namespace courier::load
