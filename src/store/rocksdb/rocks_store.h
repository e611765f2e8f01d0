// A node's store on disk: the two ports over one RocksDB in one data directory. docs/on-disk.md tells the
// layout.
//
// Owned by main(); the ports are used as their headers say. Stop the log before destroying the store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/ordered_log.h"
#include "store/state_store.h"

namespace rocksdb {
class FileSystem;
}

namespace courier::store {

class DataDirectory;
class Database;
class RocksLog;
class RocksState;
struct LogEnd;

class RocksStore {
 public:
  struct Options {
    std::string data_dir;
    uint64_t cache_bytes = 64 << 20;       // of blocks read from table files
    const Clock* clock = &system_clock();  // outlives the store
    // Whose state this is: empty, of this store's own log; else of the cluster's log with that id. A new
    // store becomes what is asked for; one that holds something stays what it is.
    std::string log_id = {};
    // Null: the machine's. A test's may inject faults (faulty_file_system.h); shared with whoever steers it.
    std::shared_ptr<rocksdb::FileSystem> file_system;
  };
  // Opens the store, or makes a new one in an absent or empty folder. Refuses with a sentence: a folder that
  // holds something else, a newer format, damage, another process that has it open, the state of another log.
  static Result<std::unique_ptr<RocksStore>> open(Options options);
  // Flushes and notes a clean stop, so that the next start has nothing to replay into RocksDB.
  ~RocksStore();

  OrderedLog& log();
  StateStore& state();

  // From here on the tables are the state of that cluster's log, as of its `cursor`; what this store's own
  // log held is gone. For a store whose log was never started here, and has nothing behind the tables.
  Result<void> hand_over(const std::string& log_id, uint64_t cursor);

  // What the operator should know about the opening, a sentence each; mostly nothing.
  const std::vector<std::string>& notices() const;

 private:
  RocksStore();
  Result<void> belong_to(const std::string& log_id, const std::string& data_dir, const LogEnd& end);
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<RocksLog> log_;
  std::unique_ptr<RocksState> state_;
};

}  // namespace courier::store
