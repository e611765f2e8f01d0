#include "store/rocksdb/rocks_state.h"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <map>
#include <utility>

#include "base/check.h"
#include "store/rocksdb/backup.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/message_count.h"
#include "store/rocksdb/reading.h"

namespace courier::store {

using schema::Column;

Result<void> RocksState::write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor,
                               WallMs clock) {
  CHECK(position >= this->position());
  rocksdb::WriteBatch batch;
  {
    const Result<std::shared_ptr<OpenDatabase>> open = database_.try_use();
    if (!open) return fail(open.error());
    const auto column = [&](Table table) { return (*open)->column(schema::column_of(table)); };
    // A range erase is a mark that reads must mind; where there is nothing to erase it is left out.
    for (const StateBatch& part : parts) {
      for (const StateBatch::EraseRange& range : part.range_erases) {
        CHECK(range.from <= range.to);
        if (range.from < range.to) batch.DeleteRange(column(range.table), range.from, range.to);
      }
    }
    for (const StateBatch& part : parts) {
      for (const StateBatch::Erase& erase : part.erases) batch.Delete(column(erase.table), erase.key);
    }
    // A message that thousands of inboxes name is written once.
    std::map<Position, std::pair<int64_t, const mqtt::Message*>> messages;
    for (const StateBatch& part : parts) {
      for (const StateBatch::Put& put : part.puts) batch.Put(column(put.table), put.key, put.value);
      for (const StateBatch::MessageReferences& references : part.messages) {
        auto& [delta, message] = messages[references.position];
        delta += references.delta;
        if (references.message) message = references.message.get();
      }
    }
    for (const auto& [message, sum] : messages) {
      if (sum.first == 0) continue;
      batch.Merge((*open)->column(Column::messages), schema::big_endian(message.value),
                  encode_message_count(sum.first, sum.first > 0 ? sum.second : nullptr));
    }
    rocksdb::ColumnFamilyHandle* meta = (*open)->column(Column::meta);
    batch.Put(meta, schema::kPositionKey, schema::big_endian(position.value));
    batch.Put(meta, schema::kClockKey,
              schema::big_endian(static_cast<uint64_t>(std::max(this->clock(), clock))));
    if (cursor != 0) batch.Put(meta, schema::kCursorKey, schema::big_endian(cursor));
  }
  const rocksdb::Status status = database_.write(batch);
  // RocksDB tells the log's thread of the error too, which then opens the database again.
  if (!status.ok()) return fail(error_of(status, "the checkpoint cannot be written"));
  position_.store(position.value, std::memory_order_release);
  if (cursor != 0) {
    cursor_.store(cursor, std::memory_order_release);
    clock_.store(std::max(this->clock(), clock), std::memory_order_release);
  }
  log_.trim(position);
  return {};
}

Result<void> RocksState::scan(Table table, std::string_view from, std::string_view to,
                              const std::function<bool(std::string_view, std::string_view)>& row) const {
  const Result<std::shared_ptr<OpenDatabase>> open = database_.try_use();
  if (!open) return fail(open.error());
  return scan_rows(**open, table, from, to, row);
}

Result<std::vector<mqtt::MessagePtr>> RocksState::load_messages(
    const std::vector<Position>& positions) const {
  const Result<std::shared_ptr<OpenDatabase>> open = database_.try_use();
  if (!open) return fail(open.error());
  return load_shared_messages(**open, positions);
}

Result<void> RocksState::backup(const std::string& path) {
  const Result<std::shared_ptr<OpenDatabase>> open = database_.try_use();
  if (!open) return fail(open.error());
  return write_backup(**open, directory_.file_system(), path);
}

}  // namespace courier::store
