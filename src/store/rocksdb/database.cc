#include "store/rocksdb/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "base/sabotage.h"
#include "store/errc.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/journal.h"
#include "store/rocksdb/message_count.h"

namespace courier::store {
namespace {

using schema::Column;

// A restart replays at most this much of RocksDB's journal.
constexpr uint64_t kJournalBytesMax = 64 << 20;
constexpr uint64_t kManifestBytesMax = 16 << 20;
constexpr uint64_t kLogMemtableBytes = 32 << 20;
constexpr uint64_t kTableMemtableBytes = 16 << 20;
constexpr uint64_t kProbeBytesMin = 1 << 20;
constexpr char kProbeFile[] = "PROBE.new";

rocksdb::ColumnFamilyOptions column_options(Column column, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  table.block_size = 16 * 1024;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10, 1));
  // Indexes and filters live in the bounded cache too: memory must not grow with what sleeps on disk.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.optimize_filters_for_memory = true;

  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kTableMemtableBytes;
  options.max_write_buffer_number = 6;
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = 64 << 20;
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  // A stall of one column family stalls them all, and with them every acknowledgement. Reads may get slower
  // instead.
  options.level0_file_num_compaction_trigger = 4;
  options.level0_slowdown_writes_trigger = 200;
  options.level0_stop_writes_trigger = 400;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  switch (column) {
    case Column::log:
      // Lives for seconds. What was trimmed before a flush never reaches a table file.
      options.write_buffer_size = kLogMemtableBytes;
      options.compression = rocksdb::kNoCompression;
      options.bottommost_compression = rocksdb::kNoCompression;
      table.filter_policy.reset();
      break;
    case Column::session:
    case Column::subscription:
    case Column::inbox:
    case Column::group:
    case Column::group_inbox:
      // Keys begin with an id of eight bytes; the rows of one id are looked for, mostly.
      options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(sizeof(uint64_t)));
      break;
    case Column::messages:
      options.merge_operator = make_message_count_merger();
      options.compaction_filter = &message_count_filter();
      break;
    case Column::meta:
    case Column::retained:
    case Column::event:
      break;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors(const std::shared_ptr<rocksdb::Cache>& cache,
                                                         uint32_t format = schema::kFormat) {
  std::vector<rocksdb::ColumnFamilyDescriptor> list;
  for (size_t i = 0; i < schema::kColumns.size(); ++i) {
    if (!schema::is_in(static_cast<Column>(i), format)) continue;
    list.emplace_back(schema::kColumns[i], column_options(static_cast<Column>(i), cache));
  }
  return list;
}

// RocksDB's words about itself, in Courier's log. Its own file beside the data is worse than none: on a disk
// that took no write for a while the next line of it ends the process (WritableFileWriter::Append asserts),
// and a reader must not write at all.
class Diary : public rocksdb::Logger {
 public:
  Diary() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void LogHeader(const char*, va_list) override {}  // all its settings, at each opening
  void Logv(const char* format, va_list arguments) override {
    char text[log::kValueBytesMax];
    if (std::vsnprintf(text, sizeof text, format, arguments) >= 0)
      log::debug("RocksDB says", {{"text", text}});
  }
};

rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.info_log = std::make_shared<Diary>();
  options.db_host_id =
      "courier";  // table files and backups travel; whose machine made them is nobody's business
  options.paranoid_checks = true;
  // Which end of a journal is torn and which is damaged was settled before; RocksDB then takes all up to
  // there.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;
  options.max_total_wal_size = kJournalBytesMax;
  options.max_manifest_file_size = kManifestBytesMax;  // a start reads all of it
  // Opening must not depend on how much there is: no statistics, and files are opened when somebody reads
  // them.
  options.skip_stats_update_on_db_open = true;
  options.max_open_files = 1024;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;  // so that a finished table file is not written back all at once
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_bgerror_resume_count = 0;  // recover() decides
  return options;
}

Result<std::shared_ptr<OpenDatabase>> refused(const rocksdb::Status& status, const std::string& path) {
  Error error = error_of(status, "cannot open the database " + path);
  if (status.IsNoSpace() || (status.IsIOError() && !status.IsPathNotFound())) return fail(std::move(error));
  error.code = make_error_code(errc::damaged);
  error.message +=
      "; nothing was changed. Restore the latest backup (courier restore), or copy the folder away "
      "before trying to repair it";
  return fail(std::move(error));
}

}  // namespace

// --- OpenDatabase ---

OpenDatabase::OpenDatabase(std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> columns,
                           std::function<void(uint64_t)> closed)
    : db_(std::move(db)), columns_(std::move(columns)), closed_(std::move(closed)) {}

OpenDatabase::~OpenDatabase() {
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  for (rocksdb::ColumnFamilyHandle* column : columns_) {
    if (column) db_->DestroyColumnFamilyHandle(column).PermitUncheckedError();
  }
  db_->Close().PermitUncheckedError();
  db_.reset();
  if (closed_) closed_(sequence);
}

Result<std::optional<std::string>> OpenDatabase::meta(const char* key) const {
  std::string value;
  const rocksdb::Status status = db_->Get({}, column(Column::meta), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return fail(error_of(status, std::string("cannot read \"") + key + "\""));
  return value;
}

Result<uint64_t> OpenDatabase::meta_number(const char* key, uint64_t missing) const {
  const Result<std::optional<std::string>> value = meta(key);
  if (!value) return fail(value.error());
  if (!*value) return missing;
  const auto number = schema::number_of(**value);
  if (!number) return fail(errc::damaged, std::string("the row \"") + key + "\" of the store is no number");
  return *number;
}

uint64_t OpenDatabase::property(const char* name) const {
  uint64_t sum = 0;
  for (rocksdb::ColumnFamilyHandle* column : columns_) {
    if (!column) continue;
    uint64_t value = 0;
    if (db_->GetIntProperty(column, name, &value)) sum += value;
  }
  return sum;
}

// --- Database ---

// What RocksDB's own threads tell.
class Database::Listener : public rocksdb::EventListener {
 public:
  // A journal was begun; the next write that succeeds is safe in it.
  void OnMemTableSealed(const rocksdb::MemTableInfo&) override { new_journal_ = true; }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    const std::lock_guard lock(mutex_);
    if (task_) task_(status->ToString());
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }

  bool take_new_journal() { return new_journal_.exchange(false); }
  void set_new_journal() { new_journal_ = true; }
  void set_task(std::function<void(std::string)> task) {
    const std::lock_guard lock(mutex_);
    task_ = std::move(task);
  }

 private:
  std::atomic<bool> new_journal_{true};
  std::mutex mutex_;
  std::function<void(std::string)> task_;  // guarded by mutex_
};

Database::Database(DataDirectory& directory, Options options)
    : directory_(directory),
      options_(std::move(options)),
      cache_(rocksdb::NewLRUCache(options_.cache_bytes)),
      env_(rocksdb::NewCompositeEnv(options_.file_system)),
      listener_(std::make_shared<Listener>()) {}

Database::~Database() {
  close_database();
}

Result<std::unique_ptr<Database>> Database::open(DataDirectory& directory, Options options) {
  std::unique_ptr<Database> database(new Database(directory, std::move(options)));
  if (!directory.is_new()) {
    Result<std::vector<std::string>> notices = directory.check_journals();
    if (!notices) return fail(notices.error());
    database->notices_ = std::move(*notices);
    // From here on files grow and go: what a clean stop noted is no longer true.
    if (Result<void> noted = directory.note_running(); !noted) return fail(noted.error());
  }
  if (Result<void> opened = database->open_database(); !opened) return fail(opened.error());
  if (Result<void> begun = database->begin_or_check(); !begun) return fail(begun.error());
  return database;
}

Result<void> Database::open_database() {
  rocksdb::DBOptions options = database_options(env_.get());
  options.create_if_missing = directory_.is_new();
  // An older store lacks what came with later formats.
  options.create_missing_column_families = directory_.format() < schema::kFormat;
  options.listeners = {listener_};
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> columns;
  const std::string path = directory_.database_path();
  const rocksdb::Status status = rocksdb::DB::Open(options, path, descriptors(cache_), &columns, &db);
  if (!status.ok()) return fail(refused(status, path).error());
  auto opened = std::make_shared<OpenDatabase>(std::unique_ptr<rocksdb::DB>(db), std::move(columns),
                                               [this](uint64_t sequence) {
                                                 safe_sequence_ = sequence;
                                                 closed_.release();
                                               });
  listener_->set_new_journal();
  const std::lock_guard lock(mutex_);
  current_ = std::move(opened);
  return {};
}

Result<void> Database::begin_or_check() {
  const std::shared_ptr<OpenDatabase> open = use();
  if (directory_.is_new()) {
    rocksdb::WriteBatch batch;
    batch.Put(open->column(Column::meta), schema::kFormatKey, std::to_string(schema::kFormat));
    const rocksdb::Status written = write(batch);
    if (!written.ok()) return fail(error_of(written, "cannot begin a store in " + directory_.path()));
    return directory_.mark_ready();
  }
  const Result<std::optional<std::string>> format = open->meta(schema::kFormatKey);
  if (!format) return fail(format.error());
  const unsigned long number = *format ? std::strtoul((*format)->c_str(), nullptr, 10) : 0;
  if (number == 0) {
    return fail(errc::damaged,
                "the database " + directory_.database_path() +
                    " does not say which format it has: it is not what Courier wrote. Restore the "
                    "latest backup (courier restore)");
  }
  if (number > schema::kFormat) {
    return fail(errc::newer_format, "the database " + directory_.database_path() + " has format " +
                                        std::to_string(number) + "; this Courier reads up to format " +
                                        std::to_string(schema::kFormat) + ". Start the newer one");
  }
  if (number == schema::kFormat && directory_.format() == schema::kFormat) return {};
  // The database first: whoever finds FORMAT to be older looks at it, and comes here again.
  rocksdb::WriteBatch batch;
  batch.Put(open->column(Column::meta), schema::kFormatKey, std::to_string(schema::kFormat));
  const rocksdb::Status written = write(batch);
  if (!written.ok())
    return fail(error_of(written, "cannot bring the store in " + directory_.path() + " up to date"));
  notices_.push_back("the store was of format " + std::to_string(directory_.format()) + "; it is of format " +
                     std::to_string(schema::kFormat) + " now, which older Couriers do not read");
  return directory_.mark_ready();
}

Result<std::shared_ptr<OpenDatabase>> Database::open_read_only(
    const DataDirectory& directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  // Kept as long as the database is: RocksDB wants its Env to outlive it.
  std::shared_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(std::move(file_system));
  rocksdb::DBOptions options = database_options(env.get());
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> columns;
  const std::string path = directory.database_path();
  const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(
      options, path, descriptors(rocksdb::NewLRUCache(32 << 20), directory.format()), &columns, &db);
  if (!status.ok()) return refused(status, path);
  for (size_t i = 0; i < schema::kColumns.size(); ++i) {
    if (!schema::is_in(static_cast<Column>(i), directory.format()))
      columns.insert(columns.begin() + static_cast<ptrdiff_t>(i), nullptr);
  }
  return std::make_shared<OpenDatabase>(std::unique_ptr<rocksdb::DB>(db), std::move(columns),
                                        [env](uint64_t) {});
}

std::shared_ptr<OpenDatabase> Database::use() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<std::shared_ptr<OpenDatabase>> Database::try_use() const {
  std::shared_ptr<OpenDatabase> open = use();
  if (!open) {
    return fail(errc::unavailable, "the database " + directory_.database_path() +
                                       " is being opened again after an error; try again in a moment");
  }
  return open;
}

rocksdb::Status Database::write(rocksdb::WriteBatch& batch) {
  const std::shared_ptr<OpenDatabase> open = use();
  if (!open) return rocksdb::Status::Aborted("the database is being opened again after an error");
  rocksdb::WriteOptions options;
  options.sync = !sabotaged(Sabotage::skip_sync);
  const rocksdb::Status status = open->db().Write(options, &batch);
  if (status.ok() && listener_->take_new_journal()) note_newest_journal();
  return status;
}

void Database::note_newest_journal() {
  const std::lock_guard lock(note_mutex_);
  // Not being able to note it takes away a check, not a promise; the next write tries again.
  if (!directory_.note_running()) listener_->set_new_journal();
}

void Database::on_background_error(std::function<void(std::string)> task) {
  listener_->set_task(std::move(task));
}

Result<void> Database::probe(uint64_t bytes_needed) const {
  rocksdb::FileSystem& files = *options_.file_system;
  const rocksdb::IOOptions io;
  uint64_t needed = bytes_needed + kProbeBytesMin;
  const Result<std::vector<std::string>> logs = directory_.write_ahead_logs();
  if (!logs) return fail(logs.error());
  for (const std::string& name : *logs) {
    uint64_t size = 0;  // opening again writes what they hold into table files
    if (files.GetFileSize(directory_.database_path() + "/" + name, io, &size, nullptr).ok()) needed += size;
  }
  uint64_t free = 0;
  if (files.GetFreeSpace(directory_.path(), io, &free, nullptr).ok() && free < needed) {
    return fail(errc::disk_full, "the disk of " + directory_.path() + " has " + std::to_string(free >> 10) +
                                     " KiB left and " + std::to_string(needed >> 10) +
                                     " KiB are needed; free some space, Courier goes on by itself");
  }
  const std::string path = directory_.path() + "/" + kProbeFile;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status = files.NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Append(std::string(kProbeBytesMin, '\0'), io, nullptr);
  if (status.ok()) status = file->Sync(io, nullptr);
  if (file) {
    const rocksdb::IOStatus closed = file->Close(io, nullptr);
    if (status.ok()) status = closed;
    files.DeleteFile(path, io, nullptr).PermitUncheckedError();
  }
  if (!status.ok()) return fail(error_of(status, "the disk of " + directory_.path() + " takes no writes"));
  return {};
}

Result<void> Database::cut_off_after(uint64_t sequence) const {
  const Result<std::vector<std::string>> logs = directory_.write_ahead_logs();
  if (!logs) return fail(logs.error());
  for (const std::string& name : *logs) {
    const std::string path = directory_.database_path() + "/" + name;
    const Result<std::string> bytes = read_file(*options_.file_system, path);
    if (!bytes) return fail(bytes.error());
    const Result<std::optional<uint64_t>> from = first_entry_after(*bytes, path, sequence);
    if (!from) return fail(from.error());
    if (!*from) continue;
    if (Result<void> cut = cut_file(*options_.file_system, path, **from); !cut) {
      return fail(cut.error().within("the failed write at the end of the journal stays"));
    }
  }
  return {};
}

void Database::close_database() {
  std::shared_ptr<OpenDatabase> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::move(current_);
  }
  if (!last) return;
  last.reset();
  closed_.acquire();  // others may still be reading
}

Result<void> Database::recover(uint64_t bytes_needed) {
  if (Result<void> room = probe(bytes_needed); !room) return room;
  close_database();
  if (Result<void> cut = cut_off_after(safe_sequence_); !cut) return cut;
  return open_database();
}

Result<void> Database::close() {
  {
    const std::shared_ptr<OpenDatabase> open = use();
    if (!open) return {};
    std::vector<rocksdb::ColumnFamilyHandle*> columns;
    for (size_t i = 0; i < schema::kColumns.size(); ++i)
      columns.push_back(open->column(static_cast<Column>(i)));
    // So that the next start replays nothing.
    const rocksdb::Status flushed = open->db().Flush(rocksdb::FlushOptions(), columns);
    if (!flushed.ok()) return fail(error_of(flushed, "cannot flush " + directory_.database_path()));
  }
  close_database();
  return directory_.note_clean_stop();
}

}  // namespace courier::store
