// The index of rules against their plain evaluation (rule_set_test_model.h): the input's bytes choose rules,
// clients and questions.
#include <cstddef>
#include <cstdint>
#include <string>

#include "auth/acl/rule_set.h"
#include "auth/acl/rule_set_test_model.h"
#include "base/check.h"

using namespace courier::auth::acl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t used = 0;
  auto number = [&](size_t n) { return used < size ? data[used++] % n : 0; };
  model::Maker maker(number);
  std::vector<model::PlainRule> rules = maker.rules(1 + number(8));
  const std::string text = model::written(rules);
  Labels labels;
  const auto set = RuleSet::parse(text, "acl", labels);
  CHECK(set.has_value());
  const auto own = maker.grants(number(3));
  const auto grants = RuleSet::of_grants(model::as_grants(own), labels);
  CHECK(grants.has_value());
  rules.insert(rules.end(), own.begin(), own.end());
  for (int question = 0; question < 4 && used < size; ++question) {
    const std::string username = maker.name(), client_id = maker.name(), mountpoint = maker.name();
    const Subject subject{username, client_id, mountpoint, own.empty() ? nullptr : grants->get()};
    const Action action = number(2) == 0 ? Action::publish : Action::subscribe;
    const std::string asked = maker.asked(action);
    const Answer answer = (*set)->check(subject, action, asked);
    if (asked.empty()) continue;
    const auto expected = model::decide(rules, subject, action, asked);
    CHECK(answer.allowed == expected.allowed);
    CHECK((answer.rule != kNoRule) == expected.rule.has_value());
    if (!expected.rule) continue;
    const bool grant = (answer.rule & kGrantBit) != 0;
    CHECK(grant == (rules[*expected.rule].section == Section::grant));
    CHECK((grant ? **grants : **set).rules()[answer.rule & ~kGrantBit].line == rules[*expected.rule].line);
  }
  return 0;
}
