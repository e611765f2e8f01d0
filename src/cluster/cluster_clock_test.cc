#include "cluster/cluster_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace courier::cluster {
namespace {

constexpr WallMs kHour = 3'600'000;
constexpr WallMs kStart = 1'700'000'000'000;

struct MachineClock final : Clock {
  WallMs wall_ms() const override { return wall; }
  MonoNs mono_ns() const override { return sleepless - slept; }
  void pass(WallMs ms) {
    wall += ms;
    sleepless += ms * kNsPerMs;
  }
  void sleep(WallMs ms) {
    pass(ms);
    slept += ms * kNsPerMs;
  }
  std::atomic<WallMs> wall = kStart;
  std::atomic<MonoNs> sleepless = 77 * kNsPerSecond;
  std::atomic<MonoNs> slept = 0;
  const std::function<MonoNs()> boot = [this] { return sleepless.load(); };
};

TEST(ClusterClock, IsTheMachinesClockAsLongAsThatIsAboutRight) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  clock.set(kStart + kClockStepMs);
  machine.pass(1000);
  EXPECT_EQ(clock.wall_ms(), machine.wall);
  EXPECT_EQ(clock.mono_ns(), machine.mono_ns());
  EXPECT_EQ(clock.correction_ms(), 0);
}

TEST(ClusterClock, OneThatIsOffIsPutRight) {
  for (const WallMs off : {kHour, -kHour, 50 * 365 * 24 * kHour, -kStart}) {
    MachineClock machine;
    machine.wall += off;
    ClusterClock clock(machine, machine.boot);
    clock.set(kStart);
    EXPECT_EQ(clock.correction_ms(), -off);
    machine.pass(1000);
    clock.follow();
    EXPECT_EQ(clock.wall_ms(), kStart + 1000);
  }
}

TEST(ClusterClock, WhatCannotBeTheTimeIsNotBelieved) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  for (const WallMs time :
       {INT64_MIN, INT64_MIN + 1, WallMs{-1}, WallMs{0}, kTimeMin - 1, kTimeMax, INT64_MAX}) {
    clock.set(time);
    EXPECT_EQ(clock.wall_ms(), kStart) << time;
  }
}

TEST(ClusterClock, AMachineWhoseClockIsSetDoesNotMoveIt) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  machine.pass(1000);
  machine.wall += kHour;
  EXPECT_EQ(clock.wall_ms(), kStart + 1000);
  clock.follow();
  EXPECT_EQ(clock.wall_ms(), kStart + 1000);
  EXPECT_EQ(clock.correction_ms(), -kHour);
  machine.pass(1000);
  EXPECT_EQ(clock.wall_ms(), kStart + 2000);
  machine.wall -= kHour;
  clock.follow();
  EXPECT_EQ(clock.wall_ms(), kStart + 2000);
  EXPECT_EQ(clock.correction_ms(), 0);
}

TEST(ClusterClock, SmallStepsOfTheMachineAreFollowed) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  for (int i = 0; i < 10; ++i) {
    machine.wall += kClockStepMs;
    clock.follow();
    EXPECT_EQ(clock.wall_ms(), machine.wall);
  }
}

TEST(ClusterClock, GoesOnWhileTheMachineSleeps) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  machine.sleep(kHour);
  EXPECT_EQ(clock.wall_ms(), kStart + kHour);
  clock.follow();
  EXPECT_EQ(clock.wall_ms(), kStart + kHour);
  EXPECT_EQ(clock.correction_ms(), 0);
}

TEST(ClusterClock, ReadersSeeNothingOfAClockThatIsSet) {
  MachineClock machine;
  ClusterClock clock(machine, machine.boot);
  std::atomic<bool> over{false}, moved{false};
  std::jthread reader([&] {
    while (!over) {
      if (clock.wall_ms() != kStart) moved = true;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    machine.wall += i % 2 == 0 ? kHour : -kHour;
    clock.follow();
  }
  over = true;
  reader.join();
  EXPECT_FALSE(moved);
}

}  // namespace
}  // namespace courier::cluster
