#include "http/retry_after.h"

#include <gtest/gtest.h>

namespace courier::http {
namespace {

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(retry_after_ms("0", 0), 0);
  EXPECT_EQ(retry_after_ms("120", 5), 120'000);
  constexpr WallMs kNow = 784'111'777'000;  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", kNow - 30'000), 30'000);
  EXPECT_EQ(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", kNow + 1), 0) << "it is over";
}

TEST(RetryAfter, OfNonsenseIsNothingAndOfAGreatWhileAYear) {
  for (const char* text : {"", "-1", "soon", "1.5", "1 second", "0x10"})
    EXPECT_FALSE(retry_after_ms(text, 0)) << text;
  EXPECT_EQ(retry_after_ms("999999999999", 0), int64_t{365} * 24 * 3'600'000);
  EXPECT_FALSE(retry_after_ms("99999999999999999999999999", 0));
}

}  // namespace
}  // namespace courier::http
