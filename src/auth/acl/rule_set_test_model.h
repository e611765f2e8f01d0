// Access rules evaluated the plain way: variables replaced in the text, and "covers" and "meets" found out by
// trying all topics of a small alphabet. Too slow to be the code; what the code is compared with.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "auth/acl/acl_file.h"
#include "auth/acl/question.h"
#include "auth/grant.h"
#include "mqtt/topic.h"

namespace courier::auth::acl::model {

struct PlainRule {
  Section section{};
  std::string user;
  bool deny = false;
  Access access{};
  std::string filter;
  uint32_t line = 0;
};

// What a filter becomes for a client; nullopt: it does not apply to it.
inline std::optional<std::string> replaced(const PlainRule& rule, const Subject& subject) {
  const std::string& from = rule.filter;
  if (rule.section == Section::everybody || rule.section == Section::user) return from;
  std::string to;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != '%') {
      to += from[i];
      continue;
    }
    if (from[++i] == '%') {
      to += '%';
      continue;
    }
    std::string value;
    const auto whole = [&](char letter) {
      return std::string(letter == 'u'   ? subject.username
                         : letter == 'c' ? subject.client_id
                                         : subject.mountpoint);
    };
    if (from[i] == '(') {
      // %(c, :, 2): the generator writes no other form.
      std::string rest = whole(from[i + 1]);
      int piece = from[i + 7] - '0';
      for (; piece > 1 && rest.find(':') != std::string::npos; --piece)
        rest = rest.substr(rest.find(':') + 1);
      value = piece > 1 ? "" : rest.substr(0, rest.find(':'));
      i += 8;
    } else {
      value = whole(from[i]);
    }
    if (value.empty() || value.find_first_of("/+#") != std::string::npos) return std::nullopt;
    if (to.empty() && value[0] == '$') return std::nullopt;
    to += value;
  }
  return to;
}

// Every literal that is asked for, and one that nobody names.
inline const std::vector<std::string>& alphabet() {
  static const std::vector<std::string> levels = {"", "a", "b", "$s", "xa", "zzz"};
  return levels;
}

// Topics that the filter matches, the empty one among them ("/#" stands for it and all below, so this is how
// rules read, though nobody can publish there): its wildcards stand for each of the alphabet, '#' for up to
// `deep` levels in all.
inline void instances(std::string_view filter, const std::string& so_far, size_t levels,
                      std::vector<std::string>& out) {
  constexpr size_t kDeep = 4;
  const size_t slash = filter.find('/');
  const std::string_view level = filter.substr(0, slash);
  const bool last = slash == std::string_view::npos;
  const auto go_on = [&](std::string_view one) {
    const std::string longer = levels == 0 ? std::string(one) : so_far + "/" + std::string(one);
    if (level == "#") {
      instances("#", longer, levels + 1, out);
    } else if (last) {
      out.push_back(longer);
    } else {
      instances(filter.substr(slash + 1), longer, levels + 1, out);
    }
  };
  if (level == "#" && levels > 0) out.push_back(so_far);
  if (level != "#" && level != "+") {
    go_on(level);
    return;
  }
  if (levels == kDeep) return;
  for (const std::string& one : alphabet()) {
    if (levels > 0 || !one.starts_with('$')) go_on(one);
  }
}
inline std::vector<std::string> topics_of(std::string_view filter) {
  std::vector<std::string> out;
  instances(filter, "", 0, out);
  return out;
}

struct PlainAnswer {
  bool allowed = false;
  std::optional<size_t> rule;  // index in the rules
};

// Rules in the order in which they are asked.
inline PlainAnswer decide(const std::vector<PlainRule>& rules, const Subject& subject, Action action,
                          std::string_view asked) {
  std::vector<std::string> topics;
  if (action == Action::publish) {
    topics.emplace_back(asked);
  } else {
    topics = topics_of(asked);
  }
  std::optional<size_t> allow, deny;
  for (size_t i = 0; i < rules.size(); ++i) {
    const PlainRule& rule = rules[i];
    if (rule.section == Section::user && rule.user != subject.username) continue;
    const bool reads = rule.access != Access::write, writes = rule.access != Access::read;
    if (action == Action::publish ? !writes : !reads) continue;
    const auto filter = replaced(rule, subject);
    if (!filter) continue;
    const auto is_asked = [&](std::string_view topic) {
      return action == Action::publish ? asked == topic : mqtt::matches(asked, topic);
    };
    const auto matches = [&](std::string_view topic) { return mqtt::matches(*filter, topic); };
    if (rule.deny && !deny) {
      const std::vector<std::string> taken = topics_of(*filter);
      if (std::any_of(topics.begin(), topics.end(), matches) ||
          std::any_of(taken.begin(), taken.end(), is_asked))
        deny = i;
    }
    if (!rule.deny && !allow && !topics.empty() && std::all_of(topics.begin(), topics.end(), matches))
      allow = i;
  }
  if (deny) return {false, deny};
  if (allow) return {true, allow};
  return {};
}

// Rules, clients and questions out of numbers, which a generator or a fuzzer makes. `Number(n)`: one below n.
template <typename Number>
class Maker {
 public:
  explicit Maker(Number& number) : number_(number) {}

  std::string filter(Section section) {
    static const std::vector<std::string> plain = {"a", "b", "+", "$s", "", "xa", "a", "+"};
    static const std::vector<std::string> variables = {"%c",         "%u",         "x%c",  "%m",
                                                       "%(c, :, 2)", "%(u, :, 1)", "%c%m", "%%"};
    std::string out;
    const size_t depth = 1 + number_(3);
    for (size_t i = 0; i < depth; ++i) {
      if (i > 0) out += '/';
      const bool variable = section >= Section::pattern && number_(3) == 0;
      if (variable) {
        const size_t kinds = section == Section::pattern ? 4 : variables.size();
        out += variables[number_(kinds)];
      } else if (i + 1 == depth && number_(4) == 0) {
        out += '#';
      } else {
        out += plain[number_(plain.size())];
      }
    }
    return out.empty() ? "a" : out;
  }

  // Without variables in it, and without levels that only variables give.
  std::string asked(Action action) {
    std::string out = filter(Section::everybody);
    if (action == Action::subscribe) return out;
    for (char& c : out) {
      if (c == '+' || c == '#') c = 'b';
    }
    return out;
  }

  std::string name() {
    static const std::vector<std::string> names = {"a", "b",   "a:b", "b:a",  "",    "#",
                                                   "+", "a/b", "$s",  "x:$s", "a:+", "zzz"};
    return names[number_(names.size())];
  }

  std::vector<PlainRule> rules(size_t count) {
    std::vector<PlainRule> out;
    for (size_t i = 0; i < count; ++i) {
      PlainRule rule;
      rule.section = static_cast<Section>(number_(4));
      rule.filter = filter(rule.section);
      if (rule.section == Section::user) rule.user = number_(2) == 0 ? "a" : "b";
      rule.deny = number_(5) == 0;
      rule.access = rule.deny ? Access::readwrite : static_cast<Access>(1 + number_(3));
      out.push_back(rule);
    }
    // As they stand in a file: those for everybody first.
    std::stable_sort(out.begin(), out.end(),
                     [](const PlainRule& a, const PlainRule& b) { return a.section < b.section; });
    return out;
  }

  std::vector<PlainRule> grants(size_t count) {
    std::vector<PlainRule> out;
    for (size_t i = 0; i < count; ++i) {
      out.push_back({Section::grant, "", number_(4) == 0, static_cast<Access>(1 + number_(3)),
                     filter(Section::grant), static_cast<uint32_t>(i + 1)});
    }
    return out;
  }

 private:
  Number& number_;
};

// The file, and the lines of the rules in it.
inline std::string written(std::vector<PlainRule>& rules) {
  std::string text;
  uint32_t line = 0;
  std::string user;
  for (PlainRule& rule : rules) {
    if (rule.section == Section::user && rule.user != user) {
      text += fmt::format("user {}\n", rule.user);
      user = rule.user;
      ++line;
    }
    const char* right = rule.deny                      ? "deny"
                        : rule.access == Access::read  ? "read"
                        : rule.access == Access::write ? "write"
                                                       : "readwrite";
    const char* keyword = rule.section == Section::pattern ? "pattern"
                          : rule.section == Section::token ? "token"
                                                           : "topic";
    text += fmt::format("{} {} {}\n", keyword, right, rule.filter);
    rule.line = ++line;
  }
  return text;
}

inline std::vector<Grant> as_grants(const std::vector<PlainRule>& rules) {
  std::vector<Grant> out;
  for (const PlainRule& rule : rules) {
    out.push_back({rule.filter, "", rule.access != Access::read, rule.access != Access::write, rule.deny});
  }
  return out;
}

}  // namespace courier::auth::acl::model
