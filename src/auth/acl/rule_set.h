// Access rules, compiled: those of an ACL file, or those that came with a client.
//
// A PUBLISH is allowed if an allow rule of `write` matches its topic. A SUBSCRIBE is decided filter by
// filter: an allow rule of `read` must cover all that the filter could match ("a/#" covers "a/+/c", "a/+"
// does not cover "a/#"); one rule must do so, parts are not added up. "$share/GROUP/FILTER" is decided on
// FILTER. A deny rule wins over every allow rule, wherever it stands: one that matches the topic, or meets
// any of what the filter could match. Nothing matches: refused. Rules that came with the client add to those
// of the file and take away from them in the same way; without a file they are all there is, and without
// either everything is allowed.
//
// What decided, and whose label counts, is the first such rule in the order everybody → user → pattern →
// token → grant, in each by line.
//
// Immutable, any thread. check() allocates nothing. Shared by the shards that ask and the connections that
// hold grants.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/acl/acl_file.h"
#include "auth/acl/labels.h"
#include "auth/acl/question.h"
#include "auth/acl/rule_trie.h"
#include "auth/grant.h"
#include "base/result.h"

namespace courier::auth::acl {

class RuleSet {
 public:
  // As it was written.
  struct Rule {
    uint32_t filter_at = 0;  // in filters_
    uint16_t filter_size = 0;
    Section section{};
    Access access{};
    bool deny = false;
    LabelId label = kNoLabel;
    uint32_t line = 0;  // of the file; of grants: the how manieth
    uint32_t user = 0;  // index in users_
  };

  // `labels` must outlive it. An invalid file: all its problems.
  static tl::expected<std::shared_ptr<const RuleSet>, std::vector<Problem>> parse(std::string_view text,
                                                                                  std::string_view file,
                                                                                  Labels& labels);
  // What `problems` of parse() are as an error, where one sentence must do. Errors: invalid.
  static Error error_of(std::string_view file, const std::vector<Problem>& problems);
  // Reads and parses. Errors: BaseErrc::unreadable, invalid.
  static Result<std::shared_ptr<const RuleSet>> read(const std::string& path, Labels& labels);
  // Rules that come with a client. One bad rule and the client must be refused: it might be the one that
  // denies. Errors: bad_grant.
  static Result<std::shared_ptr<const RuleSet>> of_grants(std::span<const Grant> grants, Labels& labels);
  // No rules are configured: everything is allowed to whoever brings none.
  static std::shared_ptr<const RuleSet> open(Labels& labels);

  // The grants in the subject count, too. A topic or filter that is none is refused.
  Answer check(const Subject& subject, Action action, std::string_view topic) const;

  // Never the same for two sets in one process; not 0.
  uint32_t generation() const { return generation_; }
  bool is_open() const { return open_; }
  const std::string& file() const { return file_; }
  std::span<const Rule> rules() const { return rules_; }
  std::string_view filter_of(const Rule& rule) const {
    return {filters_.data() + rule.filter_at, rule.filter_size};
  }
  std::string_view user_of(const Rule& rule) const;
  std::string_view label_of(const Rule& rule) const { return labels_.name(rule.label); }
  // Of Rule::user; kNoUser if it has no section.
  static constexpr uint32_t kNoUser = 0xFFFFFFFF;
  uint32_t user_index(std::string_view username) const;

  size_t bytes() const;

 private:
  struct Decided {
    RuleId allow = kNoRule, deny = kNoRule;
  };
  // One section's rules; a deny rule is looked for in another way than one that allows.
  struct Roots {
    RuleTrie::Root allow = RuleTrie::kNothing, deny = RuleTrie::kNothing;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct User {
    uint32_t index = 0;
    Roots roots;
  };

  RuleSet(std::string_view file, Labels& labels, bool open);

  void add(Rule rule, std::string_view filter, const Pattern& pattern, Roots& roots);
  Decided decide(const Subject& subject, Action action, std::string_view topic) const;

  const uint32_t generation_;
  const bool open_;
  const std::string file_;
  Labels& labels_;
  std::string filters_;
  std::vector<Rule> rules_;  // index: RuleId
  RuleTrie trie_;
  Roots everybody_;  // pattern, token and grant rules among them
  std::unordered_map<std::string, User, Hash, std::equal_to<>> by_user_;
  std::vector<const std::string*> users_;  // keys of by_user_
};

}  // namespace courier::auth::acl
