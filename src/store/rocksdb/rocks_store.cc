#include "store/rocksdb/rocks_store.h"

#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>

#include "base/check.h"
#include "store/errc.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/reading.h"
#include "store/rocksdb/rocks_log.h"
#include "store/rocksdb/rocks_state.h"

namespace courier::store {

RocksStore::RocksStore() = default;

Result<std::unique_ptr<RocksStore>> RocksStore::open(Options options) {
  std::shared_ptr<rocksdb::FileSystem> file_system =
      options.file_system ? options.file_system : rocksdb::FileSystem::Default();
  std::unique_ptr<RocksStore> store(new RocksStore);

  auto directory = DataDirectory::open(file_system, options.data_dir, DataDirectory::Access::create);
  if (!directory) return fail(directory.error());
  store->directory_ = std::move(*directory);
  auto database =
      Database::open(*store->directory_, {.file_system = file_system, .cache_bytes = options.cache_bytes});
  if (!database) return fail(database.error());
  store->database_ = std::move(*database);

  const std::shared_ptr<OpenDatabase> open = store->database_->use();
  const Result<uint64_t> position = open->meta_number(schema::kPositionKey, 0);
  if (!position) return fail(position.error());
  const Result<uint64_t> cursor = open->meta_number(schema::kCursorKey, 0);
  if (!cursor) return fail(cursor.error());
  const Result<LogEnd> end = find_log_end(*open);
  if (!end) return fail(end.error());
  const Result<std::vector<LogValue>> tail = list_log(*open, Position(*position));
  if (!tail) return fail(tail.error());
  if (Result<void> belongs = store->belong_to(options.log_id, options.data_dir, *end); !belongs) {
    return fail(belongs.error());
  }
  store->log_ =
      std::make_unique<RocksLog>(*store->database_, *options.clock, *end, *tail, Position(*position));
  store->state_ = std::make_unique<RocksState>(*store->database_, *store->log_, *store->directory_,
                                               Position(*position), *cursor);
  return store;
}

Result<void> RocksStore::belong_to(const std::string& log_id, const std::string& data_dir,
                                   const LogEnd& end) {
  const std::shared_ptr<OpenDatabase> open = database_->use();
  const Result<std::optional<std::string>> found = open->meta(schema::kLogKey);
  if (!found) return fail(found.error());
  const std::string there = found->value_or("");
  if (there == log_id) return {};
  if (there.empty() && end.next == Position(1)) {
    rocksdb::WriteBatch batch;
    batch.Put(open->column(schema::Column::meta), schema::kLogKey, log_id);
    const rocksdb::Status status = database_->write(batch);
    if (!status.ok()) return fail(error_of(status, "the store in " + data_dir + " cannot be written"));
    return {};
  }
  const auto whose = [](const std::string& id) {
    return id.empty() ? std::string("a node alone") : "the cluster whose log has the id " + id;
  };
  return fail(errc::another_log, data_dir + " holds the state of " + whose(there) + ", not of " +
                                     whose(log_id) +
                                     "; nothing was changed. Use another data directory, or configure the "
                                     "node as what it was");
}

Result<void> RocksStore::hand_over(const std::string& log_id, uint64_t cursor) {
  const Result<std::shared_ptr<OpenDatabase>> tried = database_->try_use();
  if (!tried) return fail(tried.error());
  const std::shared_ptr<OpenDatabase>& open = *tried;
  const Result<LogEnd> end = find_log_end(*open);
  if (!end) return fail(end.error());
  CHECK(end->next.value == state_->position().value + 1);
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* meta = open->column(schema::Column::meta);
  batch.Put(meta, schema::kLogKey, log_id);
  batch.Put(meta, schema::kCursorKey, schema::big_endian(cursor));
  batch.DeleteRange(open->column(schema::Column::log), schema::big_endian(0), schema::big_endian(UINT64_MAX));
  const rocksdb::Status status = database_->write(batch);
  if (!status.ok())
    return fail(error_of(status, "the store in " + directory_->path() + " cannot be written"));
  return {};
}

RocksStore::~RocksStore() {
  if (log_) log_->stop();
  // A failure is found, and told, by the next start.
  if (database_) (void)database_->close();
}

OrderedLog& RocksStore::log() {
  return *log_;
}
StateStore& RocksStore::state() {
  return *state_;
}
const std::vector<std::string>& RocksStore::notices() const {
  return database_->notices();
}

}  // namespace courier::store
