#include "config/quantity.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace courier::config {
namespace {

TEST(Quantity, SizesArePowersOf1024) {
  EXPECT_EQ(parse_bytes("0"), 0);
  EXPECT_EQ(parse_bytes("512"), 512);
  EXPECT_EQ(parse_bytes("512B"), 512);
  EXPECT_EQ(parse_bytes("64KB"), 65536);
  EXPECT_EQ(parse_bytes("64 KiB"), 65536);
  EXPECT_EQ(parse_bytes("16M"), 16 << 20);
  EXPECT_EQ(parse_bytes("1.5GB"), 1610612736);
  EXPECT_EQ(parse_bytes("2TB"), 2LL << 40);
}

TEST(Quantity, DurationsAreMillisecondsAndBareNumbersAreSeconds) {
  EXPECT_EQ(parse_duration_ms("0"), 0);
  EXPECT_EQ(parse_duration_ms("30"), 30'000);
  EXPECT_EQ(parse_duration_ms("0.25"), 250);
  EXPECT_EQ(parse_duration_ms("500ms"), 500);
  EXPECT_EQ(parse_duration_ms("30s"), 30'000);
  EXPECT_EQ(parse_duration_ms("5 m"), 300'000);
  EXPECT_EQ(parse_duration_ms("1.5h"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("7d"), 604'800'000);
}

TEST(Quantity, WhatIsNotANumberWithAKnownUnitIsRefused) {
  for (const char* text : {"", " ", "MB", "-1", "-1MB", "1XB", "1 ", "1  MB", "1MBs", "0x10", "1e3", ".5s",
                           "5.", "1.2.3", "99999999999TB", "9223372036854775808", "0.5B", "1mb", "1,5MB"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
  for (const char* text : {"", "s", "-1s", "1S", "1min", "0.0001s", "1w", "999999999999999d"}) {
    EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
  }
}

TEST(Quantity, WhatIsWrittenReadsBack) {
  EXPECT_EQ(format_bytes(0), "0B");
  EXPECT_EQ(format_bytes(1000), "1000B");
  EXPECT_EQ(format_bytes(64LL << 20), "64MB");
  EXPECT_EQ(format_duration_ms(0), "0s");
  EXPECT_EQ(format_duration_ms(500), "500ms");
  EXPECT_EQ(format_duration_ms(90'000), "90s");
  EXPECT_EQ(format_duration_ms(3'600'000), "1h");
  for (const int64_t n : {0LL, 1LL, 1023LL, 1024LL, 1536LL, 5LL << 30, 3LL << 40}) {
    EXPECT_EQ(parse_bytes(format_bytes(n)), n);
  }
  for (const int64_t n : {0LL, 1LL, 999LL, 60'000LL, 90'000LL, 86'400'000LL * 400}) {
    EXPECT_EQ(parse_duration_ms(format_duration_ms(n)), n);
  }
}

}  // namespace
}  // namespace courier::config
