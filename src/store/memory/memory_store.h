// The state store in memory: one ordered map a table, on a MemoryDisk. For unit tests and the simulator.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "store/memory/memory_disk.h"
#include "store/state_store.h"

namespace courier::store {

class MemoryStore : public StateStore {
 public:
  // The disk outlives the store.
  explicit MemoryStore(MemoryDisk& disk) : disk_(disk) {}

  Position position() const override;
  uint64_t cursor() const override;
  WallMs clock() const override;
  Result<void> write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor = 0,
                     WallMs clock = 0) override;
  // The rows are copied first: `row` may write.
  Result<void> scan(
      Table table, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view key, std::string_view value)>& row) const override;
  Result<std::vector<mqtt::MessagePtr>> load_messages(const std::vector<Position>& positions) const override;
  // "Folders" are names of images here; see backups().
  Result<void> backup(const std::string& path) override;
  const std::map<std::string, MemoryImage>& backups() const { return backups_; }

  // Every write() fails with this from now on, and changes nothing; nullopt: writes succeed again.
  void fail_writes(std::optional<Error> error);

 private:
  MemoryDisk& disk_;
  std::map<std::string, MemoryImage> backups_;
  mutable std::mutex mutex_;
  std::optional<Error> write_error_;  // guarded by mutex_
};

}  // namespace courier::store
