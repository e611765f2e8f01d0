// Gets a copy of another node's state: the asking side of cluster/state_stream.h.
//
// A call that waits, for a start: for the main thread. Members are asked one after another, again and again,
// until one has given all of its state or nobody would for `patience`; the time in which one gives, or is
// giving to somebody else, does not count. What came whole, and verified, is in data_dir as a replacement
// (store/rocksdb/copies.h), which the next opening of the store puts in its place.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "mesh/mesh.h"

namespace courier::courierd {

struct StateFetch {
  struct Source {
    std::string id;
    NodeEpoch epoch;
  };
  mesh::Mesh& mesh;  // started
  std::string log_id, data_dir;
  std::chrono::milliseconds patience;
  // The other members, as of now.
  std::function<std::vector<Source>()> others;
  // Keeps the log from there on until it is needed, or says why that cannot be.
  std::function<Result<void>(uint64_t cursor)> hold;
  // Asked several times a second; false: no more of it.
  std::function<bool()> go_on;
};

// Errors: those of writing to the disk (store::errc), cluster::etcd::errc::snapshot_needed when nobody gave
// one, or go_on() said no.
Result<void> fetch_state(const StateFetch& fetch);

}  // namespace courier::courierd
