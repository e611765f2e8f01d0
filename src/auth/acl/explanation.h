// Why the access rules answered as they did, for the log and for people. Slow: allocates, and compares rules
// one by one in search of the nearest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/limits.h"
#include "auth/acl/question.h"

namespace courier::auth::acl {

struct NamedRule {
  std::string file;   // "": it came with the client
  uint32_t line = 0;  // of the file; else the how manieth that came
  std::string text;   // as the line reads: "topic read orders/+/status label orders"
  std::string user;   // whose section it stands in; "": of all
  std::string label;

  // "/etc/courier/acl:12 `topic read orders/+/status`", escaped and bounded.
  std::string spelt() const;
};

// A variable that a named rule has.
struct NamedValue {
  std::string name;   // "%c"
  std::string value;  // the client's
  bool usable = true;
};

struct Explanation {
  enum class Outcome : uint8_t {
    allowed,
    denied,       // by a deny rule
    no_rule,      // nothing allows it
    no_rules,     // none are configured: everything is allowed
    not_a_topic,  // or not a filter: refused whatever the rules are
  };

  Outcome outcome{};
  bool allowed = false;
  Action action{};
  std::string topic, username, client_id, mountpoint;
  std::optional<NamedRule> rule;  // that decided
  bool in_part = false;           // it denies only some of what the filter asked for
  // If refused: the rule that comes nearest to allowing it, and what is missing, as a sentence that goes on
  // from the rule's text: "allows reading it, not writing".
  std::optional<NamedRule> nearest;
  std::string difference;
  std::vector<NamedValue> variables;  // of both

  // One line, whatever the client sent: escaped and bounded.
  std::string text() const;
};

std::string_view name(Explanation::Outcome outcome);  // "no_rule"
std::string_view name(Action action);                 // "publish"

// Compares at most nearest_max rules in search of the nearest: those that are for this client first.
Explanation explain(const RuleSet& rules, const Subject& subject, Action action, std::string_view topic,
                    size_t nearest_max = kNearestRulesMax);

}  // namespace courier::auth::acl
