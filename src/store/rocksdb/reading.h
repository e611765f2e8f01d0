// What can be read from an open database, by a running store and by tools alike: rows, shared messages, the
// log. Functions over an OpenDatabase, any thread; they do I/O.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/ordered_log.h"
#include "store/rocksdb/database.h"
#include "store/state_store.h"

namespace courier::store {

// As StateStore::scan() and load_messages().
Result<void> scan_rows(const OpenDatabase& database, Table table, std::string_view from, std::string_view to,
                       const std::function<bool(std::string_view key, std::string_view value)>& row);
Result<std::vector<mqtt::MessagePtr>> load_shared_messages(const OpenDatabase& database,
                                                           const std::vector<Position>& positions);

// A value of the log, undecoded.
struct LogValue {
  Position first;
  uint64_t bytes = 0;
};
// The values that hold something after `after`, in order.
Result<std::vector<LogValue>> list_log(const OpenDatabase& database, Position after);

// What is in the log after `after`, in order. Damaged, missing or overlapping batches are errors that name
// the position; an error of `fold` ends it.
Result<void> read_log(const OpenDatabase& database, Position after,
                      const std::function<Result<void>(CommittedBatch&&)>& fold);

// Where the log goes on, and with which clock.
struct LogEnd {
  Position next{1};
  WallMs clock = 0;
};
Result<LogEnd> find_log_end(const OpenDatabase& database);

}  // namespace courier::store
