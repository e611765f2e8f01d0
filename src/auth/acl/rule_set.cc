#include "auth/acl/rule_set.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "auth/acl/errc.h"
#include "auth/acl/limits.h"
#include "base/file.h"
#include "base/shown_text.h"
#include "mqtt/topic.h"

namespace courier::auth::acl {
namespace {

uint32_t next_generation() {
  static std::atomic<uint32_t> last{0};
  uint32_t next = 0;
  while (next == 0) next = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return next;
}

}  // namespace

RuleSet::RuleSet(std::string_view file, Labels& labels, bool open)
    : generation_(next_generation()), open_(open), file_(file), labels_(labels) {}

tl::expected<std::shared_ptr<const RuleSet>, std::vector<Problem>> RuleSet::parse(std::string_view text,
                                                                                  std::string_view file,
                                                                                  Labels& labels) {
  AclFile parsed = parse_acl_file(text);
  if (!parsed.problems.empty()) return tl::unexpected(std::move(parsed.problems));
  std::shared_ptr<RuleSet> set(new RuleSet(file, labels, false));
  set->by_user_.reserve(parsed.users.size());
  for (const std::string_view name : parsed.users) {
    const auto [at, first] = set->by_user_.try_emplace(std::string(name));
    at->second.index = static_cast<uint32_t>(set->users_.size());
    set->users_.push_back(&at->first);
  }
  std::stable_sort(parsed.rules.begin(), parsed.rules.end(),
                   [](const FileRule& a, const FileRule& b) { return a.section < b.section; });
  set->rules_.reserve(parsed.rules.size());
  std::unordered_map<std::string_view, LabelId> ids;
  for (const FileRule& rule : parsed.rules) {
    const auto pattern = parse_pattern(rule.filter, variables_in(rule.section));
    if (!pattern) continue;  // it was good a moment ago
    const auto [id, first] = ids.try_emplace(rule.label, kNoLabel);
    if (first) id->second = labels.id(rule.label);
    Roots& roots = rule.section == Section::user ? set->by_user_.find(*set->users_[rule.user])->second.roots
                                                 : set->everybody_;
    set->add({.section = rule.section,
              .access = rule.access,
              .deny = rule.deny,
              .label = id->second,
              .line = rule.line,
              .user = rule.user},
             rule.filter, *pattern, roots);
  }
  set->trie_.shrink();
  set->filters_.shrink_to_fit();
  return set;
}

Error RuleSet::error_of(std::string_view file, const std::vector<Problem>& problems) {
  return Error(make_error_code(errc::invalid), spelt(file, problems));
}

Result<std::shared_ptr<const RuleSet>> RuleSet::read(const std::string& path, Labels& labels) {
  const auto text = read_file(path, kFileBytesMax);
  if (!text) return fail(text.error());
  auto set = parse(*text, path, labels);
  if (!set) return fail(error_of(path, set.error()));
  return *std::move(set);
}

Result<std::shared_ptr<const RuleSet>> RuleSet::of_grants(std::span<const Grant> grants, Labels& labels) {
  if (grants.size() > kGrantsMax) {
    return fail(errc::bad_grant, fmt::format("{} access rules came with the client; {} are allowed",
                                             grants.size(), kGrantsMax));
  }
  std::shared_ptr<RuleSet> set(new RuleSet("", labels, false));
  std::vector<Variable> variables;
  for (size_t i = 0; i < grants.size(); ++i) {
    const Grant& grant = grants[i];
    const auto bad = [&](std::string_view why) {
      return fail(errc::bad_grant, fmt::format("rule {} that came with the client, \"{}\": {}", i + 1,
                                               shown(grant.filter, 80), why));
    };
    if (grant.filter.size() > kGrantFilterBytesMax) return bad("it is too long");
    if (!mqtt::is_utf8(grant.filter)) return bad("it is not UTF-8");
    if (!grant.publish && !grant.subscribe) return bad("it is about neither publishing nor subscribing");
    if (!grant.label.empty() && !is_label(grant.label)) return bad("its label is no label");
    const auto pattern = parse_pattern(grant.filter, Allowed::pieces);
    if (!pattern) return bad(fmt::format("at byte {}: {}", pattern.error().at + 1, pattern.error().message));
    for (const Level& level : *pattern) {
      for (const Level::Part& part : level.parts) {
        if (!part.variable ||
            std::find(variables.begin(), variables.end(), *part.variable) != variables.end())
          continue;
        if (variables.size() == kVariablesMax) return bad("too many different variables");
        variables.push_back(*part.variable);
      }
    }
    const auto access = static_cast<Access>((grant.subscribe ? static_cast<unsigned>(Access::read) : 0) |
                                            (grant.publish ? static_cast<unsigned>(Access::write) : 0));
    set->add({.section = Section::grant,
              .access = access,
              .deny = grant.deny,
              .label = labels.id(grant.label),
              .line = static_cast<uint32_t>(i + 1)},
             grant.filter, *pattern, set->everybody_);
  }
  set->trie_.shrink();
  set->filters_.shrink_to_fit();
  set->rules_.shrink_to_fit();
  return std::shared_ptr<const RuleSet>(std::move(set));
}

std::shared_ptr<const RuleSet> RuleSet::open(Labels& labels) {
  return std::shared_ptr<const RuleSet>(new RuleSet("", labels, true));
}

void RuleSet::add(Rule rule, std::string_view filter, const Pattern& pattern, Roots& roots) {
  rule.filter_at = static_cast<uint32_t>(filters_.size());
  rule.filter_size = static_cast<uint16_t>(filter.size());
  filters_ += filter;
  trie_.insert(rule.deny ? roots.deny : roots.allow, pattern, rule.access,
               static_cast<RuleId>(rules_.size()));
  rules_.push_back(rule);
}

// The topic or filter is well formed.
RuleSet::Decided RuleSet::decide(const Subject& subject, Action action, std::string_view topic) const {
  const Asked asked(topic, trie_.levels_max());
  Values values(trie_.variables(), subject);
  Decided decided;
  const auto look = [&](const Roots& roots) {
    decided.deny = trie_.meeting(roots.deny, action, asked, values, decided.deny);
    decided.allow = trie_.covering(roots.allow, action, asked, values, decided.allow);
  };
  look(everybody_);
  if (!by_user_.empty()) {
    const auto user = by_user_.find(subject.username);
    if (user != by_user_.end()) look(user->second.roots);
  }
  return decided;
}

Answer RuleSet::check(const Subject& subject, Action action, std::string_view topic) const {
  switch (action) {
    case Action::publish:
      if (!mqtt::is_topic_name(topic)) return {};
      break;
    case Action::subscribe:
      if (mqtt::is_shared(topic)) {
        const auto shared = mqtt::parse_shared(topic);
        if (!shared) return {};
        topic = shared->filter;
      }
      if (!mqtt::is_topic_filter(topic)) return {};
      break;
  }
  const RuleSet* const grants = subject.grants;
  if (open_ && grants == nullptr) return {.allowed = true};
  const Decided mine = decide(subject, action, topic);
  const Decided theirs = grants != nullptr ? grants->decide(subject, action, topic) : Decided();
  const auto by = [&](RuleId rule, RuleId grant, bool allowed) {
    if (rule != kNoRule) return Answer{allowed, rules_[rule].label, rule};
    return Answer{allowed, grants->rules_[grant].label, grant | kGrantBit};
  };
  if (mine.deny != kNoRule || theirs.deny != kNoRule) return by(mine.deny, theirs.deny, false);
  if (mine.allow != kNoRule || theirs.allow != kNoRule) return by(mine.allow, theirs.allow, true);
  return {};
}

std::string_view RuleSet::user_of(const Rule& rule) const {
  return rule.section == Section::user ? std::string_view(*users_[rule.user]) : std::string_view();
}

uint32_t RuleSet::user_index(std::string_view username) const {
  const auto found = by_user_.find(username);
  return found == by_user_.end() ? kNoUser : found->second.index;
}

size_t RuleSet::bytes() const {
  size_t users = by_user_.bucket_count() * sizeof(void*) + users_.capacity() * sizeof(void*);
  for (const auto& [name, user] : by_user_) {
    constexpr size_t kInside = 15;
    users += sizeof(std::pair<const std::string, User>) + 2 * sizeof(void*) +
             (name.size() > kInside ? name.capacity() + 1 : 0);
  }
  return sizeof(*this) - sizeof(trie_) + trie_.bytes() + filters_.capacity() +
         rules_.capacity() * sizeof(Rule) + users;
}

}  // namespace courier::auth::acl
