// Which phone is connected to which node, and what became of the connections when one node was killed.
//
// Pure: times come from outside. Owned by the demo's thread.
//
// 1. A connection ends in one of three ways: its phone left, its node was killed, or it was dropped. Only the
//    last is held against a node.
// 2. Those of the killed node have ended when killed() returns, whether or not their phones know it yet.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace courier::cli::demo {

class Connections {
 public:
  Connections(size_t nodes, size_t phones);

  void connected(size_t phone, size_t node, MonoNs now);
  void left(size_t phone) { end(phone); }
  // Neither it nor the kill wanted that; nothing happens when it was not connected.
  void dropped(size_t phone);
  void killed(size_t node, MonoNs now);

  // Of each phone: its present connection, counted from 1; 0 while it has none.
  const std::vector<uint32_t>& numbers() const { return numbers_; }
  size_t count() const { return count_; }

  struct AtNode {
    size_t at_kill = 0;  // phones that were connected when the one node was killed
    uint64_t dropped = 0;
    std::vector<MonoNs> came_back;  // of those whose node was killed: here, so long after the kill
  };
  const std::vector<AtNode>& nodes() const { return nodes_; }
  MonoNs last_came_back() const;  // 0 of none
  // Phones whose node was killed and that are not back.
  size_t awaited() const { return awaited_count_; }
  bool awaited(size_t phone) const { return awaited_[phone]; }

 private:
  void end(size_t phone);

  std::vector<AtNode> nodes_;
  std::vector<uint32_t> numbers_, made_;
  std::vector<size_t> places_;  // of each phone: its node
  std::vector<bool> awaited_;
  size_t count_ = 0, awaited_count_ = 0;
  MonoNs killed_at_ = 0;
};

}  // namespace courier::cli::demo
