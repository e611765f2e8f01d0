#include "store/rocksdb/inspection.h"

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>

#include "store/errc.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/message_count.h"
#include "store/rocksdb/reading.h"

namespace courier::store {

Result<std::unique_ptr<Inspection>> Inspection::open(const std::string& data_dir) {
  const std::shared_ptr<rocksdb::FileSystem> files = rocksdb::FileSystem::Default();
  std::unique_ptr<Inspection> inspection(new Inspection);
  auto directory = DataDirectory::open(files, data_dir, DataDirectory::Access::existing_only);
  if (!directory) return fail(directory.error());
  inspection->directory_ = std::move(*directory);
  auto notices = inspection->directory_->check_journals();
  if (!notices) return fail(notices.error());
  inspection->notices_ = std::move(*notices);
  auto open = Database::open_read_only(*inspection->directory_, files);
  if (!open) return fail(open.error());
  inspection->open_ = std::move(*open);
  const Result<uint64_t> position = inspection->open_->meta_number(schema::kPositionKey, 0);
  if (!position) return fail(position.error());
  const Result<LogEnd> end = find_log_end(*inspection->open_);
  if (!end) return fail(end.error());
  Result<std::optional<std::string>> log_id = inspection->open_->meta(schema::kLogKey);
  if (!log_id) return fail(log_id.error());
  const Result<uint64_t> cursor = inspection->open_->meta_number(schema::kCursorKey, 0);
  if (!cursor) return fail(cursor.error());
  inspection->position_ = Position(*position);
  inspection->log_end_ = Position(end->next.value - 1);
  inspection->clock_ = end->clock;
  inspection->log_id_ = std::move(*log_id).value_or("");
  inspection->cursor_ = *cursor;
  return inspection;
}

Result<uint64_t> Inspection::count(Table table) const {
  uint64_t rows = 0;
  const Result<void> done = scan(table, "", "", [&](std::string_view, std::string_view) {
    ++rows;
    return true;
  });
  if (!done) return fail(done.error());
  return rows;
}

Result<void> Inspection::scan(Table table, std::string_view from, std::string_view to,
                              const std::function<bool(std::string_view, std::string_view)>& row) const {
  return scan_rows(*open_, table, from, to, row);
}

Result<void> Inspection::scan_messages(const std::function<bool(const SharedMessage&)>& message) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(
      open_->db().NewIterator(options, open_->column(schema::Column::messages)));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const auto position = schema::number_of(at->key().ToStringView());
    const Result<MessageCount> stored = decode_message_count(at->value().ToStringView());
    if (!position || !stored)
      return fail(errc::damaged, "a row of the table of shared messages cannot be read");
    if (stored->count == 0) continue;
    if (!message({Position(*position), stored->count, stored->message.size()})) return {};
  }
  if (!at->status().ok()) return fail(error_of(at->status(), "cannot read the table of shared messages"));
  return {};
}

Result<std::vector<mqtt::MessagePtr>> Inspection::load_messages(
    const std::vector<Position>& positions) const {
  return load_shared_messages(*open_, positions);
}

Result<void> Inspection::read_log(const std::function<Result<void>(CommittedBatch&&)>& fold) const {
  return store::read_log(*open_, position_, fold);
}

std::vector<Inspection::ColumnSize> Inspection::sizes() const {
  std::vector<ColumnSize> list;
  for (size_t i = 0; i < schema::kColumns.size(); ++i) {
    ColumnSize size{i == 0 ? "meta" : schema::kColumns[i], 0, 0};
    rocksdb::ColumnFamilyHandle* column = open_->column(static_cast<schema::Column>(i));
    if (!column) continue;
    open_->db().GetIntProperty(column, rocksdb::DB::Properties::kTotalSstFilesSize, &size.bytes);
    open_->db().GetIntProperty(column, rocksdb::DB::Properties::kEstimateNumKeys, &size.keys_estimated);
    list.push_back(std::move(size));
  }
  return list;
}

}  // namespace courier::store
