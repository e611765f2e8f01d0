// Filters of rules, level by level, for many sections at once: each section is a root.
//
// A node says which rule ends there, which ends there in '#', and the first rule of all below it, for reading
// and for writing apart, so that a search is pruned where nothing better can come. A section is searched in
// one of two ways:
//
//   covering  the first rule that matches every topic that is asked for: what an allow rule must do
//   meeting   the first rule that matches any of them: enough for a deny rule
//
// For a topic, which has no wildcards, both are "matches". Rules that begin with a wildcard or a variable do
// not match topics that begin with '$' [MQTT-4.7.2-1]. Searches allocate nothing. Immutable once built.
//
// Costs: covering looks up the level's text at each node, so it hardly depends on the number of rules;
// meeting goes through all children where a '+' is asked for. Different spellings of variables at one place
// ("a-%c", "b-%c") are tried one by one.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/acl_file.h"
#include "auth/acl/limits.h"
#include "auth/acl/pattern.h"
#include "auth/acl/question.h"

namespace courier::auth::acl {

// A topic or filter cut into levels. As many of them as the rules have, and one more.
class Asked {
 public:
  struct Level {
    std::string_view text;
    uint32_t hash;
    bool any, rest;  // '+', '#'
  };

  Asked(std::string_view text, size_t rule_levels_max);

  size_t size() const { return size_; }
  const Level& operator[](size_t i) const { return levels_[i]; }
  bool wild() const { return levels_[0].any || levels_[0].rest; }
  bool dollar() const { return dollar_; }

 private:
  // Only the first size_ are written.
  union {
    std::array<Level, kRuleLevelsMax + 1> levels_;
  };
  size_t size_ = 0;
  bool dollar_ = false;
};

// What the variables of a set of rules are for one subject, looked up at the first use.
class Values {
 public:
  Values(const std::vector<Variable>& variables, const Subject& subject)
      : variables_(variables), subject_(subject) {}

  // False if it has no value that fits in a level.
  bool get(size_t variable, std::string_view& value);

 private:
  const std::vector<Variable>& variables_;
  const Subject& subject_;
  uint64_t known_ = 0, fits_ = 0;
  union {
    std::array<std::string_view, kVariablesMax> values_;
  };
};

class RuleTrie {
 public:
  using Root = uint32_t;
  static constexpr Root kNothing = 0;  // a section without rules

  RuleTrie();

  // Rules of one root come in rising order. `root` is kNothing at first. The caller has counted the
  // variables.
  void insert(Root& root, const Pattern& pattern, Access access, RuleId rule);
  // Gives back what growing took.
  void shrink();

  // The first such rule that is below `best`, else `best`.
  RuleId covering(Root root, Action action, const Asked& asked, Values& values, RuleId best) const;
  RuleId meeting(Root root, Action action, const Asked& asked, Values& values, RuleId best) const;

  const std::vector<Variable>& variables() const { return variables_; }
  size_t levels_max() const { return levels_max_; }
  size_t bytes() const;

 private:
  using NodeId = uint32_t;  // 0: none
  using PerAction = std::array<RuleId, 2>;

  struct Node {
    uint32_t text_at = 0;  // of the literal that leads here
    uint16_t text_size = 0;
    bool variables_below = false;
    NodeId parent = 0;
    NodeId sibling = 0;                 // the next literal child of the parent
    NodeId literals = 0;                // the first literal child
    NodeId any = 0;                     // the child under '+'
    uint32_t spellings = 0;             // the first of spellings_, 0: none
    PerAction ends{kNoRule, kNoRule};   // rules that end here
    PerAction rests{kNoRule, kNoRule};  // rules that end here in '#'
    PerAction least{kNoRule, kNoRule};  // the first of all here and below
  };
  // What a text begins with, to leave out most others by one comparison.
  struct Lead {
    uint64_t bytes = 0, mask = 0;
    explicit Lead(std::string_view text);
    Lead() = default;
  };
  // A level with variables, as one way on from a node.
  struct Spelling {
    Lead lead;
    uint32_t first_part = 0, part_count = 0;  // in parts_
    NodeId child = 0;
    uint32_t next = 0;
  };
  struct Part {
    uint32_t text_at = 0;
    uint16_t text_size = 0;
    uint16_t variable = kText;
    static constexpr uint16_t kText = 0xFFFF;
  };
  struct Edge {
    uint32_t tag = 0;
    NodeId child = 0;
  };
  struct Search;

  std::string_view text(uint32_t at, uint16_t size) const { return {texts_.data() + at, size}; }
  uint32_t store(std::string_view text);
  NodeId add_node(NodeId parent);
  NodeId literal(NodeId node, std::string_view text, uint32_t hash) const;
  NodeId make_literal(NodeId node, std::string_view text);
  NodeId make_any(NodeId node);
  NodeId make_spelling(NodeId node, const std::vector<Level::Part>& parts);
  bool same(const Spelling& spelling, const std::vector<Level::Part>& parts) const;
  uint16_t variable_index(const Variable& variable);
  void add_edge(NodeId parent, NodeId child, uint32_t hash);
  void grow_edges();

  std::string texts_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // open addressing; none while there are few nodes: children are then walked
  std::vector<Spelling> spellings_;
  std::vector<Part> parts_;
  std::vector<Variable> variables_;
  size_t levels_max_ = 0;
};

}  // namespace courier::auth::acl
