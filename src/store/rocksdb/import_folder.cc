#include "store/rocksdb/import_folder.h"

#include <rocksdb/file_system.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "store/errc.h"
#include "store/rocksdb/backup.h"
#include "store/rocksdb/copies.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/rocks_store.h"
#include "store/rocksdb/schema.h"

namespace courier::store {
namespace {

using rocksdb::IOOptions;
using rocksdb::IOStatus;

// What folding the rest of the log into the tables may take beside the copy.
constexpr uint64_t kSpareBytes = 128 << 20;

bool on_one_disk(const std::string& a, const std::string& b) {
  struct stat of_a {
  }, of_b{};
  return ::stat(a.c_str(), &of_a) == 0 && ::stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev;
}

// Said before anything is written, rather than found out in the middle.
Result<void> check_room(const std::string& from, const std::string& data_dir) {
  const std::string database = from + "/" + schema::kDatabaseFolder;
  const bool links = on_one_disk(database, data_dir);
  uint64_t bytes = kSpareBytes;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(database, error)) {
    if (links && file.path().extension() == ".sst") continue;
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  const auto space = std::filesystem::space(data_dir, error);
  if (error || space.available >= bytes) return {};
  return fail(errc::disk_full, "the copy of " + from + " needs " + std::to_string(bytes >> 20) +
                                   " MiB, and the disk of " + data_dir + " has " +
                                   std::to_string(space.available >> 20) +
                                   " MiB left; free some space, or take a data_dir on another disk");
}

}  // namespace

ImportFolder::ImportFolder(std::unique_ptr<DataDirectory> directory)
    : directory_(std::move(directory)), path_(directory_->path() + "/" + schema::kImportFolder) {}

Result<std::unique_ptr<ImportFolder>> ImportFolder::open(const std::string& data_dir) {
  auto directory =
      DataDirectory::open(rocksdb::FileSystem::Default(), data_dir, DataDirectory::Access::if_any);
  if (!directory) return fail(directory.error());
  return std::unique_ptr<ImportFolder>(new ImportFolder(*std::move(directory)));
}

Result<void> ImportFolder::copy(const std::string& from) {
  rocksdb::FileSystem& files = directory_->file_system();
  remove();
  if (Result<void> room = check_room(from, directory_->path()); !room) return room;
  const IOStatus made = files.CreateDir(path_, IOOptions(), nullptr);
  if (!made.ok()) return fail(error_of(made, "cannot create " + path_));
  if (Result<void> copied = copy_store(files, from, path_); !copied) return copied;
  return sync_folder(files, directory_->path());
}

Result<void> ImportFolder::finish(const std::vector<StateBatch>& changes, Position position, WallMs clock,
                                  const std::string& log_id, uint64_t cursor) {
  const auto store = RocksStore::open({.data_dir = path_, .file_system = nullptr});
  if (!store) return fail(store.error());
  if (Result<void> written = (*store)->state().write(changes, position, 0, clock); !written) return written;
  return (*store)->hand_over(log_id, cursor);
}

void ImportFolder::remove() {
  remove_folder(directory_->file_system(), path_);
}

Result<void> ImportFolder::put_in_place(std::unique_ptr<ImportFolder> folder) {
  const std::string data_dir = folder->directory_->path();
  const std::string to = data_dir + "/" + kReplacement;
  rocksdb::FileSystem& files = folder->directory_->file_system();
  const IOStatus moved = files.RenameFile(folder->path_, to, IOOptions(), nullptr);
  if (!moved.ok()) return fail(error_of(moved, "cannot move " + folder->path_ + " to " + to));
  if (Result<void> synced = sync_folder(files, data_dir); !synced) return synced;
  return finish_exchange(files, data_dir);
}

}  // namespace courier::store
