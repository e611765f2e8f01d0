// Who may say what about which session, in a cluster: the part of the fold that records are held against.
//
// Every node appends what it decides, and decides by what it has folded so far; when its record comes back,
// somebody else's may have come before. Whether it holds then is decided here, by the log alone, so that
// every node comes to the same answer:
//
//   of a session that is connected   only the node to which it is, under the attach position that is in force
//   of one that is not               only the owner of its partition, and nothing happened since it looked
//   an ATTACH                        any node, if the session of that name is still as it saw it
//   a will                           any node, once, under the attach position that brought it
//
//           ATTACH                          DETACH, or NODE_DOWN of its node
//   (none) --------> connected to a node --------------------------------------> connected nowhere
//                      ^    |  ATTACH of another node: taken over                    |      | DETACH that
//                      ends |    v                                                        |      v
//                      +-------------------------------------------------------------+    (none)
//                                          ATTACH
//
// A node alone has none of this: it is the only one that appends, and keeps its own order. Then nothing is
// kept here, and everything holds.
//
// Owned by the feed thread, as a part of Directory. Functions that return whether a record holds change what
// they say if it does, and nothing if it does not.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/ids.h"
#include "record/record.h"
#include "session/session.h"

namespace courier::record {

// What all nodes of a cluster have in common, for as long as it exists.
struct Partitioning {
  uint16_t partitions = 0;  // 0: a node alone
  uint64_t name_key = 0;    // of hashes of names; nobody outside may know it
};

class Attachments {
 public:
  explicit Attachments(Partitioning partitioning);

  bool alone() const { return owners_.empty(); }

  // --- whether a record holds ---
  bool attach(const Attach& record, Position position, NodeEpoch node);
  bool detach(const Detach& record, NodeEpoch node);
  // What a connection says, or what is said because of it.
  bool may(const SessionRef& by, NodeEpoch node) const;
  // What is decided about a session's messages; `since`: the attach position that was in force then.
  bool may_settle(SessionId session, Position since, NodeEpoch node) const;
  bool take_will(const SessionRef& of);

  // --- who acts ---
  void own(std::span<const uint16_t> partitions, NodeEpoch node);
  NodeEpoch owner(uint16_t partition) const { return owners_[partition]; }
  // A node alone owns everything.
  bool owns(uint16_t partition, NodeEpoch node) const { return alone() || owners_[partition] == node; }
  bool owns(GroupId group, NodeEpoch node) const { return alone() || owners_[partition_of(group)] == node; }
  const std::vector<NodeEpoch>& owners() const { return owners_; }
  uint16_t partition_of(SessionId session) const { return partition(session.hash(), owners_.size()); }
  uint16_t partition_of(GroupId group) const;
  static uint16_t partition(uint16_t hash, size_t partitions) {
    return static_cast<uint16_t>(hash % partitions);
  }
  // Returns the sessions that were connected to it, in no order.
  std::vector<SessionId> node_down(NodeEpoch node);
  // Nodes that own something, or to which a session is connected, in order.
  std::vector<NodeEpoch> nodes() const;

  size_t size() const { return sessions_.size(); }
  size_t connected() const;  // sessions, to whichever node

  // --- start ---
  void restore(const session::Session& session);
  void restore(std::vector<NodeEpoch> owners);

 private:
  struct Attached {
    Position attach;
    uint64_t name = 0;  // its hash
    uint16_t node = 0;  // index into nodes_, if connected
    bool connected = false, has_will = false;
  };
  uint64_t name_of(std::string_view mountpoint, std::string_view client_id) const;
  uint16_t index_of(NodeEpoch node);
  void connect(Attached& session, NodeEpoch node);
  void disconnect(Attached& session);
  void erase(SessionId session);

  const uint64_t name_key_;
  std::vector<NodeEpoch> owners_;  // by partition; 0: nobody
  struct Node {
    NodeEpoch epoch;         // 0: the place is free
    uint32_t connected = 0;  // sessions
  };
  std::vector<Node> nodes_;
  boost::unordered_flat_map<SessionId, Attached, std::hash<SessionId>> sessions_;
  boost::unordered_flat_map<uint64_t, SessionId> by_name_;
};

}  // namespace courier::record
