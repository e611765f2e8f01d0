// The state store in RocksDB: a column family a table, one atomic and synced write a checkpoint.
//
// Synced, though a checkpoint need not be: the journal is shared with the log, whose next commit would sync
// it anyway, and with every entry synced before the next is begun a torn end of the journal can be told from
// damage (journal.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "store/rocksdb/database.h"
#include "store/rocksdb/rocks_log.h"
#include "store/state_store.h"

namespace courier::store {

class RocksState : public StateStore {
 public:
  // Both outlive the store.
  RocksState(Database& database, RocksLog& log, DataDirectory& directory, Position position, uint64_t cursor)
      : database_(database), log_(log), directory_(directory), position_(position.value), cursor_(cursor) {}

  Position position() const override { return Position(position_.load(std::memory_order_acquire)); }
  uint64_t cursor() const override { return cursor_.load(std::memory_order_acquire); }
  WallMs clock() const override { return std::max(clock_.load(std::memory_order_acquire), log_.clock()); }
  // An error means that nothing of it was written, and never will be.
  Result<void> write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor = 0,
                     WallMs clock = 0) override;
  // What `row` gets stays as it was when the scan began.
  Result<void> scan(
      Table table, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view key, std::string_view value)>& row) const override;
  Result<std::vector<mqtt::MessagePtr>> load_messages(const std::vector<Position>& positions) const override;
  Result<void> backup(const std::string& path) override;

 private:
  Database& database_;
  RocksLog& log_;
  DataDirectory& directory_;
  std::atomic<uint64_t> position_, cursor_;
  std::atomic<WallMs> clock_{0};  // of a cluster's log; this node's own knows its own
};

}  // namespace courier::store
