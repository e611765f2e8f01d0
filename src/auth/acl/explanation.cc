#include "auth/acl/explanation.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "auth/acl/pattern.h"
#include "auth/acl/rule_set.h"
#include "base/shown_text.h"
#include "mqtt/topic.h"

namespace courier::auth::acl {
namespace {

constexpr size_t kTopicColumns = 120;
constexpr size_t kValueColumns = 60;
constexpr size_t kFileColumns = 120;

std::string quoted(std::string_view text, size_t columns) {
  return fmt::format("\"{}\"", shown(text, columns));
}

std::string_view keyword(Section section) {
  switch (section) {
    case Section::everybody:
    case Section::user:
      return "topic";
    case Section::pattern:
      return "pattern";
    case Section::token:
      return "token";
    case Section::grant:
      return "grant";
  }
  return "";
}

std::string_view name(Access access) {
  switch (access) {
    case Access::read:
      return "read";
    case Access::write:
      return "write";
    case Access::readwrite:
      return "readwrite";
  }
  return "";
}

std::string right(const RuleSet::Rule& rule) {
  if (!rule.deny) return std::string(name(rule.access));
  return rule.access == Access::readwrite ? "deny" : fmt::format("deny {}", name(rule.access));
}

Pattern pattern_of(const RuleSet& set, const RuleSet::Rule& rule) {
  return parse_pattern(set.filter_of(rule), variables_in(rule.section)).value_or(Pattern());
}

NamedRule named(const RuleSet& set, const RuleSet::Rule& rule) {
  NamedRule out;
  out.file = set.file();
  out.line = rule.line;
  out.text = fmt::format("{} {} {}", keyword(rule.section), right(rule), set.filter_of(rule));
  out.label = set.label_of(rule);
  if (rule.label != kNoLabel) out.text += fmt::format(" label {}", out.label);
  out.user = set.user_of(rule);
  return out;
}

void add_variables(const Pattern& pattern, const Subject& subject, std::vector<NamedValue>& out) {
  for (const Level& level : pattern) {
    for (const Level::Part& part : level.parts) {
      if (!part.variable) continue;
      std::string spelling = spelt(*part.variable);
      if (std::any_of(out.begin(), out.end(),
                      [&](const NamedValue& known) { return known.name == spelling; }))
        continue;
      const std::string_view value = value_of(*part.variable, subject);
      out.push_back({std::move(spelling), std::string(value), fits_in_level(value)});
    }
  }
}

// How far a rule is from allowing what is asked: 0 is not at all. What each difference costs is chosen so
// that the rule a person would point at comes first: the right filter with the other access, then one that
// gives only part, another value of a variable, a level that is spelt otherwise, and last what is another
// user's, which is often as wide as "#".
struct Distance {
  static constexpr uint32_t kAccess = 2, kWider = 3, kVariable = 4, kDollar = 5, kText = 10, kUser = 11,
                            kLength = 12;
  static constexpr uint32_t kMax = 20;

  uint32_t cost = 0;
  size_t same = 0;  // levels of text that agree
  bool other_text = false;
  std::vector<std::string> what;

  void add(uint32_t more, std::string sentence) {
    cost += more;
    what.push_back(std::move(sentence));
  }
  bool near() const { return cost <= kMax && (!other_text || same > 0); }
};

using Levels = std::vector<std::string_view>;

Levels levels_of(std::string_view text) {
  Levels levels;
  while (levels.size() <= kRuleLevelsMax) {
    const size_t slash = text.find('/');
    levels.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  return levels;
}

// A level with variables against one that is asked for.
void compare_variables(const Level& level, size_t number, std::string_view asked, const Subject& subject,
                       Distance& distance) {
  std::string value, spelling;
  for (const Level::Part& part : level.parts) {
    if (!part.variable) {
      value += part.text;
      spelling += part.text;
      continue;
    }
    const std::string_view one = value_of(*part.variable, subject);
    if (!fits_in_level(one)) {
      distance.add(Distance::kVariable,
                   one.empty()
                       ? fmt::format("needs {}, which this client does not have", spelt(*part.variable))
                       : fmt::format("needs {}, and {} cannot be within a level", spelt(*part.variable),
                                     quoted(one, kValueColumns)));
      return;
    }
    value += one;
    spelling += spelt(*part.variable);
  }
  if (asked == "+") {
    distance.add(Distance::kWider,
                 fmt::format("covers only part of it: level {} is {} there", number, spelling));
  } else if (value != asked) {
    distance.add(Distance::kVariable,
                 fmt::format("has {} at level {}, which is {} and not {}", spelling, number,
                             quoted(value, kValueColumns), quoted(asked, kValueColumns)));
  } else if (number == 1 && asked.starts_with('$') && level.parts.front().variable) {
    distance.add(Distance::kDollar,
                 "begins with a variable, which does not stand for topics that begin with $");
  } else {
    ++distance.same;
  }
}

void compare_length(const Pattern& pattern, size_t asked, Distance& distance) {
  const bool open = pattern.back().kind == Level::Kind::rest;
  const size_t size = pattern.size() - (open ? 1 : 0);
  distance.add(Distance::kLength, fmt::format("is about {} level{}{}, not {}", size, size == 1 ? "" : "s",
                                              open ? " or more" : "", asked));
}

void compare_levels(const Pattern& whole, const Levels& asked, const Subject& subject, Distance& distance) {
  const bool all =
      whole.size() == 2 && whole[0].kind == Level::Kind::any && whole[1].kind == Level::Kind::rest;
  const Pattern pattern = all ? Pattern{whole[1]} : whole;
  const bool wild_front = pattern[0].kind == Level::Kind::any || pattern[0].kind == Level::Kind::rest;
  if (wild_front && asked[0].starts_with('$')) {
    distance.add(Distance::kDollar,
                 "begins with a wildcard, which does not stand for topics that begin with $");
  }
  for (size_t i = 0;; ++i) {
    if (i < pattern.size() && pattern[i].kind == Level::Kind::rest) return;
    if (i < asked.size() && asked[i] == "#") {
      distance.add(Distance::kWider, "covers only part of it");
      return;
    }
    if (i == pattern.size() && i == asked.size()) return;
    if (i == pattern.size() || i == asked.size()) {
      compare_length(pattern, asked.size(), distance);
      return;
    }
    const Level& level = pattern[i];
    switch (level.kind) {
      case Level::Kind::any:
      case Level::Kind::rest:
        break;
      case Level::Kind::text:
        if (asked[i] == level.parts.front().text) {
          ++distance.same;
        } else if (asked[i] == "+") {
          distance.add(Distance::kWider, fmt::format("covers only part of it: level {} is {} there", i + 1,
                                                     quoted(level.parts.front().text, kValueColumns)));
        } else {
          distance.other_text = true;
          distance.add(Distance::kText, fmt::format("has {} at level {}, not {}",
                                                    quoted(level.parts.front().text, kValueColumns), i + 1,
                                                    quoted(asked[i], kValueColumns)));
        }
        break;
      case Level::Kind::variable:
        compare_variables(level, i + 1, asked[i], subject, distance);
        break;
    }
    if (distance.cost > Distance::kMax) return;
  }
}

class Explainer {
 public:
  Explainer(const RuleSet& rules, const Subject& subject, Action action, std::string_view topic)
      : rules_(rules), subject_(subject), action_(action), asked_(levels_of(topic)) {}

  // Nothing but the levels: does the rule stand for all that is asked for?
  bool covers(const RuleSet& set, const RuleSet::Rule& rule) const {
    Distance distance;
    compare_levels(pattern_of(set, rule), asked_, subject_, distance);
    return distance.cost == 0;
  }

  void find_nearest(size_t compared_max) {
    left_ = compared_max;
    const uint32_t user = rules_.user_index(subject_.username);
    const auto is_others = [&](const RuleSet::Rule& rule) {
      return rule.section == Section::user && rule.user != user;
    };
    for (const auto& rule : rules_.rules()) {
      if (!is_others(rule)) consider(rules_, rule, false);
    }
    if (subject_.grants != nullptr) {
      for (const auto& rule : subject_.grants->rules()) consider(*subject_.grants, rule, false);
    }
    for (const auto& rule : rules_.rules()) {
      if (left_ == 0) break;
      if (is_others(rule)) consider(rules_, rule, true);
    }
  }

  const RuleSet::Rule* nearest() const { return nearest_; }
  const RuleSet* nearest_set() const { return nearest_set_; }
  std::string difference() const {
    if (distance_.what.empty()) return "would allow it otherwise";
    return fmt::format("{}", fmt::join(distance_.what, ", and "));
  }

 private:
  void consider(const RuleSet& set, const RuleSet::Rule& rule, bool others) {
    if (rule.deny || left_ == 0) return;
    --left_;
    Distance distance;
    if (!gives(rule.access, action_)) {
      distance.add(Distance::kAccess, action_ == Action::publish ? "allows reading it, not writing"
                                                                 : "allows writing it, not reading");
    }
    if (others) {
      distance.add(Distance::kUser,
                   subject_.username.empty()
                       ? fmt::format("is for user {}, and this client has no user name",
                                     quoted(set.user_of(rule), kValueColumns))
                       : fmt::format("is for user {}, not {}", quoted(set.user_of(rule), kValueColumns),
                                     quoted(subject_.username, kValueColumns)));
    }
    const Pattern pattern = pattern_of(set, rule);
    if (pattern.empty()) return;
    compare_levels(pattern, asked_, subject_, distance);
    if (!distance.near() || (nearest_ != nullptr && distance.cost >= distance_.cost)) return;
    nearest_ = &rule;
    nearest_set_ = &set;
    distance_ = std::move(distance);
  }

  const RuleSet& rules_;
  const Subject& subject_;
  const Action action_;
  const Levels asked_;
  size_t left_ = 0;
  const RuleSet::Rule* nearest_ = nullptr;
  const RuleSet* nearest_set_ = nullptr;
  Distance distance_;
};

}  // namespace

std::string_view name(Explanation::Outcome outcome) {
  switch (outcome) {
    case Explanation::Outcome::allowed:
      return "allowed";
    case Explanation::Outcome::denied:
      return "denied";
    case Explanation::Outcome::no_rule:
      return "no_rule";
    case Explanation::Outcome::no_rules:
      return "no_rules";
    case Explanation::Outcome::not_a_topic:
      return "not_a_topic";
  }
  return "";
}

std::string_view name(Action action) {
  switch (action) {
    case Action::subscribe:
      return "subscribe";
    case Action::publish:
      return "publish";
  }
  return "";
}

std::string NamedRule::spelt() const {
  const std::string where = file.empty() ? fmt::format("rule {} that came with the client", line)
                                         : fmt::format("{}:{}", shown(file, kFileColumns), line);
  const std::string of = user.empty() ? "" : fmt::format(" (user {})", quoted(user, kValueColumns));
  return fmt::format("{} `{}`{}", where, shown(text, kTopicColumns), of);
}

std::string Explanation::text() const {
  std::string out = fmt::format("{} to {} is ", name(action), quoted(topic, kTopicColumns));
  switch (outcome) {
    case Outcome::allowed:
      out += fmt::format("allowed by {}", rule ? rule->spelt() : "");
      break;
    case Outcome::denied:
      out += fmt::format("refused by {}", rule ? rule->spelt() : "");
      if (in_part) out += ", which takes away part of it";
      break;
    case Outcome::no_rule:
      out += "refused: no rule allows it";
      break;
    case Outcome::no_rules:
      out += "allowed: there are no access rules";
      break;
    case Outcome::not_a_topic:
      out += action == Action::publish ? "refused: that is no topic" : "refused: that is no topic filter";
      break;
  }
  if (nearest) out += fmt::format("; nearest: {} {}", nearest->spelt(), difference);
  std::string values;
  for (const NamedValue& variable : variables) {
    values += fmt::format("{}{} is {}", values.empty() ? "" : ", ", variable.name,
                          quoted(variable.value, kValueColumns));
  }
  if (!values.empty()) out += fmt::format(" ({})", values);
  return out;
}

Explanation explain(const RuleSet& rules, const Subject& subject, Action action, std::string_view topic,
                    size_t nearest_max) {
  Explanation out;
  const Answer answer = rules.check(subject, action, topic);
  out.allowed = answer.allowed;
  out.action = action;
  out.topic = topic;
  out.username = subject.username;
  out.client_id = subject.client_id;
  out.mountpoint = subject.mountpoint;

  if (action == Action::subscribe && mqtt::is_shared(topic)) {
    const auto shared = mqtt::parse_shared(topic);
    topic = shared ? shared->filter : std::string_view();
  }
  if (action == Action::publish ? !mqtt::is_topic_name(topic) : !mqtt::is_topic_filter(topic)) {
    out.outcome = Explanation::Outcome::not_a_topic;
    return out;
  }
  Explainer explainer(rules, subject, action, topic);
  if (answer.rule != kNoRule) {
    const bool grant = (answer.rule & kGrantBit) != 0;
    const RuleSet& set = grant ? *subject.grants : rules;
    const RuleSet::Rule& rule = set.rules()[answer.rule & ~kGrantBit];
    out.outcome = answer.allowed ? Explanation::Outcome::allowed : Explanation::Outcome::denied;
    out.rule = named(set, rule);
    out.in_part = !answer.allowed && !explainer.covers(set, rule);
    add_variables(pattern_of(set, rule), subject, out.variables);
  } else {
    out.outcome = answer.allowed ? Explanation::Outcome::no_rules : Explanation::Outcome::no_rule;
  }
  if (answer.allowed) return out;
  explainer.find_nearest(nearest_max);
  if (explainer.nearest() == nullptr) return out;
  out.nearest = named(*explainer.nearest_set(), *explainer.nearest());
  out.difference = explainer.difference();
  add_variables(pattern_of(*explainer.nearest_set(), *explainer.nearest()), subject, out.variables);
  return out;
}

}  // namespace courier::auth::acl
