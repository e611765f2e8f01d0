// The one RocksDB of a data directory: how it is tuned, opened, closed, and opened again after a failed
// write.
//
// Whoever uses the database holds it by a shared pointer for as long as the call lasts. After an I/O error it
// is closed and opened anew: RocksDB refuses all writes once one has failed, its own Resume() gives up on
// some errors, and after a failed fsync only what is read back from the file can be trusted. What had failed
// is cut off the journal first, so that a failed write is never found to have happened after all.
//
// Threads: use() from any; open(), recover() and close() from one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/rocksdb/data_directory.h"
#include "store/rocksdb/schema.h"

namespace rocksdb {
class Cache;
class ColumnFamilyHandle;
class DB;
class Env;
class EventListener;
class FileSystem;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace courier::store {

// An open RocksDB and its column families; closes them.
class OpenDatabase {
 public:
  // `closed` is told the number of the last write that succeeded, once all is closed.
  OpenDatabase(std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> columns,
               std::function<void(uint64_t)> closed);
  ~OpenDatabase();
  OpenDatabase(const OpenDatabase&) = delete;
  OpenDatabase& operator=(const OpenDatabase&) = delete;

  rocksdb::DB& db() const { return *db_; }
  // Null: the store is of an older format, opened for reading, and has none.
  rocksdb::ColumnFamilyHandle* column(schema::Column column) const {
    return columns_[static_cast<size_t>(column)];
  }
  // A value of the column family meta; nothing if the key is not there.
  Result<std::optional<std::string>> meta(const char* key) const;
  // A number among them; `missing` if it is not there.
  Result<uint64_t> meta_number(const char* key, uint64_t missing) const;
  // RocksDB's own counters, by name ("rocksdb.…").
  uint64_t property(const char* name) const;

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> columns_;
  std::function<void(uint64_t)> closed_;
};

class Database {
 public:
  struct Options {
    std::shared_ptr<rocksdb::FileSystem> file_system;
    uint64_t cache_bytes = 64 << 20;
  };
  // Opens the database of `directory`, which outlives it; creates it when the directory is new.
  static Result<std::unique_ptr<Database>> open(DataDirectory& directory, Options options);
  // For tools: reads only, writes nothing. recover() and close() are not for these.
  static Result<std::shared_ptr<OpenDatabase>> open_read_only(
      const DataDirectory& directory, std::shared_ptr<rocksdb::FileSystem> file_system);
  ~Database();

  // Null while it is being reopened.
  std::shared_ptr<OpenDatabase> use() const;
  // errc::unavailable while it is being reopened.
  Result<std::shared_ptr<OpenDatabase>> try_use() const;

  // Writes, and syncs. When it fails, nothing of the batch is in the database, now or after recover().
  rocksdb::Status write(rocksdb::WriteBatch& batch);

  // After a failed write: closes and opens the database. First makes sure that there is room again and the
  // disk takes writes, and leaves the old one open for readers while there is not.
  Result<void> recover(uint64_t bytes_needed);
  // Asked after RocksDB reported an error of its own threads, to be told once per error.
  void on_background_error(std::function<void(std::string)> task);
  // Flushes, closes, and notes a clean stop.
  Result<void> close();

  // Sentences about what was found at opening.
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  class Listener;
  Database(DataDirectory& directory, Options options);
  Result<void> open_database();
  void close_database();
  Result<void> begin_or_check();
  void note_newest_journal();
  Result<void> probe(uint64_t bytes_needed) const;
  Result<void> cut_off_after(uint64_t sequence) const;

  DataDirectory& directory_;
  Options options_;
  std::shared_ptr<rocksdb::Cache> cache_;  // RocksDB's way
  std::unique_ptr<rocksdb::Env> env_;
  std::shared_ptr<Listener> listener_;  // RocksDB's way
  std::vector<std::string> notices_;
  uint64_t safe_sequence_ = 0;  // of the last write that succeeded, as of the last close

  std::binary_semaphore closed_{0};  // released when the last user of the old database is done
  std::mutex note_mutex_;            // held while NEWEST is written; taken first
  mutable std::mutex mutex_;
  std::shared_ptr<OpenDatabase> current_;  // guarded by mutex_; shared with whoever reads or writes just now
};

}  // namespace courier::store
