// The first things that a node does with etcd: is it one we can work with, and whose keys are these?
//
// Functions that wait for their answers: for starts and tools, never for the engine thread.
#pragma once

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

// Whether there is a cluster of that name; nothing is written. Errors: errc::unavailable, refused.
Result<bool> cluster_exists(Client& client, const Keys& keys, int64_t patience_ms);

// The cluster's settings: those that are in etcd, or else `wanted`, written now. Errors: errc::other_cluster
// (another number of partitions), newer_format, damaged, unavailable; nothing is overwritten.
Result<Meta> open_cluster(Client& client, const Keys& keys, const Meta& wanted, int64_t patience_ms);

}  // namespace courier::cluster::etcd
