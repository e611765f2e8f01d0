// The first things that a node does with etcd: is it one we can work with, and whose keys are these?
//
// Functions that wait for their answers: for starts and tools, never for the engine thread.
#pragma once

#include <optional>

#include "base/result.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"

namespace courier::cluster::etcd {

struct EngineReport {
  std::string version;      // of the member that answered
  uint64_t cluster_id = 0;  // etcd's own
  size_t members = 0;
};

// Whether somebody answers within `patience_ms`, is an etcd of 3.4 or newer, takes our credentials, has a
// quorum, and whether all endpoints that answer belong to one cluster. Errors: errc::unavailable,
// unsupported, refused, other_cluster.
Result<EngineReport> check_engine(Client& client, int64_t patience_ms);

// What there is of a cluster of that name; nothing is written. Errors: errc::unavailable, refused, damaged,
// newer_format.
struct FoundCluster {
  std::optional<Meta> meta;  // none: no such cluster
  bool left_over = false;    // and yet keys of its name, of one that is gone
  uint64_t revision = 0;     // of etcd, as of which that is so
};
Result<FoundCluster> find_cluster(Client& client, const Keys& keys, int64_t patience_ms);
// What to say of left_over.
std::string left_over_keys(const Keys& keys);

// The cluster's settings: those that are in etcd, or else `wanted`, written now. Errors: errc::other_cluster
// (another number of partitions), newer_format, damaged, unavailable; nothing is overwritten.
Result<Meta> open_cluster(Client& client, const Keys& keys, const Meta& wanted, int64_t patience_ms);

// Begins a cluster that has a state already: whoever has everything up to `revision` of etcd and of the log,
// which is to have meta.imported records by then. Whoever has less needs a copy of the state. All of it or
// nothing; again with the same id it has been done. Errors: errc::other_cluster, if any key of that name is
// there; unavailable: whether it was done is not known; refused, no_space.
Result<void> begin_with_state(Client& client, const Keys& keys, const Meta& meta, uint64_t revision,
                              int64_t patience_ms);

}  // namespace courier::cluster::etcd
