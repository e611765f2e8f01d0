// The keys of one cluster in etcd, and the small values among them. Pure.
//
//   /courier/<cluster>/meta                  once: random id of the log, partitions, format; the position at
//                                            which the log begins, if that is not the first, and whose state
//                                            that is
//   /courier/<cluster>/node/<id>             [lease] a node that lives: its addresses. The revision that
//   created
//                                            it is the node's epoch
//   /courier/<cluster>/in/<epoch>/<seq>      the log: pieces of batches (piece.h), each number 16 hex digits
//   /courier/<cluster>/done/<id>             the revision up to which that node has everything in its store
//   /courier/<cluster>/trimmed               what no longer is in the log: every record up to this revision
//   may
//                                            be gone without a trace
//
// Small values are lines "name=value", so that an operator can read them with etcdctl. Unknown names are
// passed over; a newer format= is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/members.h"

namespace courier::cluster::etcd {

// Of keys and small values, and of the pieces.
inline constexpr uint32_t kFormat = 1;

// A place in the log.
struct LogKey {
  NodeEpoch epoch;
  uint64_t seq = 0;
  bool operator==(const LogKey&) const = default;
};

class Keys {
 public:
  // Letters, digits, '-', '_' and '.', at most kNameBytesMax. Errors: errc::bad_options.
  static Result<Keys> of(std::string_view cluster);

  const std::string& cluster() const { return cluster_; }
  const std::string& prefix() const { return prefix_; }
  std::string meta() const { return prefix_ + "meta"; }
  std::string trimmed() const { return prefix_ + "trimmed"; }
  std::string nodes() const { return prefix_ + "node/"; }
  std::string node(std::string_view id) const { return nodes() + std::string(id); }
  std::string all_done() const { return prefix_ + "done/"; }
  std::string done(std::string_view id) const { return all_done() + std::string(id); }
  std::string log() const { return prefix_ + "in/"; }
  std::string log(NodeEpoch epoch) const;
  std::string log(LogKey key) const;

  // What the key of a node, or of what a node has done, ends on; the place that a key of the log stands for.
  // Nullopt: none of these.
  std::optional<std::string> node_of(std::string_view key) const;
  std::optional<std::string> done_of(std::string_view key) const;
  std::optional<LogKey> log_of(std::string_view key) const;

 private:
  std::string cluster_, prefix_;
};

// The first key that does not begin with `prefix`: ends a range over all that do.
std::string end_of(std::string prefix);

// Letters, digits, '-', '_' and '.'; not empty, at most kNameBytesMax. `what` is for the sentence.
Result<void> check_name(std::string_view what, std::string_view name);

// --- Small values ---

struct Meta {
  std::string id;           // random: tells this log from any other
  uint32_t partitions = 0;  // never changes
  WallMs created = 0;
  Position imported = {};  // of the state that the cluster began with, and its log goes on from; 0: empty
  // What else tells that state from any other: the time as of which it was taken, and a digest of all of it
  // (apps/courierd/import/census.h). A cluster that was begun by an earlier version lacks the digest.
  WallMs imported_clock = 0;
  std::string imported_digest = {};
  bool operator==(const Meta&) const = default;
};
std::string encode(const Meta& meta);
Result<Meta> decode_meta(std::string_view value);

struct NodeValue {
  std::string instance;              // random, new with each process
  std::string mesh, admin, clients;  // printable ASCII without spaces, at most kAddressBytesMax; or empty
  MemberState state = MemberState::active;
  bool operator==(const NodeValue&) const = default;
};
std::string encode(const NodeValue& node);
Result<NodeValue> decode_node(std::string_view value);

// A revision of etcd, as done/ and trimmed have it.
std::string encode_revision(uint64_t revision);
Result<uint64_t> decode_revision(std::string_view value);

// 32 hex digits that nobody else has.
std::string random_id();

}  // namespace courier::cluster::etcd
