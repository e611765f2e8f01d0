// Metrics of a node about its cluster: who is there, and who acts for what.
//
// Owned by Node, on the feed thread.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "broker/cluster.h"
#include "record/attachments.h"

namespace courier::broker {

class ClusterFigures {
 public:
  explicit ClusterFigures(Registry& registry);

  void look(const Cluster& cluster, const record::Attachments& attachments);

 private:
  Gauge& nodes_;
  Gauge& owned_;
  Counter& moves_;
  std::vector<NodeEpoch> owners_;  // the last there was, by partition
};

}  // namespace courier::broker
