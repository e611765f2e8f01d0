// What can go wrong between a node and its cluster's etcd. The sentence beside the code names the place and
// says what to do.
#pragma once

#include <system_error>

namespace courier::cluster::etcd {

enum class errc {
  unavailable = 1,  // nobody answered in time, or whoever did has no quorum; worth trying again
  bad_options,      // an endpoint, a file or a name that cannot be used
  refused,          // wrong user, password or certificate, or no right to the keys
  unsupported,      // not an etcd, or one that is too old
  other_cluster,    // the keys belong to another cluster than expected, or its settings differ
  newer_format,     // the keys were written by a newer Courier
  node_id_taken,    // another process is this node
  lease_gone,       // this node's lease ran out, or its key was taken away: the run is over
  fenced,           // the log does not take this node's batches any more: the run is over
  snapshot_needed,  // the log no longer reaches back to what this node has
  behind,           // etcd holds less than this node has seen: it was restored from an older copy
  damaged,          // a value that nobody of ours can have written
  no_space,         // etcd's quota is used up
  compacted,        // a revision that etcd has forgotten
  future_revision,  // a revision that etcd has not reached
  protocol,         // an answer that makes no sense
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::cluster::etcd
