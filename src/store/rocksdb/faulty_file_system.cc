#include "store/rocksdb/faulty_file_system.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>
#include <vector>

namespace courier::store {
namespace {

using rocksdb::IOStatus;

constexpr std::string_view kUnsynced = ".unsynced";

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}
std::string base_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string normal(std::string path) {
  for (size_t at = path.find("//"); at != std::string::npos; at = path.find("//")) path.erase(at, 1);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

IOStatus no_such_file(const std::string& path) {
  return IOStatus::PathNotFound(path, "No such file or directory");
}

// A file whose content is in memory.
class Snapshot : public rocksdb::FSSequentialFile, public rocksdb::FSRandomAccessFile {
 public:
  explicit Snapshot(std::string content) : content_(std::move(content)) {}
  IOStatus Read(size_t size, const rocksdb::IOOptions&, rocksdb::Slice* result, char* scratch,
                rocksdb::IODebugContext*) override {
    const size_t got = copy(at_, size, scratch);
    at_ += got;
    *result = rocksdb::Slice(scratch, got);
    return IOStatus::OK();
  }
  IOStatus Skip(uint64_t size) override {
    at_ = std::min<size_t>(content_.size(), at_ + size);
    return IOStatus::OK();
  }
  IOStatus Read(uint64_t offset, size_t size, const rocksdb::IOOptions&, rocksdb::Slice* result,
                char* scratch, rocksdb::IODebugContext*) const override {
    *result = rocksdb::Slice(scratch, copy(offset, size, scratch));
    return IOStatus::OK();
  }
  bool use_direct_io() const override { return false; }
  size_t GetRequiredBufferAlignment() const override { return rocksdb::kDefaultPageSize; }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }
  rocksdb::Temperature GetTemperature() const override { return rocksdb::Temperature::kUnknown; }

 private:
  size_t copy(uint64_t offset, size_t size, char* to) const {
    if (offset >= content_.size()) return 0;
    const size_t got = std::min<size_t>(size, content_.size() - offset);
    std::memcpy(to, content_.data() + offset, got);
    return got;
  }
  const std::string content_;
  size_t at_ = 0;
};

}  // namespace

class FaultyFileSystem::WritableFile : public rocksdb::FSWritableFile {
 public:
  WritableFile(FaultyFileSystem& owner, std::shared_ptr<Unsynced> file,
               std::unique_ptr<rocksdb::FSWritableFile> real)
      : owner_(owner), file_(std::move(file)), real_(std::move(real)) {}

  using FSWritableFile::Append;
  IOStatus Append(const rocksdb::Slice& data, const Options&, Context*) override {
    const std::lock_guard lock(owner_.mutex_);
    return owner_.append(*file_, data.ToStringView());
  }
  IOStatus Append(const rocksdb::Slice& data, const Options& options, const rocksdb::DataVerificationInfo&,
                  Context* context) override {
    return Append(data, options, context);
  }
  IOStatus Sync(const Options&, Context*) override {
    std::unique_lock lock(owner_.mutex_);
    owner_.wait_while_hanging(lock);
    return owner_.sync(*file_, *real_);
  }
  IOStatus Truncate(uint64_t, const Options&, Context*) override { return IOStatus::OK(); }
  IOStatus Flush(const Options&, Context*) override { return IOStatus::OK(); }
  IOStatus RangeSync(uint64_t, uint64_t, const Options&, Context*) override { return IOStatus::OK(); }
  IOStatus Close(const Options& options, Context* context) override { return real_->Close(options, context); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const Options&, Context*) override {
    const std::lock_guard lock(owner_.mutex_);
    return file_->written + file_->bytes.size();
  }

 private:
  FaultyFileSystem& owner_;
  std::shared_ptr<Unsynced> file_;  // readers find it by its name
  std::unique_ptr<rocksdb::FSWritableFile> real_;
};

class FaultyFileSystem::Folder : public rocksdb::FSDirectory {
 public:
  Folder(FaultyFileSystem& owner, std::string path) : owner_(owner), path_(std::move(path)) {}
  IOStatus Fsync(const Options&, Context*) override {
    const std::lock_guard lock(owner_.mutex_);
    return owner_.sync_folder(path_);
  }
  IOStatus Close(const Options&, Context*) override { return IOStatus::OK(); }

 private:
  FaultyFileSystem& owner_;
  const std::string path_;
};

FaultyFileSystem::FaultyFileSystem(const std::string& root)
    : FileSystemWrapper(rocksdb::FileSystem::Default()) {
  std::error_code error;
  std::vector<std::filesystem::path> leftovers;
  for (std::filesystem::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().filename().string().find(kUnsynced) != std::string::npos) leftovers.push_back(at->path());
  }
  for (const auto& leftover : leftovers) std::filesystem::remove(leftover, error);
}

// --- steering ---

void FaultyFileSystem::set_free_space(std::optional<uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  free_space_ = bytes;
}
void FaultyFileSystem::set_full_while_exists(std::string path) {
  const std::lock_guard lock(mutex_);
  full_while_exists_ = std::move(path);
}
void FaultyFileSystem::set_hangs_while_exists(std::string path) {
  const std::lock_guard lock(mutex_);
  hangs_while_exists_ = std::move(path);
}
void FaultyFileSystem::fail_appends(bool fail) {
  const std::lock_guard lock(mutex_);
  appends_fail_ = fail;
}
void FaultyFileSystem::fail_syncs(bool fail) {
  const std::lock_guard lock(mutex_);
  syncs_fail_ = fail;
}
void FaultyFileSystem::fail_folder_syncs(bool fail) {
  const std::lock_guard lock(mutex_);
  folder_syncs_fail_ = fail;
}
uint64_t FaultyFileSystem::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

void FaultyFileSystem::power_cut(const std::function<size_t(const std::string&, size_t)>& keep) {
  const std::lock_guard lock(mutex_);
  dead_ = true;
  for (const auto& [path, file] : unsynced_) {
    if (!keep || file->bytes.empty() || file->doomed > 0 || !std::filesystem::exists(file->real)) continue;
    const size_t kept = std::min(keep(path, file->bytes.size()), file->bytes.size());
    if (std::FILE* out = std::fopen(file->real.c_str(), "ab")) {
      std::fwrite(file->bytes.data(), 1, kept, out);
      std::fclose(out);
    }
  }
  unsynced_.clear();
  names_.clear();
}

// --- what waits ---

IOStatus FaultyFileSystem::check() const {
  return dead_ ? IOStatus::IOError("the power is cut") : IOStatus::OK();
}

IOStatus FaultyFileSystem::append(Unsynced& file, std::string_view bytes) {
  if (IOStatus status = check(); !status.ok()) return status;
  if (appends_fail_) return IOStatus::IOError(file.real, "injected error of a write");
  const bool full = !full_while_exists_.empty() && ::access(full_while_exists_.c_str(), F_OK) == 0;
  const uint64_t room = full ? 0 : free_space_.value_or(bytes.size());
  const size_t fits = std::min<uint64_t>(room, bytes.size());
  file.bytes.append(bytes.substr(0, fits));
  if (free_space_) *free_space_ -= std::min<uint64_t>(fits, *free_space_);
  if (fits < bytes.size()) return IOStatus::NoSpace(file.real, "injected: No space left on device");
  return IOStatus::OK();
}

void FaultyFileSystem::wait_while_hanging(std::unique_lock<std::mutex>& lock) const {
  std::error_code error;
  while (!hangs_while_exists_.empty() && std::filesystem::exists(hangs_while_exists_, error)) {
    lock.unlock();  // meanwhile others read and write
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.lock();
  }
}

IOStatus FaultyFileSystem::sync(Unsynced& file, rocksdb::FSWritableFile& real) {
  if (IOStatus status = check(); !status.ok()) return status;
  ++syncs_;
  if (syncs_fail_) {
    file.doomed = file.bytes.size();
    return IOStatus::IOError(file.real, "injected error of a sync");
  }
  if (file.bytes.empty()) return IOStatus::OK();
  std::fill_n(file.bytes.begin(), file.doomed, '\0');  // the disk never got these
  IOStatus status = real.Append(file.bytes, Options(), nullptr);
  if (status.ok()) status = real.Flush(Options(), nullptr);
  if (!status.ok()) return status;
  file.written += file.bytes.size();
  file.bytes.clear();
  file.doomed = 0;
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::sync_folder(const std::string& folder) {
  if (IOStatus status = check(); !status.ok()) return status;
  if (folder_syncs_fail_) return IOStatus::IOError(folder, "injected error of a sync");
  std::vector<std::pair<std::string, std::string>> moves;  // real, name
  std::vector<std::string> gone;
  for (const auto& [name, real] : names_) {
    if (folder_of(name) != folder) continue;
    if (real) {
      moves.emplace_back(*real, name);
    } else {
      gone.push_back(name);
    }
  }
  // First what moves away from a name that another may take.
  std::stable_partition(moves.begin(), moves.end(),
                        [](const auto& move) { return move.first.find(kUnsynced) == std::string::npos; });
  std::set<std::string> taken;
  for (const auto& [real, name] : moves) {
    const IOStatus moved = target()->RenameFile(real, name, Options(), nullptr);
    if (!moved.ok()) return moved;
    if (const auto file = unsynced_.find(name); file != unsynced_.end()) file->second->real = name;
    taken.insert(name);
    names_.erase(name);
  }
  for (const std::string& name : gone) {
    target()->DeleteFile(name, Options(), nullptr).PermitUncheckedError();
    names_.erase(name);
  }
  return IOStatus::OK();
}

std::optional<std::string> FaultyFileSystem::real_name(const std::string& path) const {
  const auto entry = names_.find(path);
  if (entry != names_.end()) return entry->second;
  return path;
}

bool FaultyFileSystem::exists(const std::string& path) const {
  const auto real = real_name(path);
  return real && target()->FileExists(*real, Options(), nullptr).ok();
}

std::string FaultyFileSystem::fresh_name(const std::string& path) {
  return path + std::string(kUnsynced) + std::to_string(++next_number_);
}

// The name goes; the durable file of that name, if there is one, stays on the disk until the folder is
// synced.
void FaultyFileSystem::forget(const std::string& path) {
  unsynced_.erase(path);
  const auto entry = names_.find(path);
  if (entry != names_.end() && entry->second && entry->second->find(kUnsynced) != std::string::npos) {
    target()->DeleteFile(*entry->second, Options(), nullptr).PermitUncheckedError();
  }
  if (target()->FileExists(path, Options(), nullptr).ok()) {
    names_[path] = std::nullopt;
  } else {
    names_.erase(path);
  }
}

// Of a file of which something waits; nothing if all of it is on the disk.
std::optional<std::string> FaultyFileSystem::whole_content(const std::string& path, IOStatus* status) const {
  const auto file = unsynced_.find(path);
  if (file == unsynced_.end() || file->second->bytes.empty()) return std::nullopt;
  std::unique_ptr<rocksdb::FSSequentialFile> real;
  *status = target()->NewSequentialFile(file->second->real, rocksdb::FileOptions(), &real, nullptr);
  std::string content(file->second->written, '\0');
  size_t at = 0;
  while (status->ok() && at < content.size()) {
    rocksdb::Slice got;
    *status = real->Read(content.size() - at, Options(), &got, content.data() + at, nullptr);
    if (got.empty()) break;
    if (got.data() != content.data() + at) std::memcpy(content.data() + at, got.data(), got.size());
    at += got.size();
  }
  content += file->second->bytes;
  return content;
}

// --- rocksdb::FileSystem ---

IOStatus FaultyFileSystem::NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                             Context* context) {
  const std::lock_guard lock(mutex_);
  const std::string path = normal(name);
  IOStatus status = check();
  if (!status.ok()) return status;
  const auto real = real_name(path);
  if (!real) return no_such_file(path);
  if (auto content = whole_content(path, &status)) {
    if (status.ok()) result->reset(new Snapshot(std::move(*content)));
    return status;
  }
  return target()->NewSequentialFile(*real, options, result, context);
}

IOStatus FaultyFileSystem::NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                               Context* context) {
  const std::lock_guard lock(mutex_);
  const std::string path = normal(name);
  IOStatus status = check();
  if (!status.ok()) return status;
  const auto real = real_name(path);
  if (!real) return no_such_file(path);
  if (auto content = whole_content(path, &status)) {
    if (status.ok()) result->reset(new Snapshot(std::move(*content)));
    return status;
  }
  return target()->NewRandomAccessFile(*real, options, result, context);
}

IOStatus FaultyFileSystem::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                                           Context* context) {
  const std::lock_guard lock(mutex_);
  const std::string path = normal(name);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string real = fresh_name(path);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = target()->NewWritableFile(real, options, &file, context);
  if (!status.ok()) return status;
  forget(path);
  names_[path] = real;
  auto waiting = std::make_shared<Unsynced>();
  waiting->real = real;
  unsynced_[path] = waiting;
  result->reset(new WritableFile(*this, std::move(waiting), std::move(file)));
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                              std::unique_ptr<rocksdb::FSWritableFile>*, Context*) {
  return IOStatus::NotSupported(path);
}
IOStatus FaultyFileSystem::ReuseWritableFile(const std::string& path, const std::string&,
                                             const rocksdb::FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>*, Context*) {
  return IOStatus::NotSupported(path);
}
IOStatus FaultyFileSystem::NewRandomRWFile(const std::string& path, const rocksdb::FileOptions&,
                                           std::unique_ptr<rocksdb::FSRandomRWFile>*, Context*) {
  return IOStatus::NotSupported(path);
}

IOStatus FaultyFileSystem::NewDirectory(const std::string& name, const Options& options,
                                        std::unique_ptr<rocksdb::FSDirectory>* result, Context* context) {
  const std::string path = normal(name);
  {
    const std::lock_guard lock(mutex_);
    if (IOStatus status = check(); !status.ok()) return status;
  }
  std::unique_ptr<rocksdb::FSDirectory> real;  // only to see whether it is a folder
  IOStatus status = target()->NewDirectory(path, options, &real, context);
  if (status.ok()) result->reset(new Folder(*this, path));
  return status;
}

IOStatus FaultyFileSystem::FileExists(const std::string& name, const Options&, Context*) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  return exists(normal(name)) ? IOStatus::OK() : IOStatus::NotFound(name);
}

IOStatus FaultyFileSystem::GetChildren(const std::string& folder, const Options& options,
                                       std::vector<std::string>* result, Context* context) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  IOStatus status = target()->GetChildren(folder, options, result, context);
  if (!status.ok()) return status;
  const std::string path = normal(folder);
  std::set<std::string> names(result->begin(), result->end());
  std::erase_if(names, [](const std::string& name) { return name.find(kUnsynced) != std::string::npos; });
  for (const auto& [name, real] : names_) {
    if (folder_of(name) != path) continue;
    if (real) {
      names.insert(base_of(name));
    } else {
      names.erase(base_of(name));
    }
  }
  result->assign(names.begin(), names.end());
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::GetChildrenFileAttributes(const std::string& folder, const Options& options,
                                                     std::vector<rocksdb::Env::FileAttributes>* result,
                                                     Context* context) {
  std::vector<std::string> names;
  IOStatus status = GetChildren(folder, options, &names, context);
  result->clear();
  for (const std::string& name : names) {
    uint64_t size = 0;
    if (status.ok() && GetFileSize(folder + "/" + name, options, &size, context).ok()) {
      result->push_back({name, size});
    }
  }
  return status;
}

IOStatus FaultyFileSystem::DeleteFile(const std::string& name, const Options& /*options*/,
                                      Context* /*context*/) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string path = normal(name);
  if (!exists(path)) return no_such_file(path);
  forget(path);
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::Truncate(const std::string& name, size_t size, const Options& options,
                                    Context* context) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string path = normal(name);
  const auto real = real_name(path);
  if (!real) return no_such_file(path);
  const auto file = unsynced_.find(path);
  if (file != unsynced_.end() && size >= file->second->written) {
    file->second->bytes.resize(size - file->second->written);
    file->second->doomed = std::min(file->second->doomed, file->second->bytes.size());
    return IOStatus::OK();
  }
  if (file != unsynced_.end()) {
    file->second->bytes.clear();
    file->second->doomed = 0;
    file->second->written = size;
  }
  return target()->Truncate(*real, size, options, context);
}

IOStatus FaultyFileSystem::GetFileSize(const std::string& name, const Options& options, uint64_t* size,
                                       Context* context) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string path = normal(name);
  const auto real = real_name(path);
  if (!real) return no_such_file(path);
  IOStatus status = target()->GetFileSize(*real, options, size, context);
  if (const auto file = unsynced_.find(path); file != unsynced_.end()) *size += file->second->bytes.size();
  return status;
}

IOStatus FaultyFileSystem::GetFileModificationTime(const std::string& name, const Options& options,
                                                   uint64_t* time, Context* context) {
  const std::lock_guard lock(mutex_);
  const auto real = real_name(normal(name));
  if (!real) return no_such_file(name);
  return target()->GetFileModificationTime(*real, options, time, context);
}

IOStatus FaultyFileSystem::RenameFile(const std::string& source, const std::string& destination,
                                      const Options& options, Context* context) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string from = normal(source);
  const std::string to = normal(destination);
  bool is_folder = false;
  if (target()->IsDirectory(from, options, &is_folder, context).ok() && is_folder) {
    // Of a folder everything is made safe first; a backup is what moves one.
    std::set<std::string> folders{from};
    for (const auto& [name, real] : names_) {
      if (name.starts_with(from + "/")) folders.insert(folder_of(name));
    }
    for (const std::string& folder : folders) {
      if (IOStatus status = sync_folder(folder); !status.ok()) return status;
    }
    return target()->RenameFile(from, to, options, context);
  }
  if (!exists(from)) return no_such_file(from);
  const std::string real = *real_name(from);
  const auto moving = unsynced_.find(from);
  std::shared_ptr<Unsynced> file = moving == unsynced_.end() ? nullptr : moving->second;
  forget(to);
  names_.erase(from);  // so that forget() leaves the real file, which goes on under the new name
  unsynced_.erase(from);
  if (real == from) names_[from] = std::nullopt;
  names_[to] = real;
  if (file) unsynced_[to] = std::move(file);
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::LinkFile(const std::string& source, const std::string& destination,
                                    const Options& options, Context* context) {
  const std::lock_guard lock(mutex_);
  if (IOStatus status = check(); !status.ok()) return status;
  const std::string from = normal(source);
  const std::string to = normal(destination);
  const auto real = real_name(from);
  if (!real) return no_such_file(from);
  const std::string fresh = fresh_name(to);
  IOStatus status = target()->LinkFile(*real, fresh, options, context);
  if (!status.ok()) return status;
  forget(to);
  names_[to] = fresh;
  return status;
}

IOStatus FaultyFileSystem::NumFileLinks(const std::string& name, const Options& options, uint64_t* count,
                                        Context* context) {
  const std::lock_guard lock(mutex_);
  const auto real = real_name(normal(name));
  if (!real) return no_such_file(name);
  return target()->NumFileLinks(*real, options, count, context);
}

IOStatus FaultyFileSystem::AreFilesSame(const std::string& a, const std::string& b, const Options& options,
                                        bool* same, Context* context) {
  const std::lock_guard lock(mutex_);
  const auto first = real_name(normal(a));
  const auto second = real_name(normal(b));
  if (!first || !second) return no_such_file(first ? b : a);
  return target()->AreFilesSame(*first, *second, options, same, context);
}

IOStatus FaultyFileSystem::GetFreeSpace(const std::string& path, const Options& options, uint64_t* bytes,
                                        Context* context) {
  const std::lock_guard lock(mutex_);
  if (!full_while_exists_.empty() && ::access(full_while_exists_.c_str(), F_OK) == 0) {
    *bytes = 0;
    return IOStatus::OK();
  }
  if (free_space_) {
    *bytes = *free_space_;
    return IOStatus::OK();
  }
  return target()->GetFreeSpace(path, options, bytes, context);
}

std::shared_ptr<rocksdb::FileSystem> faulty_file_system_from_environment(const std::string& data_dir) {
  const char* kind = std::getenv("COURIER_FAULTY_DISK");
  if (kind == nullptr || std::string_view(kind) != "discard_unsynced") return nullptr;
  auto file_system = std::make_shared<FaultyFileSystem>(data_dir);
  if (const char* file = std::getenv("COURIER_DISK_FULL_FILE")) file_system->set_full_while_exists(file);
  if (const char* file = std::getenv("COURIER_DISK_HANGS_FILE")) file_system->set_hangs_while_exists(file);
  return file_system;
}

}  // namespace courier::store
