#include "store/rocksdb/rocks_store.h"

#include <rocksdb/file_system.h>

#include "store/rocksdb/database.h"
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
  const Result<LogEnd> end = find_log_end(*open);
  if (!end) return fail(end.error());
  const Result<std::vector<LogValue>> tail = list_log(*open, Position(*position));
  if (!tail) return fail(tail.error());
  store->log_ =
      std::make_unique<RocksLog>(*store->database_, *options.clock, *end, *tail, Position(*position));
  store->state_ =
      std::make_unique<RocksState>(*store->database_, *store->log_, *store->directory_, Position(*position));
  return store;
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
