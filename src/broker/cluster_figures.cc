#include "broker/cluster_figures.h"

#include <algorithm>

namespace courier::broker {

ClusterFigures::ClusterFigures(Registry& registry)
    : nodes_(registry.gauge("courier_cluster_nodes", "Nodes of the cluster that live, this one with them.")),
      owned_(registry.gauge("courier_partitions_owned",
                            "Partitions for whose offline sessions this node acts.")),
      moves_(registry.counter("courier_partition_moves_total",
                              "Partitions that changed their owner, all nodes' together.")) {}

void ClusterFigures::look(const Cluster& cluster, const record::Attachments& attachments) {
  const std::vector<NodeEpoch>& owners = attachments.owners();
  nodes_.set(static_cast<int64_t>(cluster.size()));
  owned_.set(std::ranges::count(owners, cluster.epoch()));
  uint64_t moved = 0;
  owners_.resize(owners.size());
  for (size_t i = 0; i < owners.size(); ++i) {
    if (!owners[i]) continue;  // until its heir is there
    moved += owners_[i] && owners[i] != owners_[i];
    owners_[i] = owners[i];
  }
  if (moved > 0) moves_.add(moved);
}

}  // namespace courier::broker
