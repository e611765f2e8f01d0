// What courierd's exit code says to a script or to systemd; also in --help and docs/operations.
#pragma once

namespace courier::courierd {

enum ExitCode : int {
  kStopped = 0,         // as asked, by SIGTERM or SIGINT
  kFailed = 1,          // something that no other code names
  kUsage = 2,           // the command line or the settings are wrong
  kCannotListen = 3,    // an address is taken, not ours, or not allowed
  kCannotUseStore = 4,  // data_dir: not writable, held by another process, disk full
  kStoreDamaged = 5,    // or written by a newer Courier: a restart will not help
  kCannotJoin = 6,      // etcd does not answer or refuses, or this node's name is taken
  kLeftCluster = 75,    // the cluster took this node for dead: it starts again, as another run
};

}  // namespace courier::courierd
