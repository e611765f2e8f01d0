#include "cluster/cluster_clock.h"

#include <gtest/gtest.h>

namespace courier::cluster {
namespace {

constexpr WallMs kHour = 3'600'000;
constexpr WallMs kStart = 1'700'000'000'000;

struct MachineClock final : Clock {
  WallMs wall_ms() const override { return wall; }
  MonoNs mono_ns() const override { return mono; }
  void pass(WallMs ms) {
    wall += ms;
    mono += ms * kNsPerMs;
  }
  WallMs wall = kStart;
  MonoNs mono = 77 * kNsPerSecond;
};

TEST(ClusterClock, IsTheMachinesClockAsLongAsThatIsAboutRight) {
  MachineClock machine;
  ClusterClock clock(machine);
  clock.set(kStart + kClockStepMs);
  machine.pass(1000);
  EXPECT_EQ(clock.wall_ms(), machine.wall);
  EXPECT_EQ(clock.mono_ns(), machine.mono);
}

TEST(ClusterClock, OneThatIsOffIsPutRight) {
  for (const WallMs off : {kHour, -kHour}) {
    MachineClock machine;
    machine.wall += off;
    ClusterClock clock(machine);
    clock.set(kStart);
    EXPECT_EQ(clock.correction_ms(), -off);
    machine.pass(1000);
    EXPECT_EQ(clock.wall_ms(), kStart + 1000);
  }
}

TEST(ClusterClock, AMachineWhoseClockIsSetDoesNotMoveIt) {
  MachineClock machine;
  ClusterClock clock(machine);
  machine.pass(1000);
  machine.wall += kHour;
  EXPECT_EQ(clock.wall_ms(), kStart + 1000);
  machine.pass(1000);
  EXPECT_EQ(clock.wall_ms(), kStart + 2000);
  machine.wall -= kHour;
  EXPECT_EQ(clock.wall_ms(), kStart + 2000);
  EXPECT_EQ(clock.correction_ms(), 0);
}

TEST(ClusterClock, SmallStepsOfTheMachineAreFollowed) {
  MachineClock machine;
  ClusterClock clock(machine);
  for (int i = 0; i < 10; ++i) {
    machine.wall += kClockStepMs;
    EXPECT_EQ(clock.wall_ms(), machine.wall);
  }
}

}  // namespace
}  // namespace courier::cluster
