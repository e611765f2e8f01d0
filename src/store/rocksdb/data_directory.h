// A data directory from outside its database: whose it is, which format, whether it is complete, who holds
// it.
//
// Opening one creates it if it is empty or absent, and refuses whatever it cannot be sure about: a folder
// with other things in it, a newer format, a database without FORMAT or FORMAT without a database, a journal
// that is missing, shorter than noted or damaged. A store never silently starts empty.
//
// Owned by one store; one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace rocksdb {
class FileLock;
class FileSystem;
}  // namespace rocksdb

namespace courier::store {

// What to say of a folder that is no store yet because an import into it was cut off (import_folder.h).
std::string unfinished_import(const std::string& data_dir);

class DataDirectory {
 public:
  enum class Access {
    create,         // a node's: an empty or absent folder becomes a new store
    existing_only,  // a tool's: the folder is a store already
    if_any,         // a tool's that may put one there: a folder without a store stays as it is, and is_new()
  };
  // Takes the lock, reads FORMAT. A store whose creation was cut off is cleared and is new again: nothing can
  // have been acknowledged from it.
  static Result<std::unique_ptr<DataDirectory>> open(std::shared_ptr<rocksdb::FileSystem> file_system,
                                                     std::string path, Access access);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string database_path() const;
  rocksdb::FileSystem& file_system() const { return *file_system_; }

  // Nothing was written yet: the database is to be created, then mark_ready().
  bool is_new() const { return is_new_; }
  Result<void> mark_ready();
  // Of a store that is there: what FORMAT says. An older one becomes one of ours with mark_ready(), once its
  // database is.
  uint32_t format() const { return format_; }

  // Whether the database's journals are all there and as they were written; before the database is opened.
  // Says, a sentence each, where an unfinished write was found.
  Result<std::vector<std::string>> check_journals() const;
  // Notes the newest journal. Called once data in it is safe, never before.
  Result<void> note_running() const;
  // Notes the sizes of all files that grow, after the database was closed.
  Result<void> note_clean_stop() const;

  // Names of the write-ahead logs in the database's folder, oldest first.
  Result<std::vector<std::string>> write_ahead_logs() const;

  // What FORMAT says. `complete` is false while a store is being made or restored.
  enum class Stage { creating, restoring, ready };
  static Result<void> write_format(rocksdb::FileSystem& file_system, const std::string& path, Stage stage);

 private:
  DataDirectory(std::shared_ptr<rocksdb::FileSystem> file_system, std::string path);
  Result<void> lock(Access access);
  Result<void> read_format(Access access);
  Result<void> clear_database() const;
  void mark_lock_file() const;
  Result<void> write_newest(bool clean) const;

  std::shared_ptr<rocksdb::FileSystem> file_system_;  // shared with the database and whoever injects faults
  std::string path_;
  rocksdb::FileLock* lock_ = nullptr;
  bool is_new_ = false;
  uint32_t format_ = 0;      // 0: new
  bool held_store_ = false;  // the lock file says so
};

}  // namespace courier::store
