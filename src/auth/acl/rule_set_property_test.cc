// The index must answer as plain evaluation does, over random rules, clients and questions.
#include <gtest/gtest.h>

#include <random>

#include "auth/acl/explanation.h"
#include "auth/acl/rule_set.h"
#include "auth/acl/rule_set_test_model.h"

namespace courier::auth::acl {
namespace {

TEST(RuleSetProperty, AnswersAsPlainEvaluationDoes) {
  std::mt19937 random(20240501);
  auto number = [&](size_t n) { return static_cast<size_t>(random() % n); };
  model::Maker maker(number);
  size_t allowed = 0, denied = 0, unmatched = 0;
  for (int round = 0; round < 1500; ++round) {
    Labels labels;
    std::vector<model::PlainRule> rules = maker.rules(1 + number(20));
    const std::string text = model::written(rules);
    const auto set = RuleSet::parse(text, "acl", labels);
    ASSERT_TRUE(set) << spelt("acl", set.error()) << "\n" << text;
    const auto own = maker.grants(number(4));
    const auto grants = RuleSet::of_grants(model::as_grants(own), labels);
    ASSERT_TRUE(grants) << grants.error().message;
    rules.insert(rules.end(), own.begin(), own.end());

    for (int question = 0; question < 20; ++question) {
      const std::string username = maker.name(), client_id = maker.name(), mountpoint = maker.name();
      const Subject subject{username, client_id, mountpoint, own.empty() ? nullptr : grants->get()};
      const Action action = number(2) == 0 ? Action::publish : Action::subscribe;
      const std::string asked = maker.asked(action);
      const auto expected = model::decide(rules, subject, action, asked);
      const Answer answer = (*set)->check(subject, action, asked);
      const auto context = [&] {
        std::string all = text;
        for (const auto& grant : own) {
          all += fmt::format("grant {}{} {}\n", grant.deny ? "deny " : "", static_cast<int>(grant.access),
                             grant.filter);
        }
        return fmt::format("{}user \"{}\" client \"{}\" mountpoint \"{}\" {} {}", all, username, client_id,
                           mountpoint, name(action), asked);
      };
      ASSERT_EQ(answer.allowed, expected.allowed) << context();
      ASSERT_EQ(answer.rule != kNoRule, expected.rule.has_value()) << context();
      if (expected.rule) {
        const bool grant = (answer.rule & kGrantBit) != 0;
        const RuleSet& by = grant ? **grants : **set;
        ASSERT_EQ(grant, rules[*expected.rule].section == Section::grant) << context();
        ASSERT_EQ(by.rules()[answer.rule & ~kGrantBit].line, rules[*expected.rule].line) << context();
      }
      // What is allowed is explained by a rule that covers it, and the nearest rule is none that allows it.
      const Explanation why = explain(**set, subject, action, asked);
      ASSERT_EQ(why.allowed, answer.allowed);
      if (why.outcome == Explanation::Outcome::no_rule && why.nearest) {
        ASSERT_NE(why.difference, "would allow it otherwise") << context() << "\n" << why.text();
      }
      ASSERT_EQ(why.rule.has_value(), answer.rule != kNoRule);
      ++(answer.allowed ? allowed : answer.rule == kNoRule ? unmatched : denied);
    }
  }
  // Each must have been tried in earnest.
  EXPECT_GT(allowed, 2000U);
  EXPECT_GT(denied, 2000U);
  EXPECT_GT(unmatched, 2000U);
}

}  // namespace
}  // namespace courier::auth::acl
