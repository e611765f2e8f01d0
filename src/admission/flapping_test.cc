#include "admission/flapping.h"

#include <string>

#include <gtest/gtest.h>

namespace courier::admission {
namespace {

constexpr MonoNs kStart = 1000 * kNsPerSecond;
constexpr FlappingOptions kFive = {.connects = 5, .within_ns = 10 * kNsPerSecond, .ban_ms = 60'000};

TEST(Flapping, IsOffUnlessItIsSet) {
  Flapping flapping;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(flapping.came("", "phone", kStart), std::nullopt);
}

TEST(Flapping, WhoComesTooOftenIsNamed) {
  Flapping flapping(kFive);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(flapping.came("", "phone", kStart), std::nullopt);
  EXPECT_EQ(flapping.came("", "phone", kStart), 60'000);
  EXPECT_EQ(flapping.came("", "phone", kStart), std::nullopt);  // the ban over, it begins anew
}

TEST(Flapping, WhoComesAtTheRateIsNot) {
  Flapping flapping(kFive);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(flapping.came("", "phone", kStart + i * 2 * kNsPerSecond), std::nullopt);
  }
}

TEST(Flapping, MountpointsAndClientsAreApart) {
  Flapping flapping(kFive);
  for (int i = 0; i < 5; ++i) {
    for (const char* mountpoint : {"", "a"}) {
      for (const char* client : {"phone-1", "phone-2"}) {
        EXPECT_EQ(flapping.came(mountpoint, client, kStart), std::nullopt);
      }
    }
  }
}

TEST(Flapping, OtherSettingsHoldFromTheNextClientOn) {
  Flapping flapping;
  flapping.use({.connects = 1, .within_ns = kNsPerSecond, .ban_ms = 7});
  EXPECT_EQ(flapping.came("", "phone", kStart), std::nullopt);
  EXPECT_EQ(flapping.came("", "phone", kStart), 7);
  flapping.use({});
  EXPECT_EQ(flapping.came("", "phone", kStart), std::nullopt);
}

// The table is as large whoever comes: a storm makes it forget, and gets nobody banned.
TEST(Flapping, AStormBansNobodyAndALoudOneIsStillSeen) {
  Flapping flapping(kFive);
  size_t banned = 0;
  bool seen = false;
  for (size_t i = 0; i < kFlappingSets * kFlappingWays * 4; ++i) {
    const MonoNs now = kStart + static_cast<MonoNs>(i) * 20'000;
    banned += flapping.came("", "phone-" + std::to_string(i), now) ? 1 : 0;
    if (i % 1000 == 0) seen = flapping.came("", "loud", now) || seen;
  }
  EXPECT_EQ(banned, 0u);
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace courier::admission
