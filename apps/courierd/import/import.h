// From one machine to a cluster: a stopped node's state becomes what a new cluster begins with.
//
//   1. The source is locked, and recovered in memory (recovery.h). It is read, never written.
//   2. It is copied into data_dir of the cluster's first node (store/rocksdb/import_folder.h), with what the
//      recovery changes and the id that the cluster's log will have.
//   3. Both are read whole and must be the same, row by row (census.h).
//   4. One transaction begins the cluster in etcd, with a mark that its log does not reach back to an empty
//      store: so every other node gets the state from the first one, as any new node does. It names the state
//      by position, time and digest: so a later run can tell whether it was given the same source.
//   5. The copy is put in place.
//
// Until 4 there is no cluster, and nothing of data_dir is a store; after it, it is the cluster's. An import
// that was killed anywhere is run again: before 4 it takes the copy that it finds if that is whole and of the
// very same state, or else another one; after 4 it does what is left.
//
// For a process of its own, on its main thread: it waits for disks and etcd, and says on stderr what it does.
#pragma once

#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "import/census.h"

namespace courier::courierd {

struct Imported {
  Census source, result;
  Position position;         // of the state; the cluster's log goes on behind it
  bool was_done = false;     // by an earlier import; nothing was left to do
  bool has_gone_on = false;  // and the cluster has taken something in since: `result` is empty. That it began
                             // with this source is known by what etcd says of its beginning
};

// `settings`: of the cluster's first node. Errors: of store, cluster::etcd and of settings that cannot work.
Result<Imported> import_node(const std::string& source_dir, const config::Settings& settings);

// The command: says what came of it. Returns an exit code of `courier` (apps/courier/command.h): 0, 1 failed,
// 2 wrong settings, 3 etcd does not answer, 4 it refuses.
int run_import(const std::string& source_dir, const config::Settings& settings);

}  // namespace courier::courierd
