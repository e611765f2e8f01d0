#include "store/rocksdb/copies.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "store/errc.h"
#include "store/rocksdb/data_directory.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/schema.h"

namespace courier::store {
namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr const char* kOutgoing = "outgoing";
constexpr const char* kIncoming = "incoming";
// Files that are read whole.
constexpr uint64_t kSmallFileBytesMax = 1 << 20;
// What the node needs beside, to start with what came.
constexpr uint64_t kSpareBytes = 64 << 20;

bool digits(std::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool small_file(std::string_view name) {
  return name == schema::kFormatFile || name == schema::kNewestFile || name == "CURRENT" ||
         name == "IDENTITY";
}

bool of_a_store(std::string_view name) {
  if (small_file(name)) return true;
  for (const std::string_view front : {"MANIFEST-", "OPTIONS-"}) {
    if (name.starts_with(front)) return digits(name.substr(front.size()));
  }
  for (const std::string_view back : {".sst", ".log"}) {
    if (name.ends_with(back)) return digits(name.substr(0, name.size() - back.size()));
  }
  return false;
}

bool beside_database(std::string_view name) {
  return name == schema::kFormatFile || name == schema::kNewestFile;
}

std::string file_in(const std::string& copy, const std::string& name) {
  return copy + "/" + (beside_database(name) ? "" : std::string(schema::kDatabaseFolder) + "/") + name;
}

Result<void> move(rocksdb::FileSystem& files, const std::string& from, const std::string& to) {
  const IOStatus moved = files.RenameFile(from, to, IOOptions(), nullptr);
  if (!moved.ok()) return fail(error_of(moved, "cannot move " + from + " to " + to));
  return {};
}

}  // namespace

// --- Outgoing ---

OutgoingCopy::OutgoingCopy(std::string path)
    : file_system_(rocksdb::FileSystem::Default()), path_(std::move(path)) {}

OutgoingCopy::~OutgoingCopy() {
  file_.reset();
  remove_folder(*file_system_, path_);
}

Result<std::unique_ptr<OutgoingCopy>> OutgoingCopy::make(StateStore& state, const std::string& data_dir) {
  std::unique_ptr<OutgoingCopy> copy(new OutgoingCopy(data_dir + "/" + kOutgoing));
  remove_folder(*copy->file_system_, copy->path_);
  if (Result<void> made = state.backup(copy->path_); !made) return fail(made.error());
  {
    // As of when it is, only the copy itself can say: the store goes on.
    auto directory =
        DataDirectory::open(copy->file_system_, copy->path_, DataDirectory::Access::existing_only);
    if (!directory) return fail(directory.error());
    const auto open = Database::open_read_only(**directory, copy->file_system_);
    if (!open) return fail(open.error());
    const auto log_id = (*open)->meta(schema::kLogKey);
    if (!log_id) return fail(log_id.error());
    const auto position = (*open)->meta_number(schema::kPositionKey, 0);
    if (!position) return fail(position.error());
    const auto cursor = (*open)->meta_number(schema::kCursorKey, 0);
    if (!cursor) return fail(cursor.error());
    copy->log_id_ = log_id->value_or("");
    copy->position_ = Position(*position);
    copy->cursor_ = *cursor;
  }
  Result<std::vector<std::string>> names =
      list(*copy->file_system_, copy->path_ + "/" + schema::kDatabaseFolder);
  if (!names) return fail(names.error());
  std::erase(*names, "LOCK");
  names->push_back(schema::kNewestFile);
  names->push_back(schema::kFormatFile);
  for (std::string& name : *names) {
    if (!of_a_store(name)) continue;
    uint64_t size = 0;
    const std::string path = file_in(copy->path_, name);
    const IOStatus got = copy->file_system_->GetFileSize(path, IOOptions(), &size, nullptr);
    if (!got.ok()) return fail(error_of(got, "cannot see the size of " + path));
    copy->files_.push_back({std::move(name), size});
  }
  return copy;
}

Result<void> OutgoingCopy::open(const CopiedFile& file) {
  const std::string path = file_in(path_, file.name);
  const IOStatus opened = file_system_->NewSequentialFile(path, FileOptions(), &file_, nullptr);
  if (!opened.ok()) return fail(error_of(opened, "cannot read " + path));
  return {};
}

Result<std::string_view> OutgoingCopy::read(size_t bytes_max) {
  buffer_.resize(bytes_max);
  rocksdb::Slice got;
  const IOStatus read = file_->Read(bytes_max, IOOptions(), &got, buffer_.data(), nullptr);
  if (!read.ok()) return fail(error_of(read, "cannot read " + path_));
  return std::string_view(got.data(), got.size());
}

// --- Incoming ---

IncomingCopy::IncomingCopy(std::string data_dir, std::shared_ptr<rocksdb::FileSystem> file_system)
    : data_dir_(std::move(data_dir)),
      path_(data_dir_ + "/" + kIncoming),
      file_system_(file_system ? std::move(file_system) : rocksdb::FileSystem::Default()) {}

IncomingCopy::~IncomingCopy() {
  file_.reset();
  if (!finished_) remove_folder(*file_system_, path_);
}

std::string IncomingCopy::path_of(const std::string& name) const {
  return file_in(path_, name);
}

Result<std::unique_ptr<IncomingCopy>> IncomingCopy::begin(const std::string& data_dir,
                                                          const std::vector<CopiedFile>& files,
                                                          std::shared_ptr<rocksdb::FileSystem> file_system) {
  uint64_t bytes = 0;
  for (const CopiedFile& file : files) {
    if (!of_a_store(file.name))
      return fail(errc::damaged, "a store has no file \"" + file.name + "\": it is not taken");
    if (small_file(file.name) && file.size > kSmallFileBytesMax)
      return fail(errc::damaged, "the file " + file.name + " of a store is not that long: it is not taken");
    if (__builtin_add_overflow(bytes, file.size, &bytes))
      return fail(errc::damaged, "no store is that large: it is not taken");
  }
  std::unique_ptr<IncomingCopy> copy(new IncomingCopy(data_dir, std::move(file_system)));
  rocksdb::FileSystem& fs = *copy->file_system_;
  remove_folder(fs, copy->path_);
  std::error_code error;
  const auto space = std::filesystem::space(data_dir, error);
  if (!error && (space.available < kSpareBytes || space.available - kSpareBytes < bytes)) {
    return fail(errc::disk_full, "another node's state has " + std::to_string(bytes) + " bytes, and " +
                                     data_dir + " has room for " + std::to_string(space.available) +
                                     ": it must have that much beside the store that is there; free some "
                                     "space, or remove the store");
  }
  for (const std::string& folder : {copy->path_, copy->path_ + "/" + schema::kDatabaseFolder}) {
    const IOStatus made = fs.CreateDir(folder, IOOptions(), nullptr);
    if (!made.ok()) return fail(error_of(made, "cannot create " + folder));
  }
  return copy;
}

Result<void> IncomingCopy::open(const CopiedFile& file) {
  open_ = path_of(file.name);
  const IOStatus opened = file_system_->NewWritableFile(open_, FileOptions(), &file_, nullptr);
  if (!opened.ok()) return fail(error_of(opened, "cannot write " + open_));
  return {};
}

Result<void> IncomingCopy::write(std::string_view bytes) {
  const IOStatus written = file_->Append(rocksdb::Slice(bytes.data(), bytes.size()), IOOptions(), nullptr);
  if (!written.ok()) return fail(error_of(written, "cannot write " + open_));
  return {};
}

Result<void> IncomingCopy::close() {
  IOStatus closed = file_->Sync(IOOptions(), nullptr);
  if (closed.ok()) closed = file_->Close(IOOptions(), nullptr);
  file_.reset();
  if (!closed.ok()) return fail(error_of(closed, "cannot write " + open_));
  return {};
}

Result<BackupFacts> IncomingCopy::finish(const std::string& log_id) {
  for (const std::string& folder : {path_ + "/" + schema::kDatabaseFolder, path_}) {
    if (Result<void> synced = sync_folder(*file_system_, folder); !synced) return fail(synced.error());
  }
  Result<BackupFacts> facts = verify_backup(path_);
  if (!facts) return facts;
  if (facts->log_id != log_id) {
    return fail(errc::another_log,
                "what came is the state of another log (" + facts->log_id + " instead of " + log_id + ")");
  }
  if (Result<void> moved = move(*file_system_, path_, data_dir_ + "/" + kReplacement); !moved)
    return fail(moved.error());
  finished_ = true;
  if (Result<void> synced = sync_folder(*file_system_, data_dir_); !synced) return fail(synced.error());
  return facts;
}

// --- The exchange ---

bool exchange_begun(rocksdb::FileSystem& file_system, const std::string& data_dir) {
  return exists(file_system, data_dir + "/" + kReplacement).value_or(false);
}

// FORMAT goes last: a replacement that has it still may have the rest, too.
Result<void> finish_exchange(rocksdb::FileSystem& file_system, const std::string& data_dir) {
  const std::string replacement = data_dir + "/" + kReplacement;
  const Result<bool> begun = exists(file_system, replacement);
  if (!begun) return fail(begun.error());
  if (!*begun) return {};
  for (const char* const name : {schema::kDatabaseFolder, schema::kNewestFile, schema::kFormatFile}) {
    const std::string from = replacement + "/" + name, to = data_dir + "/" + name;
    const Result<bool> waits = exists(file_system, from);
    if (!waits) return fail(waits.error());
    if (!*waits) continue;
    if (name == std::string_view(schema::kDatabaseFolder)) remove_folder(file_system, to);
    if (Result<void> moved = move(file_system, from, to); !moved) return moved;
    if (Result<void> synced = sync_folder(file_system, data_dir); !synced) return synced;
  }
  remove_folder(file_system, replacement);
  return sync_folder(file_system, data_dir);
}

void remove_copies(rocksdb::FileSystem& file_system, const std::string& data_dir) {
  for (const char* const name : {kIncoming, kOutgoing}) {
    for (const std::string& path : {data_dir + "/" + name, data_dir + "/" + name + ".partial"}) {
      if (exists(file_system, path).value_or(false)) remove_folder(file_system, path);
    }
  }
}

}  // namespace courier::store
