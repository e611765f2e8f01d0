// Copies of a store: made from a running node, checked, and put back.
//
// A backup is a data directory like any other (schema.h), only that nobody has it open. Table files are
// linked where the file system allows it, so a backup on the same disk costs little.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "store/rocksdb/database.h"

namespace rocksdb {
class FileSystem;
}

namespace courier::store {

// A consistent copy of state and log in the new folder `path`, while others write. The folder appears
// complete or not at all.
Result<void> write_backup(const OpenDatabase& database, rocksdb::FileSystem& file_system,
                          const std::string& path);

struct BackupFacts {
  Position position;   // what the tables reflect
  Position log_end;    // of the last record
  uint64_t bytes = 0;  // on disk
  std::string log_id;  // of the cluster's log whose state it is; empty: of the log in it
};
// Opens the copy and reads every block and every record of the log in it.
Result<BackupFacts> verify_backup(const std::string& path);

// Copies a store that nobody has open, and nobody opens meanwhile, into the empty folder `to`. Until it is
// done the folder says that it is unfinished, and no node starts on it.
Result<void> copy_store(rocksdb::FileSystem& file_system, const std::string& from, const std::string& to);

// Puts a backup into the absent or empty folder `data_dir`, after verifying it, and verifies the result.
// Until it is done the folder says that it is unfinished, and no node starts on it.
Result<BackupFacts> restore_backup(const std::string& path, const std::string& data_dir);

}  // namespace courier::store
