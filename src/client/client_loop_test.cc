#include "client/client_loop.h"

#include <gtest/gtest.h>

namespace courier::client {
namespace {

class StandingClock final : public Clock {
 public:
  MonoNs mono_ns() const override { return now; }
  WallMs wall_ms() const override { return 0; }
  MonoNs now = 1'000'000'000;
};

constexpr MonoNs kUs = 1'000;

TEST(ClientLoop, ATimerOfSomeMomentFiresThenAndNotAMillisecondLater) {
  StandingClock clock;
  const auto loop = *ClientLoop::open(1, clock);
  bool fired = false;
  Timer timer([&] { fired = true; });
  loop->arm_at(timer, clock.now + 300 * kUs);
  clock.now += 299 * kUs;
  loop->run_once(0);
  EXPECT_FALSE(fired);
  clock.now += 17 * kUs;
  loop->run_once(0);
  EXPECT_TRUE(fired);
}

TEST(ClientLoop, TimersOfAWhileShareATurnIfTheyAreWithinAMillisecond) {
  StandingClock clock;
  const auto loop = *ClientLoop::open(1, clock);
  int fired = 0;
  Timer one([&] { ++fired; }), other([&] { ++fired; });
  clock.now += 100 * kUs;
  loop->arm(one, 5);
  clock.now += 700 * kUs;
  loop->arm(other, 5);
  clock.now += 5'199 * kUs;
  loop->run_once(0);
  EXPECT_EQ(fired, 0);
  clock.now += 1 * kUs;
  loop->run_once(0);
  EXPECT_EQ(fired, 2);
}

}  // namespace
}  // namespace courier::client
