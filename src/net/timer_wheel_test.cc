#include "net/timer_wheel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace courier::net {
namespace {

constexpr MonoNs kMs = 1'000'000;

struct Timer : TimerNode {
  explicit Timer(int n = 0) : number(n) {}
  int number;
};
static_assert(sizeof(TimerNode) == 24);

using Wheel = TimerWheel<Timer>;

std::vector<int> advance(Wheel& wheel, MonoNs now) {
  std::vector<int> fired;
  wheel.advance(now, [&](Timer& timer) { fired.push_back(timer.number); });
  return fired;
}

TEST(TimerWheel, NeverFiresEarlyAndFiresAtTheTickThatCoversItsTime) {
  Wheel wheel(0);
  Timer timer(1);
  wheel.arm(timer, 5 * kMs + 1);
  EXPECT_EQ(wheel.next_due(), 6 * kMs);
  EXPECT_THAT(advance(wheel, 5 * kMs + 1), testing::IsEmpty());
  EXPECT_THAT(advance(wheel, 6 * kMs - 1), testing::IsEmpty());
  EXPECT_THAT(advance(wheel, 6 * kMs), testing::ElementsAre(1));
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(wheel.next_due(), std::nullopt);
}

TEST(TimerWheel, ATimeThatHasPassedFiresAtTheNextAdvance) {
  Wheel wheel(1000 * kMs);
  Timer late(1), present(2), negative(3);
  wheel.arm(late, 10);
  wheel.arm(present, 1000 * kMs);
  wheel.arm(negative, -5);
  EXPECT_EQ(wheel.next_due(), 1000 * kMs);
  EXPECT_THAT(advance(wheel, 1000 * kMs), testing::UnorderedElementsAre(1, 2, 3));
}

TEST(TimerWheel, EarlierTicksFireFirstWhateverLevelTheyCameFrom) {
  Wheel wheel(0);
  std::vector<std::unique_ptr<Timer>> timers;
  const std::vector<MonoNs> ticks{1, 63, 64, 65, 4095, 4096, 4097, 262'143, 262'144, 1'000'000, 16'777'216};
  for (size_t i = ticks.size(); i-- > 0;) {
    timers.push_back(std::make_unique<Timer>(static_cast<int>(i)));
    wheel.arm(*timers.back(), ticks[i] * kMs);
  }
  EXPECT_THAT(advance(wheel, 20'000'000 * kMs), testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
}

TEST(TimerWheel, CoarseTimersShareTheirMoments) {
  Wheel wheel(0);
  std::vector<std::unique_ptr<Timer>> timers;
  std::set<MonoNs> moments;
  for (int i = 0; i < 1000; ++i) {
    timers.push_back(std::make_unique<Timer>(i));
    wheel.arm_coarse(*timers.back(), (60'000 + i) * kMs);
  }
  while (const auto due = wheel.next_due()) {
    wheel.advance(*due, [&](Timer& timer) {
      moments.insert(*due);
      EXPECT_GE(*due, (60'000 + timer.number) * kMs);
      EXPECT_LT(*due, (60'000 + timer.number + 64) * kMs);
    });
  }
  EXPECT_LE(moments.size(), 17u);
}

TEST(TimerWheel, ATimerArmedWhileFiringWaitsForTheNextAdvance) {
  Wheel wheel(0);
  Timer timer(1);
  wheel.arm(timer, kMs);
  int fired = 0;
  const auto again = [&](Timer& t) {
    ++fired;
    wheel.arm(t, 0);
  };
  EXPECT_EQ(wheel.advance(100 * kMs, again), 1u);  // would never return if it were fired at once
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(wheel.advance(101 * kMs, again), 1u);
  wheel.cancel(timer);
  EXPECT_EQ(fired, 2);
}

TEST(TimerWheel, AFiringTimerMayCancelOthersOfTheSameTickAndBeDestroyed) {
  Wheel wheel(0);
  auto first = std::make_unique<Timer>(1), second = std::make_unique<Timer>(2);
  wheel.arm(*first, kMs);
  wheel.arm(*second, kMs);
  EXPECT_EQ(wheel.advance(kMs,
                          [&](Timer& timer) {
                            auto& other = timer.number == 1 ? second : first;
                            wheel.cancel(*other);
                            other.reset();
                            (timer.number == 1 ? first : second).reset();
                          }),
            1u);
  EXPECT_TRUE(wheel.empty());
  EXPECT_EQ(first, nullptr);
  EXPECT_EQ(second, nullptr);
}

TEST(TimerWheel, ArmingAgainMovesATimer) {
  Wheel wheel(0);
  Timer timer(1);
  wheel.arm(timer, 10 * kMs);
  wheel.arm(timer, 5000 * kMs);
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_THAT(advance(wheel, 4999 * kMs), testing::IsEmpty());
  EXPECT_THAT(advance(wheel, 5000 * kMs), testing::ElementsAre(1));
}

TEST(TimerWheel, TimeThatGoesBackIsTakenAsStandingStill) {
  Wheel wheel(0);
  Timer timer(1);
  EXPECT_THAT(advance(wheel, 100 * kMs), testing::IsEmpty());
  EXPECT_THAT(advance(wheel, 50 * kMs), testing::IsEmpty());
  wheel.arm(timer, 60 * kMs);
  EXPECT_THAT(advance(wheel, 60 * kMs), testing::ElementsAre(1)) << "its time has passed";
}

TEST(TimerWheel, HoldsTheFarthestTimeThereIs) {
  Wheel wheel(0, 1);  // one nanosecond a tick: all 63 bits are used
  Timer timer(1), near(2);
  constexpr MonoNs kMax = std::numeric_limits<MonoNs>::max();
  wheel.arm(timer, kMax);
  wheel.arm(near, 1);
  EXPECT_THAT(advance(wheel, kMax - 1), testing::ElementsAre(2));
  EXPECT_EQ(wheel.next_due(), kMax);
  EXPECT_THAT(advance(wheel, kMax), testing::ElementsAre(1));
}

TEST(TimerWheel, MayGoBeforeItsTimers) {
  Timer timer(1);
  {
    Wheel wheel(0);
    wheel.arm(timer, 77 * kMs);
  }
  EXPECT_FALSE(timer.armed());
}

TEST(TimerWheelDeathTest, AnArmedTimerMustNotBeDestroyed) {
  EXPECT_DEATH(
      {
        Wheel wheel(0);
        Timer timer(1);
        wheel.arm(timer, kMs);
        std::destroy_at(&timer);
      },
      "CHECK");
}

// Random operations side by side with the obvious implementation.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed), now_(pick(0, 1'000'000) * kMs), wheel_(now_) {
    for (int i = 0; i < kTimers; ++i) timers_.push_back(std::make_unique<Timer>(i));
  }
  ~Model() {
    for (auto& timer : timers_) wheel_.cancel(*timer);
  }

  void step() {
    Timer& timer = *timers_[static_cast<size_t>(pick(0, kTimers - 1))];
    switch (pick(0, 9)) {
      case 0:
        wheel_.cancel(timer);
        forget(timer.number);
        break;
      case 1:
      case 2:
        advance_to(now_ + distance());
        break;
      case 3:
        // As an owner's loop does: straight to the next thing to do.
        if (const auto due = wheel_.next_due()) advance_to(std::max(now_, *due));
        break;
      default:
        arm(timer, now_ + distance() - pick(0, 3) * kMs);
        break;
    }
    check();
  }

 private:
  static constexpr int kTimers = 200;

  MonoNs pick(MonoNs low, MonoNs high) { return std::uniform_int_distribution<MonoNs>(low, high)(random_); }
  // From nanoseconds to weeks, all magnitudes alike.
  MonoNs distance() { return pick(0, MonoNs{1} << pick(0, 50)); }

  void arm(Timer& timer, MonoNs due, bool firing = false) {
    const bool coarse = pick(0, 3) == 0;
    forget(timer.number);
    const MonoNs unit = coarse ? 64 * kMs : kMs;
    const MonoNs rounded = (std::max<MonoNs>(due, 0) + unit - 1) / unit * unit;
    const MonoNs floor = now_ / kMs * kMs + (firing ? kMs : 0);
    expected_.emplace(std::max(rounded, floor), timer.number);
    coarse ? wheel_.arm_coarse(timer, due) : wheel_.arm(timer, due);
  }

  void forget(int number) {
    std::erase_if(expected_, [number](const auto& entry) { return entry.second == number; });
  }

  void advance_to(MonoNs now) {
    now_ = now;
    std::map<MonoNs, std::multiset<int>> wanted;
    MonoNs last = 0;
    wheel_.advance(now, [&](Timer& timer) {
      ASSERT_FALSE(timer.armed());
      const auto entry = std::find_if(expected_.begin(), expected_.end(),
                                      [&](const auto& e) { return e.second == timer.number; });
      ASSERT_NE(entry, expected_.end()) << "fired though not armed";
      ASSERT_LE(entry->first, now) << "fired early";
      ASSERT_GE(entry->first, last) << "fired out of order";
      last = entry->first;
      expected_.erase(entry);
      if (pick(0, 4) == 0) arm(timer, now_ + distance() - kMs, true);
      if (pick(0, 9) == 0) {
        Timer& other = *timers_[static_cast<size_t>(pick(0, kTimers - 1))];
        wheel_.cancel(other);
        forget(other.number);
      }
    });
    ASSERT_TRUE(expected_.empty() || expected_.begin()->first > now) << "not fired";
  }

  void check() {
    ASSERT_EQ(wheel_.size(), expected_.size());
    const auto due = wheel_.next_due();
    ASSERT_EQ(due.has_value(), !expected_.empty());
    if (due) {
      ASSERT_LE(*due, expected_.begin()->first) << "would have slept too long";
    }
  }

  std::mt19937_64 random_;
  MonoNs now_;
  Wheel wheel_;
  std::vector<std::unique_ptr<Timer>> timers_;
  std::multimap<MonoNs, int> expected_;
};

TEST(TimerWheel, DoesWhatAnOrderedMapDoes) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Model model(seed);
    for (int i = 0; i < 1000; ++i) {
      model.step();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(TimerWheel, ALoneFarTimerWakesItsOwnerOnlyAFewTimes) {
  Wheel wheel(0);
  Timer timer(1);
  wheel.arm(timer, 90'123 * kMs);
  int wakes = 0;
  while (const auto due = wheel.next_due()) {
    ++wakes;
    advance(wheel, *due);
  }
  EXPECT_LE(wakes, 3);
}

}  // namespace
}  // namespace courier::net
