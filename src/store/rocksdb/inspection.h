// A stopped node's store, for reading: what `courier inspect` shows. Writes nothing into the data directory
// but its lock, which keeps a node from starting meanwhile.
//
// One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/rocksdb/database.h"
#include "store/state_store.h"

namespace courier::store {

struct CommittedBatch;

class Inspection {
 public:
  static Result<std::unique_ptr<Inspection>> open(const std::string& data_dir);

  Position position() const { return position_; }
  // Of the last record in the log; equal to position() when nothing is left to replay.
  Position log_end() const { return log_end_; }
  WallMs clock() const { return clock_; }
  // Of the cluster's log whose state it is, and where in it; empty and 0: of the log in it.
  const std::string& log_id() const { return log_id_; }
  uint64_t cursor() const { return cursor_; }
  // Where the last process left an unfinished write, a sentence each.
  const std::vector<std::string>& notices() const { return notices_; }

  // Counted row by row.
  Result<uint64_t> count(Table table) const;
  Result<void> scan(Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view key, std::string_view value)>& row) const;
  struct SharedMessage {
    Position position;
    int64_t count = 0;  // rows that name it; below 0: damage
    size_t bytes = 0;
  };
  // Until `message` returns false.
  Result<void> scan_messages(const std::function<bool(const SharedMessage&)>& message) const;
  Result<std::vector<mqtt::MessagePtr>> load_messages(const std::vector<Position>& positions) const;
  // What a start would replay.
  Result<void> read_log(const std::function<Result<void>(CommittedBatch&&)>& fold) const;

  struct ColumnSize {
    std::string name;
    uint64_t bytes = 0;           // of its table files
    uint64_t keys_estimated = 0;  // RocksDB's guess
  };
  std::vector<ColumnSize> sizes() const;

 private:
  Inspection() = default;
  std::unique_ptr<DataDirectory> directory_;
  std::shared_ptr<OpenDatabase> open_;  // as Database hands it out
  std::vector<std::string> notices_;
  Position position_, log_end_;
  WallMs clock_ = 0;
  std::string log_id_;
  uint64_t cursor_ = 0;
};

}  // namespace courier::store
