#include "auth/acl/rule_trie.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <xxhash.h>

#include "base/check.h"

namespace courier::auth::acl {
namespace {

// Below this, looking through a node's children is cheaper than a table, in time and in bytes.
constexpr size_t kNodesWithoutEdges = 16;

uint32_t hash_of(std::string_view text) {
  return static_cast<uint32_t>(XXH3_64bits(text.data(), text.size()));
}

// Of a literal below a node. Rules, not clients, fill the table, so it needs no key.
uint64_t edge_hash(uint32_t parent, uint32_t text_hash) {
  return (uint64_t{parent} << 32 | text_hash) * 0x9E3779B97F4A7C15ull;
}

constexpr size_t index(Action action) {
  return static_cast<size_t>(action);
}

}  // namespace

Asked::Asked(std::string_view text, size_t rule_levels_max) {
  dollar_ = text.starts_with('$');
  const size_t wanted = std::min(rule_levels_max, kRuleLevelsMax) + 1;
  for (;;) {
    const void* slash = std::memchr(text.data(), '/', text.size());
    const bool last = slash == nullptr;
    const std::string_view level =
        last ? text : text.substr(0, static_cast<size_t>(static_cast<const char*>(slash) - text.data()));
    new (&levels_[size_]) Level{level, hash_of(level), level == "+", level == "#"};
    ++size_;
    if (last || size_ == wanted) return;
    text.remove_prefix(level.size() + 1);
  }
}

bool Values::get(size_t variable, std::string_view& value) {
  const uint64_t bit = uint64_t{1} << variable;
  if ((known_ & bit) == 0) {
    known_ |= bit;
    new (&values_[variable]) std::string_view(value_of(variables_[variable], subject_));
    if (fits_in_level(values_[variable])) fits_ |= bit;
  }
  if ((fits_ & bit) == 0) return false;
  value = values_[variable];
  return true;
}

RuleTrie::Lead::Lead(std::string_view text) {
  const size_t size = std::min(text.size(), sizeof(bytes));
  if (size == 0) return;
  std::memcpy(&bytes, text.data(), size);
  constexpr char kOnes[sizeof(mask)] = {-1, -1, -1, -1, -1, -1, -1, -1};
  std::memcpy(&mask, kOnes, size);
}

RuleTrie::RuleTrie() : nodes_(1), spellings_(1) {}

uint32_t RuleTrie::store(std::string_view text) {
  const auto at = static_cast<uint32_t>(texts_.size());
  texts_ += text;
  return at;
}

RuleTrie::NodeId RuleTrie::add_node(NodeId parent) {
  nodes_.emplace_back().parent = parent;
  return static_cast<NodeId>(nodes_.size() - 1);
}

RuleTrie::NodeId RuleTrie::literal(NodeId node, std::string_view wanted, uint32_t hash) const {
  const auto is_it = [&](const Node& child) {
    return child.text_size == wanted.size() &&
           std::memcmp(texts_.data() + child.text_at, wanted.data(), wanted.size()) == 0;
  };
  const NodeId first = nodes_[node].literals;
  // Most have one child, which lies beside them: no need to look it up elsewhere.
  if (edges_.empty() || first == 0 || nodes_[first].sibling == 0) {
    for (NodeId child = first; child != 0; child = nodes_[child].sibling) {
      if (is_it(nodes_[child])) return child;
    }
    return 0;
  }
  const uint64_t mixed = edge_hash(node, hash);
  const auto tag = static_cast<uint32_t>(mixed);
  const size_t mask = edges_.size() - 1;
  for (size_t slot = (mixed >> 32) & mask;; slot = (slot + 1) & mask) {
    const Edge& edge = edges_[slot];
    if (edge.child == 0) return 0;
    if (edge.tag == tag && nodes_[edge.child].parent == node && is_it(nodes_[edge.child])) return edge.child;
  }
}

void RuleTrie::add_edge(NodeId parent, NodeId child, uint32_t hash) {
  const uint64_t mixed = edge_hash(parent, hash);
  const size_t mask = edges_.size() - 1;
  size_t slot = (mixed >> 32) & mask;
  while (edges_[slot].child != 0) slot = (slot + 1) & mask;
  edges_[slot] = {static_cast<uint32_t>(mixed), child};
}

void RuleTrie::grow_edges() {
  edges_.assign(std::bit_ceil(nodes_.size() * 2), Edge());
  for (NodeId parent = 1; parent < nodes_.size(); ++parent) {
    for (NodeId child = nodes_[parent].literals; child != 0; child = nodes_[child].sibling) {
      add_edge(parent, child, hash_of(text(nodes_[child].text_at, nodes_[child].text_size)));
    }
  }
}

RuleTrie::NodeId RuleTrie::make_literal(NodeId node, std::string_view wanted) {
  const uint32_t hash = hash_of(wanted);
  if (const NodeId found = literal(node, wanted, hash)) return found;
  const NodeId child = add_node(node);
  nodes_[child].text_at = store(wanted);
  nodes_[child].text_size = static_cast<uint16_t>(wanted.size());
  nodes_[child].sibling = std::exchange(nodes_[node].literals, child);
  if (nodes_.size() > kNodesWithoutEdges) {
    if (nodes_.size() * 3 / 2 > edges_.size()) {
      grow_edges();
    } else {
      add_edge(node, child, hash);
    }
  }
  return child;
}

RuleTrie::NodeId RuleTrie::make_any(NodeId node) {
  if (nodes_[node].any == 0) {
    const NodeId child = add_node(node);
    nodes_[node].any = child;
  }
  return nodes_[node].any;
}

uint16_t RuleTrie::variable_index(const Variable& variable) {
  const auto found = std::find(variables_.begin(), variables_.end(), variable);
  if (found != variables_.end()) return static_cast<uint16_t>(found - variables_.begin());
  CHECK(variables_.size() < kVariablesMax);
  variables_.push_back(variable);
  return static_cast<uint16_t>(variables_.size() - 1);
}

bool RuleTrie::same(const Spelling& spelling, const std::vector<Level::Part>& parts) const {
  if (spelling.part_count != parts.size()) return false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& mine = parts_[spelling.first_part + i];
    if ((mine.variable == Part::kText) == parts[i].variable.has_value()) return false;
    if (parts[i].variable ? !(variables_[mine.variable] == *parts[i].variable)
                          : text(mine.text_at, mine.text_size) != parts[i].text) {
      return false;
    }
  }
  return true;
}

RuleTrie::NodeId RuleTrie::make_spelling(NodeId node, const std::vector<Level::Part>& parts) {
  for (uint32_t i = nodes_[node].spellings; i != 0; i = spellings_[i].next) {
    if (same(spellings_[i], parts)) return spellings_[i].child;
  }
  Spelling made{.lead = parts.front().variable ? Lead() : Lead(parts.front().text),
                .first_part = static_cast<uint32_t>(parts_.size()),
                .part_count = static_cast<uint32_t>(parts.size()),
                .child = add_node(node),
                .next = nodes_[node].spellings};
  for (const Level::Part& part : parts) {
    if (part.variable) {
      parts_.push_back({0, 0, variable_index(*part.variable)});
    } else {
      parts_.push_back({store(part.text), static_cast<uint16_t>(part.text.size()), Part::kText});
    }
  }
  nodes_[node].spellings = static_cast<uint32_t>(spellings_.size());
  spellings_.push_back(made);
  for (NodeId up = node; up != 0 && !nodes_[up].variables_below; up = nodes_[up].parent) {
    nodes_[up].variables_below = true;
  }
  return made.child;
}

void RuleTrie::insert(Root& root, const Pattern& pattern, Access access, RuleId rule) {
  if (root == kNothing) root = add_node(0);
  const auto note = [&](PerAction& slots) {
    for (const Action action : {Action::subscribe, Action::publish}) {
      if (gives(access, action)) slots[index(action)] = std::min(slots[index(action)], rule);
    }
  };
  // Every topic has a first level, so "+/#" matches what "#" matches.
  const bool all =
      pattern.size() == 2 && pattern[0].kind == Level::Kind::any && pattern[1].kind == Level::Kind::rest;
  NodeId node = root;
  note(nodes_[node].least);
  levels_max_ = std::max(levels_max_, pattern.size());
  for (size_t i = all ? 1 : 0; i < pattern.size(); ++i) {
    const Level& level = pattern[i];
    switch (level.kind) {
      case Level::Kind::rest:
        note(nodes_[node].rests);
        return;
      case Level::Kind::any:
        node = make_any(node);
        break;
      case Level::Kind::text:
        node = make_literal(node, level.parts.front().text);
        break;
      case Level::Kind::variable:
        node = make_spelling(node, level.parts);
        break;
    }
    note(nodes_[node].least);
  }
  note(nodes_[node].ends);
}

void RuleTrie::shrink() {
  texts_.shrink_to_fit();
  nodes_.shrink_to_fit();
  spellings_.shrink_to_fit();
  parts_.shrink_to_fit();
  variables_.shrink_to_fit();
}

size_t RuleTrie::bytes() const {
  return sizeof(*this) + texts_.capacity() + nodes_.capacity() * sizeof(Node) +
         edges_.capacity() * sizeof(Edge) + spellings_.capacity() * sizeof(Spelling) +
         parts_.capacity() * sizeof(Part) + variables_.capacity() * sizeof(Variable);
}

// One search. `i` is the depth of the node: how many levels of what is asked led there.
struct RuleTrie::Search {
  const RuleTrie& trie;
  const size_t action;
  const Asked& asked;
  Values& values;
  RuleId best;

  void take(RuleId rule) { best = std::min(best, rule); }
  // [MQTT-4.7.2-1]
  bool wildcards_apply(size_t i) const { return i > 0 || !asked.dollar(); }
  // A wildcard that is asked for does not stand for such a level.
  bool hidden(size_t i, std::string_view level) const { return i == 0 && level.starts_with('$'); }

  void covering(NodeId id, size_t i) {
    const Node& node = trie.nodes_[id];
    if (node.least[action] >= best) return;
    if (wildcards_apply(i)) take(node.rests[action]);
    if (i == asked.size()) {
      take(node.ends[action]);
      return;
    }
    const Asked::Level& level = asked[i];
    if (level.rest) return;
    if (!level.any) {
      if (const NodeId child = trie.literal(id, level.text, level.hash)) covering(child, i + 1);
      each_spelling(node, i, level.text, [&](NodeId child) { covering(child, i + 1); });
    }
    if (node.any != 0 && wildcards_apply(i)) covering(node.any, i + 1);
  }

  void meeting(NodeId id, size_t i) {
    const Node& node = trie.nodes_[id];
    if (node.least[action] >= best) return;
    if (wildcards_apply(i)) take(node.rests[action]);
    if (i == asked.size()) {
      take(node.ends[action]);
      return;
    }
    const Asked::Level& level = asked[i];
    if (level.rest) {
      below(id, i);
      return;
    }
    if (level.any) {
      each_child(id, i, [&](NodeId child) { meeting(child, i + 1); });
      return;
    }
    if (const NodeId child = trie.literal(id, level.text, level.hash)) meeting(child, i + 1);
    each_spelling(node, i, level.text, [&](NodeId child) { meeting(child, i + 1); });
    if (node.any != 0 && wildcards_apply(i)) meeting(node.any, i + 1);
  }

  // '#' is asked for here: all that is here and below meets it.
  void below(NodeId id, size_t i) {
    const Node& node = trie.nodes_[id];
    if (node.least[action] >= best) return;
    if (i > 0 && !node.variables_below) {
      take(node.least[action]);
      return;
    }
    take(node.rests[action]);
    take(node.ends[action]);
    each_child(id, i, [&](NodeId child) { below(child, i + 1); });
  }

  // Those that a wildcard stands for.
  template <typename Function>
  void each_child(NodeId id, size_t i, Function visit) {
    const Node& node = trie.nodes_[id];
    if (node.any != 0) visit(node.any);
    for (NodeId child = node.literals; child != 0; child = trie.nodes_[child].sibling) {
      if (!hidden(i, trie.text(trie.nodes_[child].text_at, trie.nodes_[child].text_size))) visit(child);
    }
    for (uint32_t s = node.spellings; s != 0; s = trie.spellings_[s].next) {
      if (has_values(trie.spellings_[s], i)) visit(trie.spellings_[s].child);
    }
  }

  // Those that are exactly this level.
  template <typename Function>
  void each_spelling(const Node& node, size_t i, std::string_view level, Function visit) {
    if (node.spellings == 0) return;
    const Lead lead(level);
    for (uint32_t s = node.spellings; s != 0; s = trie.spellings_[s].next) {
      const Spelling& spelling = trie.spellings_[s];
      if ((lead.bytes & spelling.lead.mask) != spelling.lead.bytes) continue;
      if (spells(spelling, i, level)) visit(spelling.child);
    }
  }

  // Whether the spelling is exactly this level.
  bool spells(const Spelling& spelling, size_t i, std::string_view level) {
    const std::string_view whole = level;
    for (uint32_t p = 0; p < spelling.part_count; ++p) {
      const Part& part = trie.parts_[spelling.first_part + p];
      std::string_view piece;
      if (part.variable == Part::kText) {
        piece = trie.text(part.text_at, part.text_size);
      } else if (!values.get(part.variable, piece)) {
        return false;
      } else if (p == 0 && hidden(i, whole)) {
        return false;  // the name it chose must not lead to the broker's topics
      }
      if (!level.starts_with(piece)) return false;
      level.remove_prefix(piece.size());
    }
    return level.empty();
  }

  // Whether the spelling is a level at all that a wildcard stands for.
  bool has_values(const Spelling& spelling, size_t i) {
    for (uint32_t p = 0; p < spelling.part_count; ++p) {
      const Part& part = trie.parts_[spelling.first_part + p];
      std::string_view piece;
      if (part.variable == Part::kText) {
        piece = trie.text(part.text_at, part.text_size);
      } else if (!values.get(part.variable, piece)) {
        return false;
      }
      if (p == 0 && hidden(i, piece)) return false;
    }
    return true;
  }
};

RuleId RuleTrie::covering(Root root, Action action, const Asked& asked, Values& values, RuleId best) const {
  if (root == kNothing) return best;
  Search search{*this, index(action), asked, values, best};
  search.covering(root, 0);
  return search.best;
}

RuleId RuleTrie::meeting(Root root, Action action, const Asked& asked, Values& values, RuleId best) const {
  if (root == kNothing) return best;
  Search search{*this, index(action), asked, values, best};
  search.meeting(root, 0);
  return search.best;
}

}  // namespace courier::auth::acl
