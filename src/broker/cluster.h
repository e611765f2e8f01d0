// Port: what a node of a cluster must know of the others that is not in the log. src/cluster answers over
// etcd, test/sim over a simulated one; a node alone has none.
//
// Any thread. Answers may be old: what is done because of them is a record, and holds or is void by the log
// (record/attachments.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "record/attachments.h"

namespace courier::broker {

class Cluster {
 public:
  virtual ~Cluster() = default;

  // Of this run. The log takes what is appended under it until the others know that it is gone.
  virtual NodeEpoch epoch() const = 0;
  virtual record::Partitioning partitioning() const = 0;
  // How many nodes are there, this one with them.
  virtual size_t size() const = 0;
  // Whether this node is the one that is to own the partition, among those that are there.
  virtual bool should_own(uint16_t partition) const = 0;
  // Whether that run is over for good, so that the log takes none of its records any more.
  virtual bool gone(NodeEpoch node) const = 0;
};

}  // namespace courier::broker
