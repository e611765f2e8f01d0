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
};

}  // namespace courier::courierd
