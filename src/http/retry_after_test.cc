#include "http/retry_after.h"

#include <gtest/gtest.h>

namespace courier::http {
namespace {

TEST(RetryAfter, SecondsAndDatesAreUnderstood) {
  EXPECT_EQ(retry_after_ms("0", 0), 0);
  EXPECT_EQ(retry_after_ms("120", 5), 120'000);
  // Source of the date: RFC 9110, 5.6.7.
  EXPECT_EQ(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777'000 - 2'500), 2'500);
  EXPECT_EQ(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777'001), 0);
}

TEST(RetryAfter, WhatIsNeitherSaysNothing) {
  for (const char* text : {"", "soon", "-1", "1.5", "12 s", "99999999999", "Sun, 06 Nov 1994 08:49:37 CET"})
    EXPECT_EQ(retry_after_ms(text, 0), std::nullopt) << text;
}

}  // namespace
}  // namespace courier::http
