// The filters with wildcards: a trie of topic levels.
//
// A node is an arena block with its level's text inside; its children are found through one hash table for
// the whole trie, keyed by (parent, level), except `+`, which the parent names. `#` is no node: what "a/#"
// subscribes stands in `below` of "a". So a match costs a table lookup and a block per level and branch.
//
// Belongs to one SubscriptionIndex; changed only under its write lock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "routing/block_arena.h"
#include "routing/handle_table.h"
#include "routing/keyed_hash.h"
#include "routing/match_result.h"
#include "routing/subscriber_set.h"

namespace courier::routing {

class FilterTrie {
 public:
  using Handle = BlockArena::Handle;

  FilterTrie(BlockArena& arena, uint64_t hash_key) : arena_(arena), hash_key_(hash_key) {}

  // The root of one mountpoint's filters.
  Handle make_root(uint32_t mountpoint);
  void drop_root(Handle root);

  // Where a filter's subscribers stand; null if no such filter is there.
  SubscriberSet* find(Handle root, std::string_view filter) const;
  // Makes what is missing. Something must then be added to the set.
  SubscriberSet& make(Handle root, std::string_view filter);
  // The filter's set became empty: frees what nothing needs any more.
  void prune(Handle root, std::string_view filter);

  // Adds the sets of all filters that match to out.sets_. [MQTT-4.7.2-1]
  void match(Handle root, std::string_view topic, MatchResult& out) const;

  // visit(mountpoint, filter, set) for every filter that has subscribers: those below this root's own `+`
  // and `#`, and those that begin with a literal level of any root.
  template <typename Visit>
  void for_each_from(Handle root, Visit visit) const {
    visit_with_pluses(root, visit);
  }
  template <typename Visit>
  void for_each_from_literals(Visit visit) const {
    edges_.for_each([&](Handle handle) { visit_with_pluses(handle, visit); });
  }
  size_t bytes() const { return edges_.bytes(); }

 private:
  struct Node {
    Handle parent, plus;
    uint32_t edges;  // children other than `+`
    uint32_t mountpoint;
    SubscriberSet here;   // filters that end with this level
    SubscriberSet below;  // filters that end with "/#" after this level
    uint16_t text_size;

    static constexpr size_t kTextOffset = 4 * 4 + 2 * sizeof(SubscriberSet) + 2;
    std::string_view text() const { return {reinterpret_cast<const char*>(this) + kTextOffset, text_size}; }
    char* text_begin() { return reinterpret_cast<char*>(this) + kTextOffset; }
  };

  Node& node(Handle handle) const { return *reinterpret_cast<Node*>(arena_.at(handle)); }
  uint64_t level_hash(std::string_view level) const { return keyed_hash(hash_key_, level); }
  uint64_t edge_hash(Handle parent, uint64_t level_hash) const { return keyed_hash(level_hash, parent); }
  Handle child(Handle parent, std::string_view level, uint64_t level_hash) const {
    return edges_.find(edge_hash(parent, level_hash), [&](Handle candidate) {
      const Node& found = node(candidate);
      return found.parent == parent && found.text() == level;
    });
  }
  Handle make_node(Handle parent, std::string_view text);
  void free_node(Handle handle);
  // The node of a filter's last level before "#", or 0.
  Handle walk(Handle root, std::string_view levels) const;
  std::string path(Handle handle) const;
  // A node and the `+` below it, the `+` below that, and so on: whatever no edge leads to.
  template <typename Visit>
  void visit_with_pluses(Handle handle, Visit& visit) const {
    for (; handle != 0; handle = node(handle).plus) {
      Node& at = node(handle);
      if (!at.here.empty()) visit(at.mountpoint, path(handle), at.here);
      if (!at.below.empty()) visit(at.mountpoint, at.parent == 0 ? "#" : path(handle) + "/#", at.below);
    }
  }

  BlockArena& arena_;
  const uint64_t hash_key_;
  HandleTable<Handle> edges_;
};

}  // namespace courier::routing
