#include "store/rocksdb/files.h"

#include <rocksdb/file_system.h>

#include <algorithm>

#include "store/errc.h"

namespace courier::store {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

Error error_of(const rocksdb::Status& status, std::string_view what) {
  std::string sentence = std::string(what) + ": " + status.ToString();
  // A missing table file is looked for under its old-fashioned name last, and RocksDB then speaks of that.
  for (size_t at = sentence.find(".ldb"); at != std::string::npos; at = sentence.find(".ldb")) {
    sentence.replace(at, 4, ".sst");
  }
  // "IO error: No such file or directory: While mkdir: /x/y: No such file or directory"
  constexpr std::string_view kTwice = "IO error: No such file or directory: ";
  if (const size_t at = sentence.find(kTwice); at != std::string::npos) {
    sentence.replace(at, kTwice.size(), "IO error: ");
  }
  if (status.IsCorruption()) return {make_error_code(errc::damaged), sentence};
  if (status.IsNoSpace()) {
    return {make_error_code(errc::disk_full), sentence + "; free some space, Courier goes on by itself"};
  }
  return {make_error_code(errc::io), sentence};
}

Result<bool> exists(rocksdb::FileSystem& file_system, const std::string& path) {
  const IOStatus status = file_system.FileExists(path, IOOptions(), nullptr);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  return fail(error_of(status, "cannot look for " + path));
}

Result<std::vector<std::string>> list(rocksdb::FileSystem& file_system, const std::string& folder) {
  std::vector<std::string> names;
  const IOStatus status = file_system.GetChildren(folder, IOOptions(), &names, nullptr);
  if (!status.ok()) return fail(error_of(status, "cannot list " + folder));
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> read_file(rocksdb::FileSystem& file_system, const std::string& path) {
  constexpr size_t kPiece = 1 << 20;
  const std::string what = "cannot read " + path;
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  IOStatus status = file_system.NewSequentialFile(path, FileOptions(), &file, nullptr);
  if (!status.ok()) return fail(error_of(status, what));
  std::string content;
  std::string piece(kPiece, '\0');
  while (true) {
    rocksdb::Slice got;
    status = file->Read(kPiece, IOOptions(), &got, piece.data(), nullptr);
    if (!status.ok()) return fail(error_of(status, what));
    if (got.empty()) return content;
    content.append(got.data(), got.size());
  }
}

namespace {

IOStatus write_file(rocksdb::FileSystem& file_system, const std::string& path, std::string_view content) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status = file_system.NewWritableFile(path, FileOptions(), &file, nullptr);
  if (status.ok()) {
    status = file->Append(rocksdb::Slice(content.data(), content.size()), IOOptions(), nullptr);
  }
  if (status.ok()) status = file->Sync(IOOptions(), nullptr);
  if (file) {
    const IOStatus closed = file->Close(IOOptions(), nullptr);
    if (status.ok()) status = closed;
  }
  return status;
}

}  // namespace

Result<void> replace_file(rocksdb::FileSystem& file_system, const std::string& folder, std::string_view name,
                          std::string_view content) {
  const std::string path = folder + "/" + std::string(name);
  const std::string fresh = path + ".new";
  IOStatus status = write_file(file_system, fresh, content);
  if (status.ok()) status = file_system.RenameFile(fresh, path, IOOptions(), nullptr);
  if (!status.ok()) return fail(error_of(status, "cannot write " + path));
  return sync_folder(file_system, folder);
}

Result<void> sync_folder(rocksdb::FileSystem& file_system, const std::string& folder) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  IOStatus status = file_system.NewDirectory(folder, IOOptions(), &directory, nullptr);
  if (status.ok()) status = directory->Fsync(IOOptions(), nullptr);
  if (!status.ok()) return fail(error_of(status, "cannot sync the folder " + folder));
  return {};
}

Result<void> cut_file(rocksdb::FileSystem& file_system, const std::string& path, uint64_t size) {
  const IOOptions io;
  IOStatus status = file_system.Truncate(path, size, io, nullptr);
  // RocksDB's own file system cuts open files only.
  if (status.IsNotSupported()) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    status = file_system.ReopenWritableFile(path, FileOptions(), &file, nullptr);
    if (status.ok()) status = file->Truncate(size, io, nullptr);
    if (status.ok()) status = file->Sync(io, nullptr);
    if (file) {
      const IOStatus closed = file->Close(io, nullptr);
      if (status.ok()) status = closed;
    }
  }
  if (!status.ok()) return fail(error_of(status, "cannot cut off the end of " + path));
  return {};
}

Result<void> copy_file(rocksdb::FileSystem& file_system, const std::string& from, const std::string& to) {
  const Result<std::string> content = read_file(file_system, from);
  if (!content) return fail(content.error());
  const IOStatus status = write_file(file_system, to, *content);
  if (!status.ok()) return fail(error_of(status, "cannot write " + to));
  return {};
}

void remove_folder(rocksdb::FileSystem& file_system, const std::string& path) {
  const Result<std::vector<std::string>> names = list(file_system, path);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string inner = path + "/" + name;
    bool is_folder = false;
    if (file_system.IsDirectory(inner, IOOptions(), &is_folder, nullptr).ok() && is_folder) {
      remove_folder(file_system, inner);
    } else {
      file_system.DeleteFile(inner, IOOptions(), nullptr).PermitUncheckedError();
    }
  }
  file_system.DeleteDir(path, IOOptions(), nullptr).PermitUncheckedError();
}

}  // namespace courier::store
