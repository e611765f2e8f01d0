// Copies of a state on their way from node to node, and how one takes the place of a node's own.
//
//   data_dir/outgoing      a copy that another node reads: a backup (backup.h), removed afterwards
//   data_dir/incoming      one that comes from another node; until it is whole and verified it is nothing
//   data_dir/replacement   the same, verified and safe: from this name on it is what the store will be
//
// A replacement is moved to its place when the data directory is opened the next time, with its lock held:
// db/, then NEWEST, then FORMAT. Each step may find itself done already, so a crash anywhere in it only means
// that the next opening goes on. The old store is removed by it, and not before. Whatever else there is of
// these folders at an opening is a leftover, and goes.
//
// One of a kind at a time and store. Each object has one owner and one thread; both may be threads beside the
// store's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/rocksdb/backup.h"
#include "store/state_store.h"

namespace rocksdb {
class FileSystem;
class FSSequentialFile;
class FSWritableFile;
}  // namespace rocksdb

namespace courier::store {

struct CopiedFile {
  std::string name;  // without a folder; copies are flat for those who carry them
  uint64_t size = 0;
};

class OutgoingCopy {
 public:
  // Copies what the store holds now.
  static Result<std::unique_ptr<OutgoingCopy>> make(StateStore& state, const std::string& data_dir);
  // Removes it.
  ~OutgoingCopy();

  const std::string& log_id() const { return log_id_; }
  Position position() const { return position_; }
  uint64_t cursor() const { return cursor_; }
  // In the order in which they are to be read.
  const std::vector<CopiedFile>& files() const { return files_; }

  Result<void> open(const CopiedFile& file);
  // Up to `bytes_max` of it; nothing at its end. The view lives until the next call.
  Result<std::string_view> read(size_t bytes_max);

 private:
  explicit OutgoingCopy(std::string path);

  const std::shared_ptr<rocksdb::FileSystem> file_system_;
  const std::string path_;
  std::string log_id_;
  Position position_;
  uint64_t cursor_ = 0;
  std::vector<CopiedFile> files_;
  std::unique_ptr<rocksdb::FSSequentialFile> file_;
  std::string buffer_;
};

class IncomingCopy {
 public:
  // For these files. Refuses names that are none of a store's, and more bytes than there is room for beside
  // the store that is there: errc::damaged, disk_full.
  static Result<std::unique_ptr<IncomingCopy>> begin(
      const std::string& data_dir, const std::vector<CopiedFile>& files,
      std::shared_ptr<rocksdb::FileSystem> file_system = nullptr);
  // Removes what did not become a replacement.
  ~IncomingCopy();

  Result<void> open(const CopiedFile& file);
  Result<void> write(std::string_view bytes);
  Result<void> close();  // safe when it returns

  // Reads all of it as a backup, looks whether it is the state of that log, and makes it the replacement.
  Result<BackupFacts> finish(const std::string& log_id);

 private:
  IncomingCopy(std::string data_dir, std::shared_ptr<rocksdb::FileSystem> file_system);
  std::string path_of(const std::string& name) const;

  const std::string data_dir_, path_;
  const std::shared_ptr<rocksdb::FileSystem> file_system_;
  std::string open_;  // for messages
  std::unique_ptr<rocksdb::FSWritableFile> file_;
  bool finished_ = false;
};

// --- For DataDirectory::open() and ImportFolder, with the lock ---

inline constexpr const char* kReplacement = "replacement";
bool exchange_begun(rocksdb::FileSystem& file_system, const std::string& data_dir);
// Moves a replacement to its place, if there is one.
Result<void> finish_exchange(rocksdb::FileSystem& file_system, const std::string& data_dir);
// Removes leftovers.
void remove_copies(rocksdb::FileSystem& file_system, const std::string& data_dir);

}  // namespace courier::store
