#include "quota/allowance.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "quota/errc.h"
#include "quota/limits.h"

namespace courier::quota {
namespace {

constexpr MonoNs kSecond = kNsPerSecond;
constexpr MonoNs kNow = 1000 * kSecond;
constexpr auto kUnlabelled = auth::acl::kNoLabel;

Rule rate_of(std::string name, Per per, uint64_t per_second, uint64_t burst = 0) {
  Rule rule;
  rule.name = std::move(name);
  rule.per = per;
  rule.messages = {per_second, burst};
  return rule;
}

Rule connections_of(std::string name, Per per, uint32_t max) {
  Rule rule;
  rule.name = std::move(name);
  rule.per = per;
  rule.connections_max = max;
  return rule;
}

class QuotaAllowance : public testing::Test {
 protected:
  void use(std::vector<Rule> wanted) { ASSERT_TRUE(rules.exchange(std::move(wanted))); }
  std::unique_ptr<Allowance> of(Subject subject, MonoNs now = kNow) {
    return Allowance::of(*rules.current(), subject, nullptr, now);
  }
  // How many messages a client that always has one gets through in so long.
  static int through(Allowance& allowance, MonoNs from, MonoNs duration) {
    int count = 0;
    for (MonoNs now = from; now < from + duration; ++count) {
      const auto answer = allowance.publish(kUnlabelled, 10, 10, true, now);
      if (answer.refused) return -1;
      now += answer.pause;
    }
    return count;
  }

  Registry registry;
  auth::acl::Labels labels;
  Rules rules{registry, labels};
};

TEST_F(QuotaAllowance, NothingMatchesNothingIsKept) {
  use({});
  EXPECT_EQ(of({"l", "", "u"}), nullptr);
  Rule other = rate_of("r", Per::connection, 1);
  other.listener = "elsewhere";
  use({other});
  EXPECT_EQ(of({"l", "", "u"}), nullptr);
  EXPECT_NE(of({"elsewhere", "", "u"}), nullptr);
}

TEST_F(QuotaAllowance, WhoAlwaysSendsGetsExactlyTheRateAndTheBurst) {
  for (const uint64_t rate : {1, 7, 100, 1000, 50'000}) {
    use({rate_of("r", Per::connection, rate, 5)});
    auto allowance = of({"l", "", "u"});
    const int got = through(*allowance, kNow, 20 * kSecond);
    const double expected = 20.0 * static_cast<double>(rate) + 5;
    EXPECT_NEAR(got, expected, 1 + expected * 0.001) << rate;
  }
}

// A fast one is not paused for each message, and loses nothing by that.
TEST_F(QuotaAllowance, PausesAreNotShorterThanIsWorthIt) {
  use({rate_of("r", Per::connection, 10'000)});
  auto allowance = of({"l", "", "u"});
  MonoNs now = kNow;
  int pauses = 0, messages = 0;
  for (; now < kNow + 10 * kSecond; ++messages) {
    const auto answer = allowance->publish(kUnlabelled, 1, 1, true, now);
    now += answer.pause;
    pauses += answer.pause > 0;
    if (answer.pause > 0) {
      EXPECT_GE(answer.pause, kPauseMin);
    }
  }
  EXPECT_LE(pauses, 1010);
  EXPECT_NEAR(messages, 110'000, 200);
}

TEST_F(QuotaAllowance, TheTightestOfAllThatMatchHolds) {
  use({rate_of("wide", Per::connection, 1000), rate_of("tight", Per::all, 10, 1)});
  auto allowance = of({"l", "", "u"});
  EXPECT_NEAR(through(*allowance, kNow, 10 * kSecond), 101, 2);
  const auto answer = allowance->publish(kUnlabelled, 1, 1, true, kNow + 10 * kSecond);
  ASSERT_NE(answer.limit, nullptr);
  EXPECT_EQ(answer.limit->rule.name, "tight");
}

TEST_F(QuotaAllowance, OneBudgetIsSharedByWhomTheRuleSays) {
  const auto pair_gets = [&](Per per, Subject a, Subject b) {
    use({});
    use({rate_of("r", per, 100, 1)});
    auto first = of(a), second = of(b);
    int count = 0;
    MonoNs free_at[] = {kNow, kNow};
    for (;;) {
      const int who = free_at[0] <= free_at[1] ? 0 : 1;
      if (free_at[who] >= kNow + 10 * kSecond) return count;
      const auto answer = (who == 0 ? first : second)->publish(kUnlabelled, 1, 1, true, free_at[who]);
      free_at[who] += answer.pause;
      ++count;
    }
  };
  const Subject alice{"l", "", "alice"}, bob{"l", "", "bob"}, far{"m", "", "alice"},
      tenant{"l", "t", "alice"};
  EXPECT_NEAR(pair_gets(Per::connection, alice, alice), 2000, 10);
  EXPECT_NEAR(pair_gets(Per::identity, alice, alice), 1000, 10);
  EXPECT_NEAR(pair_gets(Per::identity, alice, far), 1000, 10);
  EXPECT_NEAR(pair_gets(Per::identity, alice, bob), 2000, 10);
  EXPECT_NEAR(pair_gets(Per::identity, alice, tenant), 2000, 10);
  EXPECT_NEAR(pair_gets(Per::listener, alice, bob), 1000, 10);
  EXPECT_NEAR(pair_gets(Per::listener, alice, far), 2000, 10);
  EXPECT_NEAR(pair_gets(Per::all, alice, far), 1000, 10);
}

TEST_F(QuotaAllowance, ADebtPastDelayMaxIsRefusedAndCostsNothing) {
  Rule rule;
  rule.name = "slow";
  rule.bytes = {1000, 1000};
  rule.delay_max_ns = 2 * kSecond;
  use({rule});
  auto allowance = of({"l", "", "u"});
  EXPECT_EQ(allowance->publish(kUnlabelled, 3000, 1, true, kNow).pause, 2 * kSecond);
  const auto refused = allowance->publish(kUnlabelled, 1, 1, true, kNow);
  EXPECT_TRUE(refused.refused);
  EXPECT_EQ(refused.what, What::bytes_per_second);
  // As if it had not been asked.
  EXPECT_EQ(allowance->publish(kUnlabelled, 1000, 1, true, kNow + 2 * kSecond).pause, kSecond);
  // Who cannot be told is taken, and waits as long as it takes.
  EXPECT_EQ(allowance->publish(kUnlabelled, 9000, 1, false, kNow + 3 * kSecond).pause, 9 * kSecond);
  EXPECT_EQ(registry.value("courier_limited_total",
                           {{"limit", "slow"}, {"what", "bytes_per_second"}, {"outcome", "refused"}}),
            1);
}

TEST_F(QuotaAllowance, WhenOneRefusesNothingIsTakenFromTheOthers) {
  Rule strict = rate_of("strict", Per::connection, 1, 1);
  strict.delay_max_ns = 0;
  use({rate_of("shared", Per::all, 10, 10), strict});
  auto allowance = of({"l", "", "u"}), other = of({"l", "", "v"});
  EXPECT_EQ(allowance->publish(kUnlabelled, 1, 1, true, kNow).pause, 0);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(allowance->publish(kUnlabelled, 1, 1, true, kNow).refused);
  EXPECT_FALSE(other->publish(kUnlabelled, 1, 1, true, kNow).refused);
}

TEST_F(QuotaAllowance, ALabelIsAboutMessagesThatHaveIt) {
  Rule chat = rate_of("chat", Per::connection, 1, 1);
  chat.label = "chat";
  chat.payload_bytes_max = 10;
  use({chat});
  auto allowance = of({"l", "", "u"});
  const auth::acl::LabelId label = labels.id("chat"), other = labels.id("orders");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(allowance->publish(other, 100, 100, true, kNow).limit, nullptr);
    EXPECT_EQ(allowance->publish(kUnlabelled, 100, 100, true, kNow).limit, nullptr);
  }
  EXPECT_EQ(allowance->publish(label, 1, 1, true, kNow).pause, 0);
  EXPECT_EQ(allowance->publish(label, 1, 1, true, kNow).pause, kSecond);
  EXPECT_EQ(allowance->publish(label, 100, 11, true, kNow).what, What::payload_bytes_max);
}

TEST_F(QuotaAllowance, ConnectsAreDelayedAndThenRefused) {
  Rule rule;
  rule.name = "storm";
  rule.per = Per::listener;
  rule.connects = {10, 2};
  rule.delay_max_ns = kSecond;
  use({rule});
  std::vector<std::unique_ptr<Allowance>> all;
  int at_once = 0, delayed = 0, refused = 0;
  for (int i = 0; i < 100; ++i) {
    all.push_back(of({"l", "", "u"}));
    const auto answer = all.back()->connect(kNow);
    (answer.refused ? refused : answer.pause > 0 ? delayed : at_once)++;
  }
  EXPECT_EQ(at_once, 2);
  EXPECT_EQ(delayed, 10);
  EXPECT_EQ(refused, 88);
}

TEST_F(QuotaAllowance, ConnectionsAreCountedWhileTheyAreThere) {
  use({connections_of("two", Per::identity, 2)});
  auto first = of({"l", "", "u"}), second = of({"l", "", "u"}), third = of({"l", "", "u"});
  auto other = of({"l", "", "v"});
  EXPECT_EQ(first->enter({}), nullptr);
  EXPECT_EQ(second->enter({}), nullptr);
  EXPECT_NE(third->enter({}), nullptr);
  EXPECT_EQ(other->enter({}), nullptr);
  third.reset();  // was refused: it takes nothing with it
  first.reset();
  auto fourth = of({"l", "", "u"}), fifth = of({"l", "", "u"});
  EXPECT_EQ(fourth->enter({}), nullptr);
  EXPECT_EQ(fourth->enter({}), nullptr);  // it is one
  EXPECT_NE(fifth->enter({}), nullptr);
}

// The same client again takes its own place, and leaves it to the old one when it is refused for another
// reason.
TEST_F(QuotaAllowance, WhoTakesOverNeedsNoPlaceOfItsOwn) {
  use({connections_of("mine", Per::identity, 1), connections_of("all", Per::all, 2)});
  auto old = of({"l", "", "u"}), other = of({"l", "", "v"});
  EXPECT_EQ(old->enter({}), nullptr);
  EXPECT_EQ(other->enter({}), nullptr);
  auto again = of({"l", "", "u"});
  Allowance* displaced[] = {old.get(), nullptr};
  EXPECT_EQ(again->enter(displaced), nullptr);
  old.reset();
  auto third = of({"l", "", "w"});
  EXPECT_NE(third->enter({}), nullptr);
  again.reset();
  EXPECT_EQ(third->enter({}), nullptr);
  // v may not be two, nor may w displace him for u.
  auto fourth = of({"l", "", "x"});
  Allowance* stranger[] = {other.get()};
  EXPECT_EQ(fourth->enter(stranger), nullptr);  // of "all" it has the place of v
  other.reset();
  fourth.reset();
  third.reset();
  for (const LimitPtr& limit : *rules.current()) {
    EXPECT_EQ(limit->budget({"l", "", "u"}, kNow)->connections.load(), 0u) << limit->rule.name;
  }
}

TEST_F(QuotaAllowance, ARefusalGivesBackWhatWasTakenAndLent) {
  use({connections_of("mine", Per::identity, 1), connections_of("all", Per::all, 1)});
  auto old = of({"l", "", "u"});
  EXPECT_EQ(old->enter({}), nullptr);
  use({connections_of("mine", Per::identity, 1), connections_of("all", Per::all, 1),
       connections_of("none", Per::listener, 1)});
  auto holder = of({"l", "", "z"});
  auto budget = (*rules.current())[2]->budget({"l", "", ""}, kNow);
  budget->enter();  // somebody has the only place at this listener
  auto again = of({"l", "", "u"});
  Allowance* displaced[] = {old.get()};
  const Limit* full = again->enter(displaced);
  ASSERT_NE(full, nullptr);
  EXPECT_EQ(full->rule.name, "none");
  again.reset();
  auto mine = (*rules.current())[0]->budget({"l", "", "u"}, kNow);
  EXPECT_EQ(mine->connections.load(), 1u);  // old still has it
  old.reset();
  EXPECT_EQ(mine->connections.load(), 0u);
}

// Counts are exact however many threads come and go.
TEST_F(QuotaAllowance, CountsAreExactOverThreads) {
  use({connections_of("ten", Per::all, 10)});
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        std::vector<std::unique_ptr<Allowance>> mine;
        for (int n = 0; n < 5; ++n) {
          auto one = of({"l", "", "u"});
          if (one->enter({})) continue;
          const int now = ++inside;
          int seen = most.load();
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          mine.push_back(std::move(one));
        }
        inside -= static_cast<int>(mine.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 10);
  EXPECT_EQ((*rules.current())[0]->budget({"l", "", "u"}, kNow)->connections.load(), 0u);
}

// --- exchange ---

TEST_F(QuotaAllowance, ARuleThatStaysKeepsItsDebtsAndCounts) {
  const Rule kept = connections_of("kept", Per::identity, 1);
  const Rule rate = rate_of("rate", Per::connection, 1, 1);
  use({kept, rate});
  const uint32_t generation = rules.generation();
  use({kept, rate});
  EXPECT_EQ(rules.generation(), generation);  // nothing changed
  auto before = of({"l", "", "u"});
  EXPECT_EQ(before->enter({}), nullptr);
  EXPECT_EQ(before->publish(kUnlabelled, 1, 1, true, kNow).pause, 0);
  use({kept, rate, connections_of("new", Per::all, 1)});
  EXPECT_NE(rules.generation(), generation);
  auto after = of({"l", "", "u"});
  after->succeed(before.get(), true);
  before.reset();
  EXPECT_EQ(after->publish(kUnlabelled, 1, 1, true, kNow).pause, kSecond);  // its second one
  auto another = of({"l", "", "u"});
  EXPECT_NE(another->enter({}), nullptr);
  after.reset();
  EXPECT_EQ(another->enter({}), nullptr);
}

TEST_F(QuotaAllowance, WhoIsThereIsCountedByNewRulesEvenPastThem) {
  use({rate_of("r", Per::connection, 1)});
  auto a = of({"l", "", "u"}), b = of({"l", "", "u"});
  EXPECT_EQ(a->enter({}), nullptr);
  EXPECT_EQ(b->enter({}), nullptr);
  use({connections_of("one", Per::all, 1)});
  auto a2 = of({"l", "", "u"}), b2 = of({"l", "", "u"}), c = of({"l", "", "u"});
  a2->succeed(a.get(), true);
  b2->succeed(b.get(), true);
  EXPECT_NE(c->enter({}), nullptr);
  a2.reset();
  EXPECT_NE(c->enter({}), nullptr);
  b2.reset();
  EXPECT_EQ(c->enter({}), nullptr);
}

TEST_F(QuotaAllowance, BadRulesLeaveTheOldOnes) {
  use({rate_of("r", Per::connection, 1)});
  EXPECT_FALSE(rules.exchange({rate_of("x", Per::connection, 1), rate_of("x", Per::connection, 2)}));
  const auto named = rules.exchange({rate_of(std::string(Rules::kPersonal), Per::connection, 1)});
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, make_error_code(errc::invalid));
  std::vector<Rule> many;
  for (size_t i = 0; i <= kRulesMax; ++i) many.push_back(rate_of("r" + std::to_string(i), Per::all, 1));
  EXPECT_FALSE(rules.exchange(many));
  ASSERT_EQ(rules.current()->size(), 1u);
  EXPECT_EQ(rules.current()->front()->rule.name, "r");
}

// --- bounds ---

TEST_F(QuotaAllowance, BudgetsAreForgottenWhenTheyAreAsGoodAsNew) {
  use({rate_of("r", Per::identity, 10, 10)});
  Budgets& budgets = rules.current()->front()->budgets;
  for (int i = 0; i < 1000; ++i) {
    const std::string user = "u" + std::to_string(i);
    (void)of({"l", "", user})->publish(kUnlabelled, 1, 1, true, kNow);
  }
  auto held = of({"l", "", "held"});
  EXPECT_EQ(budgets.size(), 1001u);
  for (int i = 0; i < 64; ++i) rules.tidy(kNow);
  EXPECT_EQ(budgets.size(), 1001u);  // they owe something yet
  for (int i = 0; i < 64; ++i) rules.tidy(kNow + kSecond);
  EXPECT_EQ(budgets.size(), 1u);
}

TEST_F(QuotaAllowance, NoMoreThanSoManyAreLeftBehind) {
  use({rate_of("r", Per::identity, 1, 3600)});
  Budgets& budgets = rules.current()->front()->budgets;
  for (size_t i = 0; i < 5 * kLeftBehindMax; ++i) {
    const std::string user = "u" + std::to_string(i);
    (void)of({"l", "", user})->publish(kUnlabelled, 1, 1, true, kNow);
  }
  EXPECT_LE(budgets.size(), 3 * kLeftBehindMax);
  for (int i = 0; i < 64; ++i) rules.tidy(kNow);
  EXPECT_LE(budgets.size(), kLeftBehindMax);
}

TEST_F(QuotaAllowance, WhatIsEachClientsOwn) {
  Rule rule;
  rule.name = "own";
  rule.inflight_max = 3;
  rule.subscriptions_max = 2;
  rule.retained_messages_max = 4;
  use({rule});
  auto allowance = of({"l", "", "u"});
  EXPECT_EQ(allowance->inflight_max(), 3);
  EXPECT_EQ(allowance->subscriptions(2), nullptr);
  EXPECT_NE(allowance->subscriptions(3), nullptr);
  EXPECT_EQ(allowance->retained(kUnlabelled, 4), nullptr);
  EXPECT_NE(allowance->retained(kUnlabelled, 5), nullptr);
}

}  // namespace
}  // namespace courier::quota
