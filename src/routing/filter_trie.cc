#include "routing/filter_trie.h"

#include <optional>
#include <vector>

#include "base/check.h"

namespace courier::routing {
namespace {

// The levels of a topic or filter, one after the other. An empty text has one empty level.
class Levels {
 public:
  explicit Levels(std::string_view text) : rest_(text) {}

  std::optional<std::string_view> next() {
    if (!rest_) return std::nullopt;
    const size_t slash = rest_->find('/');
    const std::string_view level = rest_->substr(0, slash);
    if (slash == std::string_view::npos) {
      rest_.reset();
    } else {
      rest_->remove_prefix(slash + 1);
    }
    return level;
  }

 private:
  std::optional<std::string_view> rest_;
};

// A filter is its levels and, perhaps, a "#" after them. "#" alone has no levels.
struct Split {
  std::optional<std::string_view> levels;
  bool below;
};
Split split(std::string_view filter) {
  if (filter == "#") return {std::nullopt, true};
  if (filter.ends_with("/#")) return {filter.substr(0, filter.size() - 2), true};
  return {filter, false};
}

}  // namespace

FilterTrie::Handle FilterTrie::make_node(Handle parent, std::string_view text) {
  const Handle handle = arena_.allocate(Node::kTextOffset + text.size());
  Node& made = node(handle);
  made.parent = parent;
  if (parent != 0) made.mountpoint = node(parent).mountpoint;
  made.text_size = static_cast<uint16_t>(text.size());
  text.copy(made.text_begin(), text.size());
  return handle;
}

void FilterTrie::free_node(Handle handle) {
  arena_.release(handle, Node::kTextOffset + node(handle).text_size);
}

FilterTrie::Handle FilterTrie::make_root(uint32_t mountpoint) {
  const Handle root = make_node(0, {});
  node(root).mountpoint = mountpoint;
  return root;
}

void FilterTrie::drop_root(Handle root) {
  const Node& dropped = node(root);
  CHECK(dropped.edges == 0 && dropped.plus == 0 && dropped.here.empty() && dropped.below.empty());
  free_node(root);
}

FilterTrie::Handle FilterTrie::walk(Handle root, std::string_view levels) const {
  Handle at = root;
  Levels each(levels);
  while (const auto level = each.next()) {
    at = *level == "+" ? node(at).plus : child(at, *level, level_hash(*level));
    if (at == 0) return 0;
  }
  return at;
}

SubscriberSet* FilterTrie::find(Handle root, std::string_view filter) const {
  const Split wanted = split(filter);
  const Handle at = wanted.levels ? walk(root, *wanted.levels) : root;
  if (at == 0) return nullptr;
  SubscriberSet& set = wanted.below ? node(at).below : node(at).here;
  return set.empty() ? nullptr : &set;
}

SubscriberSet& FilterTrie::make(Handle root, std::string_view filter) {
  const Split wanted = split(filter);
  Handle at = root;
  if (wanted.levels) {
    Levels each(*wanted.levels);
    while (const auto level = each.next()) {
      const uint64_t hash = level_hash(*level);
      Handle next = *level == "+" ? node(at).plus : child(at, *level, hash);
      if (next == 0) {
        next = make_node(at, *level);
        if (*level == "+") {
          node(at).plus = next;
        } else {
          edges_.insert(edge_hash(at, hash), next);
          ++node(at).edges;
        }
      }
      at = next;
    }
  }
  return wanted.below ? node(at).below : node(at).here;
}

void FilterTrie::prune(Handle root, std::string_view filter) {
  const Split wanted = split(filter);
  Handle at = wanted.levels ? walk(root, *wanted.levels) : root;
  while (at != 0 && at != root) {
    const Node& gone = node(at);
    if (gone.edges != 0 || gone.plus != 0 || !gone.here.empty() || !gone.below.empty()) return;
    const Handle parent = gone.parent;
    if (node(parent).plus == at) {
      node(parent).plus = 0;
    } else {
      edges_.erase(edge_hash(parent, level_hash(gone.text())), at);
      --node(parent).edges;
    }
    free_node(at);
    at = parent;
  }
}

// Depth first over the branches that the topic can take, with a stack of our own: topics may have as many
// levels as bytes. The topic's levels are split and hashed only as far as the trie goes. Where a topic can go
// on by `+` and by its level, the level's edge is fetched while the `+` branch is walked: in a large trie
// nearly every edge is a cache miss.
void FilterTrie::match(Handle root, std::string_view topic, MatchResult& out) const {
  const bool dollar = topic.starts_with('$');
  Levels unsplit(topic);
  bool split_whole = false;
  out.levels_.clear();
  out.visits_.clear();
  out.visits_.push_back({root, 0, false});
  while (!out.visits_.empty()) {
    auto [handle, depth, by_edge] = out.visits_.back();
    out.visits_.pop_back();
    if (by_edge) {
      const MatchResult::Level& level = out.levels_[depth];
      handle = child(handle, level.text, level.hash);
      if (handle == 0) continue;
      ++depth;
    }
    const Node& at = node(handle);
    const bool wildcards = depth > 0 || !dollar;
    if (wildcards && !at.below.empty()) out.sets_.push_back(&at.below);
    if (at.here.empty() && at.edges == 0 && at.plus == 0) continue;
    if (depth == out.levels_.size() && !split_whole) {
      if (const auto level = unsplit.next()) {
        out.levels_.push_back({*level, level_hash(*level)});
      } else {
        split_whole = true;
      }
    }
    if (depth == out.levels_.size()) {
      if (!at.here.empty()) out.sets_.push_back(&at.here);
      continue;
    }
    if (at.edges != 0) {
      edges_.prefetch(edge_hash(handle, out.levels_[depth].hash));
      out.visits_.push_back({handle, depth, true});
    }
    if (wildcards && at.plus != 0) out.visits_.push_back({at.plus, depth + 1, false});
  }
}

std::string FilterTrie::path(Handle handle) const {
  std::vector<std::string_view> levels;
  for (Handle at = handle; node(at).parent != 0; at = node(at).parent) levels.push_back(node(at).text());
  std::string path;
  for (size_t i = levels.size(); i-- > 0;) {
    path += levels[i];
    if (i > 0) path += '/';
  }
  return path;
}

}  // namespace courier::routing
