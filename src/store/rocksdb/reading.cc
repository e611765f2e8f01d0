#include "store/rocksdb/reading.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

#include "record/codec.h"
#include "store/errc.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/message_count.h"

namespace courier::store {
namespace {

using schema::Column;

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}
rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

std::string folder_of(const OpenDatabase& database) {
  return database.db().GetName();
}

std::string position_text(Position position) {
  return "position " + std::to_string(position.value);
}

Failure log_damaged(const OpenDatabase& database, Position position, const std::string& what) {
  return fail(errc::damaged, "the log in " + folder_of(database) + " is damaged at " +
                                 position_text(position) + ": " + what +
                                 ". Restore the latest backup (courier restore), or copy the folder away "
                                 "before trying to repair it");
}

std::unique_ptr<rocksdb::Iterator> log_iterator(const OpenDatabase& database) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(database.db().NewIterator(options, database.column(Column::log)));
}

// Moves to the value that holds the record after `after`, or to the first behind it.
void seek_after(rocksdb::Iterator& at, Position after) {
  const std::string key = schema::big_endian(after.value + 1);
  at.SeekForPrev(key);
  if (!at.Valid() && at.status().ok()) at.Seek(key);
}

}  // namespace

Result<void> scan_rows(const OpenDatabase& database, Table table, std::string_view from, std::string_view to,
                       const std::function<bool(std::string_view, std::string_view)>& row) {
  if (!database.column(schema::column_of(table))) return {};
  const rocksdb::Slice end = slice(to);
  rocksdb::ReadOptions options;
  if (to.empty()) {
    // All of a table, at start: not worth throwing others out of the cache.
    options.fill_cache = false;
    options.total_order_seek = true;
    options.readahead_size = 2 << 20;
  } else {
    options.iterate_upper_bound = &end;
    options.auto_prefix_mode = true;
  }
  const std::unique_ptr<rocksdb::Iterator> at(
      database.db().NewIterator(options, database.column(schema::column_of(table))));
  for (at->Seek(slice(from)); at->Valid(); at->Next()) {
    if (!row(view(at->key()), view(at->value()))) return {};
  }
  if (!at->status().ok()) {
    return fail(error_of(at->status(),
                         "cannot read the table \"" +
                             std::string(schema::kColumns[static_cast<size_t>(schema::column_of(table))]) +
                             "\" in " + folder_of(database)));
  }
  return {};
}

Result<std::vector<mqtt::MessagePtr>> load_shared_messages(const OpenDatabase& database,
                                                           const std::vector<Position>& positions) {
  std::vector<std::string> keys;
  keys.reserve(positions.size());
  for (const Position position : positions) keys.push_back(schema::big_endian(position.value));
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  database.db().MultiGet({}, database.column(Column::messages), keys.size(), slices.data(), values.data(),
                         statuses.data());
  std::vector<mqtt::MessagePtr> messages;
  messages.reserve(positions.size());
  for (size_t i = 0; i < positions.size(); ++i) {
    const std::string what = "the message of log " + position_text(positions[i]) +
                             " cannot be read from the table of "
                             "shared messages in " +
                             folder_of(database);
    if (statuses[i].IsNotFound()) return fail(errc::damaged, what + ": it is not there");
    if (!statuses[i].ok()) return fail(error_of(statuses[i], what));
    const Result<MessageCount> stored = decode_message_count(view(values[i]));
    if (!stored) return fail(stored.error().within(what));
    if (stored->count <= 0 || stored->message.empty()) {
      return fail(errc::damaged, what + ": " + std::to_string(stored->count) + " rows name it" +
                                     (stored->message.empty() ? " and it is not there" : ""));
    }
    std::string_view encoded = stored->message;
    Result<mqtt::MessagePtr> message = record::decode_message(encoded);
    if (!message) return fail(errc::damaged, what + ": " + message.error().message);
    messages.push_back(std::move(*message));
  }
  return messages;
}

Result<std::vector<LogValue>> list_log(const OpenDatabase& database, Position after) {
  std::vector<LogValue> list;
  const auto at = log_iterator(database);
  for (seek_after(*at, after); at->Valid(); at->Next()) {
    const auto first = schema::number_of(view(at->key()));
    if (!first) return log_damaged(database, after, "a key is no position");
    list.push_back({Position(*first), at->value().size()});
  }
  if (!at->status().ok())
    return fail(error_of(at->status(), "cannot read the log in " + folder_of(database)));
  return list;
}

Result<void> read_log(const OpenDatabase& database, Position after,
                      const std::function<Result<void>(CommittedBatch&&)>& fold) {
  Position next(after.value + 1);
  const auto at = log_iterator(database);
  for (seek_after(*at, after); at->Valid(); at->Next()) {
    const auto number = schema::number_of(view(at->key()));
    if (!number) return log_damaged(database, next, "a key is no position");
    const Position first(*number);
    Result<record::DecodedBatch> batch = record::decode_batch(view(at->value()));
    if (!batch) return log_damaged(database, first, batch.error().message);
    const Position end(first.value + batch->records.size());
    if (end <= next && next == Position(after.value + 1))
      continue;  // covered by the checkpoint, not trimmed yet
    if (first > next) {
      return log_damaged(database, next, "nothing is there; the log goes on at " + position_text(first));
    }
    if (first < next && next != Position(after.value + 1)) {
      return log_damaged(database, first, "two batches overlap");
    }
    // A checkpoint may stand in the middle of a value that merged several batches.
    const auto known = static_cast<ptrdiff_t>(next.value - first.value);
    batch->records.erase(batch->records.begin(), batch->records.begin() + known);
    if (Result<void> folded = fold({next, batch->clock, kNoOrigin, 0, std::move(batch->records)}); !folded) {
      return folded;
    }
    next = end;
  }
  if (!at->status().ok()) {
    return fail(error_of(at->status(), "cannot read the log in " + folder_of(database) + " after " +
                                           position_text(Position(next.value - 1))));
  }
  return {};
}

Result<LogEnd> find_log_end(const OpenDatabase& database) {
  const Result<uint64_t> position = database.meta_number(schema::kPositionKey, 0);
  if (!position) return fail(position.error());
  const Result<uint64_t> clock = database.meta_number(schema::kClockKey, 0);
  if (!clock) return fail(clock.error());
  LogEnd end{Position(*position + 1), static_cast<WallMs>(*clock)};
  const auto at = log_iterator(database);
  at->SeekToLast();
  if (!at->status().ok())
    return fail(error_of(at->status(), "cannot read the end of the log in " + folder_of(database)));
  if (!at->Valid()) return end;
  const auto first = schema::number_of(view(at->key()));
  if (!first) return log_damaged(database, end.next, "a key is no position");
  const Result<record::DecodedBatch> batch = record::decode_batch(view(at->value()));
  if (!batch) return log_damaged(database, Position(*first), batch.error().message);
  end.next = std::max(end.next, Position(*first + batch->records.size()));
  end.clock = std::max(end.clock, batch->clock);
  return end;
}

}  // namespace courier::store
