// Who is there, as the broker asks it: broker::Cluster over the lists that a driver of membership tells.
//
// Who is to own a partition follows from the ids of the nodes that are there (rendezvous hashing), not from
// their epochs: a node that restarts gets its own back, and one that comes or goes moves its share only.
// A node that drains is to own nothing, as long as another does not.
//
// Threads: set_members() on the driver's; everything else on any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "broker/cluster.h"
#include "cluster/members.h"

namespace courier::cluster {

class Roster final : public broker::Cluster {
 public:
  Roster(std::string id, NodeEpoch epoch, record::Partitioning partitioning);

  // The list is complete as of `revision`: whoever got an epoch up to that and does not stand in it is gone.
  void set_members(const std::vector<Member>& members, uint64_t revision);
  std::vector<Member> members() const;

  NodeEpoch epoch() const override { return epoch_; }
  record::Partitioning partitioning() const override { return partitioning_; }
  size_t size() const override;
  bool should_own(uint16_t partition) const override;
  bool gone(NodeEpoch node) const override;

  // The id of the node that is to own it; pure. "" if there is none.
  static std::string owner_of(uint16_t partition, const std::vector<Member>& members);

 private:
  const std::string id_;
  const NodeEpoch epoch_;
  const record::Partitioning partitioning_;

  mutable std::mutex mutex_;
  std::vector<Member> members_;  // guarded by mutex_, like all below
  std::vector<bool> mine_;       // by partition
  uint64_t revision_ = 0;
};

}  // namespace courier::cluster
