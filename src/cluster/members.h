// The nodes of a cluster as a driver of membership tells them (etcd/membership.h). Plain data: whoever gets a
// list owns it.
//
// 1. A node's epoch is new with each of its runs, and greater than those of all runs that began before.
// 2. Lists are complete and sorted by id; a node stands in them for as long as its lease lives.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace courier::cluster {

enum class MemberState : uint8_t {
  active,
  draining,  // takes no new clients and lets go of those it has
};

struct Member {
  std::string id;
  NodeEpoch epoch;
  std::string mesh;     // host:port for other brokers
  std::string admin;    // host:port of its REST API
  std::string clients;  // host:port for clients, as a Server Reference names it; "": not told
  MemberState state = MemberState::active;
  bool operator==(const Member&) const = default;
};

// Called on the driver's engine thread, which must not be held up: a keep-alive may be due on it.
class MembershipListener {
 public:
  virtual ~MembershipListener() = default;
  // At first, and after every change. The list is complete as of `revision`: a run with an epoch up to that,
  // which does not stand in it, is over.
  virtual void on_members(const std::vector<Member>& members, uint64_t revision) = 0;
  // This node is not in the cluster any more and does not come back in this run. Once at most; not after
  // leaving.
  virtual void on_lost(const std::string& reason) = 0;
};

}  // namespace courier::cluster
