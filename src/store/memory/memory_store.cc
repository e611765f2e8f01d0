#include "store/memory/memory_store.h"

#include <utility>

#include "store/errc.h"

namespace courier::store {

Position MemoryStore::position() const {
  const std::lock_guard lock(disk_.mutex_);
  return disk_.image_.position;
}

uint64_t MemoryStore::cursor() const {
  const std::lock_guard lock(disk_.mutex_);
  return disk_.image_.cursor;
}

WallMs MemoryStore::clock() const {
  const std::lock_guard lock(disk_.mutex_);
  return disk_.image_.clock;
}

Result<void> MemoryStore::write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor,
                                WallMs clock) {
  {
    const std::lock_guard lock(mutex_);
    if (write_error_) return fail(*write_error_);
  }
  disk_.apply(parts, position, cursor, clock);
  return {};
}

Result<void> MemoryStore::scan(Table table, std::string_view from, std::string_view to,
                               const std::function<bool(std::string_view, std::string_view)>& row) const {
  std::vector<std::pair<std::string, std::string>> rows;
  {
    const std::lock_guard lock(disk_.mutex_);
    const MemoryImage::Rows& all = disk_.image_.tables[static_cast<size_t>(table)];
    const auto end = to.empty() ? all.end() : all.lower_bound(to);
    for (auto at = all.lower_bound(from); at != end && (to.empty() || at->first < to); ++at)
      rows.push_back(*at);
  }
  for (const auto& [key, value] : rows) {
    if (!row(key, value)) break;
  }
  return {};
}

Result<std::vector<mqtt::MessagePtr>> MemoryStore::load_messages(
    const std::vector<Position>& positions) const {
  const std::lock_guard lock(disk_.mutex_);
  std::vector<mqtt::MessagePtr> messages;
  messages.reserve(positions.size());
  for (const Position position : positions) {
    const auto row = disk_.image_.messages.find(position);
    if (row == disk_.image_.messages.end() || row->second.count < 0 || !row->second.message) {
      return fail(errc::damaged, "the message of log position " + std::to_string(position.value) +
                                     " is not in the table of shared messages");
    }
    messages.push_back(row->second.message);
  }
  return messages;
}

Result<void> MemoryStore::backup(const std::string& path) {
  if (!backups_.try_emplace(path, disk_.image()).second) {
    return fail(errc::already_there, path + " exists; a backup needs a new folder");
  }
  return {};
}

void MemoryStore::fail_writes(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
}

}  // namespace courier::store
