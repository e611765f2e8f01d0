// A file system for tests that forgets what was not synced, fills up, and fails when it is told to.
//
// Everything written through it waits in memory until the file is synced, and every new, renamed or deleted
// name until its folder is synced; readers in this process see all of it at once. So when the process is
// killed, or power_cut() is called, exactly what a machine without power might have kept is on the real disk.
// (Real syncs are skipped: the kernel outlives the process.) Worse than most disks on purpose: what a failed
// sync held is lost for good, even if a later sync of the same file succeeds.
//
// Files that wait for their folder's sync have real names that end in ".unsynced" and a number; a new object
// removes those that an earlier process left. Thread-safe.
#pragma once

#include <rocksdb/file_system.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace courier::store {

class FaultyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  // `root`: the folder under which leftovers are removed.
  explicit FaultyFileSystem(const std::string& root);
  const char* Name() const override { return "courier.FaultyFileSystem"; }

  // Appends succeed until this many bytes were written, then end in the middle with "no space"; nullopt: no
  // limit.
  void set_free_space(std::optional<uint64_t> bytes);
  // While this file exists there is no space. For steering another process.
  void set_full_while_exists(std::string path);
  // While this file exists no sync of a file ends.
  void set_hangs_while_exists(std::string path);
  void fail_appends(bool fail);
  void fail_syncs(bool fail);
  // Of folders only.
  void fail_folder_syncs(bool fail);

  // From now on every call fails, and what was not synced is gone; except that of the bytes that wait in a
  // file the first keep(path, bytes) reached the disk.
  void power_cut(const std::function<size_t(const std::string& path, size_t bytes)>& keep = {});

  uint64_t syncs() const;

  // --- rocksdb::FileSystem ---
  using Options = rocksdb::IOOptions;
  using Context = rocksdb::IODebugContext;
  using Status = rocksdb::IOStatus;
  Status NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSSequentialFile>* result, Context* context) override;
  Status NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSRandomAccessFile>* result, Context* context) override;
  Status NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                         std::unique_ptr<rocksdb::FSWritableFile>* result, Context* context) override;
  Status ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                            std::unique_ptr<rocksdb::FSWritableFile>* result, Context* context) override;
  Status ReuseWritableFile(const std::string& path, const std::string& old_path,
                           const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, Context* context) override;
  Status NewRandomRWFile(const std::string& path, const rocksdb::FileOptions& options,
                         std::unique_ptr<rocksdb::FSRandomRWFile>* result, Context* context) override;
  Status NewDirectory(const std::string& path, const Options& options,
                      std::unique_ptr<rocksdb::FSDirectory>* result, Context* context) override;
  Status FileExists(const std::string& path, const Options& options, Context* context) override;
  Status GetChildren(const std::string& folder, const Options& options, std::vector<std::string>* result,
                     Context* context) override;
  Status GetChildrenFileAttributes(const std::string& folder, const Options& options,
                                   std::vector<rocksdb::Env::FileAttributes>* result,
                                   Context* context) override;
  Status DeleteFile(const std::string& path, const Options& options, Context* context) override;
  Status Truncate(const std::string& path, size_t size, const Options& options, Context* context) override;
  Status GetFileSize(const std::string& path, const Options& options, uint64_t* size,
                     Context* context) override;
  Status GetFileModificationTime(const std::string& path, const Options& options, uint64_t* time,
                                 Context* context) override;
  Status RenameFile(const std::string& from, const std::string& to, const Options& options,
                    Context* context) override;
  Status LinkFile(const std::string& from, const std::string& to, const Options& options,
                  Context* context) override;
  Status NumFileLinks(const std::string& path, const Options& options, uint64_t* count,
                      Context* context) override;
  Status AreFilesSame(const std::string& a, const std::string& b, const Options& options, bool* same,
                      Context* context) override;
  Status GetFreeSpace(const std::string& path, const Options& options, uint64_t* bytes,
                      Context* context) override;

 private:
  class WritableFile;
  class Folder;
  // What waits of one file.
  struct Unsynced {
    std::string real;      // its name on the disk
    uint64_t written = 0;  // bytes that are there
    std::string bytes;     // bytes that wait
    size_t doomed = 0;     // of those, how many a failed sync has lost: they are seen, but never safe
  };
  using Files = std::map<std::string, std::shared_ptr<Unsynced>>;

  // All below with mutex_ held.
  Status check() const;
  Status append(Unsynced& file, std::string_view bytes);
  void wait_while_hanging(std::unique_lock<std::mutex>& lock) const;
  Status sync(Unsynced& file, rocksdb::FSWritableFile& real);
  Status sync_folder(const std::string& folder);
  // The real name of a file; nothing if it does not exist.
  std::optional<std::string> real_name(const std::string& path) const;
  bool exists(const std::string& path) const;
  std::string fresh_name(const std::string& path);
  void forget(const std::string& path);
  std::optional<std::string> whole_content(const std::string& path, Status* status) const;

  mutable std::mutex mutex_;
  bool dead_ = false;
  bool appends_fail_ = false;
  bool syncs_fail_ = false;
  bool folder_syncs_fail_ = false;
  std::optional<uint64_t> free_space_;
  std::string full_while_exists_, hangs_while_exists_;
  uint64_t syncs_ = 0;
  uint64_t next_number_ = 0;
  Files unsynced_;                                           // by the name that this process knows
  std::map<std::string, std::optional<std::string>> names_;  // not yet synced: real name, or deleted
};

// The file system that the environment asks for, or null: COURIER_FAULTY_DISK=discard_unsynced, with
// COURIER_DISK_FULL_FILE=PATH for set_full_while_exists() and COURIER_DISK_HANGS_FILE=PATH for
// set_hangs_while_exists(). For test builds of courierd.
std::shared_ptr<rocksdb::FileSystem> faulty_file_system_from_environment(const std::string& data_dir);

}  // namespace courier::store
