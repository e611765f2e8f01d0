// Any text as an ACL file. Checked: positions lie in the text, what is accepted keeps the limits and
// compiles, and every question to it is answered the same with and without memory of it, with an explanation
// that fits and is one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/acl_file.h"
#include "auth/acl/decision_cache.h"
#include "auth/acl/explanation.h"
#include "auth/acl/file_cases.h"
#include "auth/acl/limits.h"
#include "auth/acl/rule_set.h"
#include "base/check.h"

using namespace courier::auth::acl;

namespace {

void check_positions(std::string_view text, const std::vector<Problem>& problems) {
  std::vector<size_t> lengths;
  for (std::string_view rest = without_byte_order_mark(text); !rest.empty();)
    lengths.push_back(cut_line(rest).size());
  for (const Problem& problem : problems) {
    CHECK(problem.line >= 1 && problem.line <= std::max<size_t>(lengths.size(), 1));
    CHECK(problem.column >= 1 && problem.column <= (lengths.empty() ? 0 : lengths[problem.line - 1]) + 1);
    CHECK(!problem.message.empty() && problem.message.find('\n') == std::string::npos);
  }
}

void ask(const RuleSet& rules, const Subject& subject, std::string_view topic) {
  for (const Action action : {Action::publish, Action::subscribe}) {
    const Answer answer = rules.check(subject, action, topic);
    DecisionCache cache;
    CHECK(cache.check(rules, subject, action, topic) == answer);
    CHECK(cache.check(rules, subject, action, topic) == answer);
    const Explanation why = explain(rules, subject, action, topic);
    CHECK(why.allowed == answer.allowed);
    CHECK(why.rule.has_value() == (answer.rule != kNoRule));
    const std::string line = why.text();
    CHECK(line.size() < 4096 && line.find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const AclFile file = parse_acl_file(text);
  CHECK(file.problems.size() <= kProblemsMax + 1);
  check_positions(text, file.problems);
  check_positions(text, file.notes);
  const FileCases cases = parse_file_cases(text);
  check_positions(text, cases.problems);

  Labels labels;
  const auto rules = RuleSet::parse(text, "acl", labels);
  CHECK(rules.has_value() == file.problems.empty());
  if (!rules) {
    CHECK(rules.error() == file.problems);
    return 0;
  }
  CHECK((*rules)->rules().size() == file.rules.size());
  CHECK(labels.size() <= kLabelsMax);
  const std::string user(file.users.empty() ? std::string_view("alice") : file.users.front());
  // Each question is compared with each rule.
  constexpr size_t kAsked = 4;
  for (const FileRule& rule : std::span(file.rules).first(std::min(file.rules.size(), kAsked))) {
    ask(**rules, {user, "phone:7", "m"}, rule.filter);
    // A client that calls itself as a rule is written.
    ask(**rules, {rule.filter, rule.filter, rule.filter}, rule.filter);
  }
  for (const FileCase& one : std::span(cases.cases).first(std::min(cases.cases.size(), kAsked))) {
    (void)difference(one, **rules);
    ask(**rules, {one.username, one.client_id, one.mountpoint}, one.topic);
  }
  return 0;
}
