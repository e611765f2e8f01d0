#include "http/cache_control.h"

#include <gtest/gtest.h>

#include <limits>

namespace courier::http {
namespace {

TEST(CacheControl, MaxAgeIsFoundAmongOtherDirectives) {
  EXPECT_EQ(max_age_seconds("max-age=45"), 45);
  EXPECT_EQ(max_age_seconds("Private, Max-Age=45 , x=\"y\""), 45);
  EXPECT_EQ(max_age_seconds("s-maxage=9,max-age=45,sthelse"), 45);
  EXPECT_EQ(max_age_seconds("max-age=\"45\""), 45);
  EXPECT_EQ(max_age_seconds("max-age=0"), 0);
  EXPECT_EQ(max_age_seconds("max-age=1, max-age=2"), 1);
  EXPECT_EQ(max_age_seconds("max-age=99999999999999999999"), std::numeric_limits<int64_t>::max());
}

TEST(CacheControl, WithoutOneThereIsNoAge) {
  for (const char* none : {"", ",", "public", "max-age", "max-age=", "max-age=x", "max-age=4x", "max-age=-4",
                           "x-max-age=4", "no-store, max-age=45", "max-age=45, No-Cache"}) {
    EXPECT_FALSE(max_age_seconds(none)) << none;
  }
}

}  // namespace
}  // namespace courier::http
