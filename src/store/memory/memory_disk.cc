#include "store/memory/memory_disk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace courier::store {

MemoryImage MemoryDisk::image() const {
  const std::lock_guard lock(mutex_);
  return image_;
}

size_t MemoryDisk::unsafe_state_writes() const {
  const std::lock_guard lock(mutex_);
  return undos_.size();
}

std::vector<MemoryImage::LogEntry> MemoryDisk::log_from(Position from) const {
  const std::lock_guard lock(mutex_);
  std::vector<MemoryImage::LogEntry> entries;
  for (const MemoryImage::LogEntry& entry : image_.log) {
    if (entry.first >= from) entries.push_back(entry);
  }
  return entries;
}

MemoryImage MemoryDisk::image_without(size_t state_writes_lost) const {
  const std::lock_guard lock(mutex_);
  CHECK(state_writes_lost <= undos_.size());
  MemoryImage image = image_;
  for (size_t i = 0; i < state_writes_lost; ++i) {
    const Undo& undo = undos_[undos_.size() - 1 - i];
    for (auto row = undo.rows.rbegin(); row != undo.rows.rend(); ++row) {
      MemoryImage::Rows& rows = image.tables[static_cast<size_t>(row->table)];
      if (row->existed) {
        rows[row->key] = row->value;
      } else {
        rows.erase(row->key);
      }
    }
    for (auto entry = undo.messages.rbegin(); entry != undo.messages.rend(); ++entry) {
      if (entry->second.count == 0) {
        image.messages.erase(entry->first);
      } else {
        image.messages[entry->first] = entry->second;
      }
    }
    image.log.insert(image.log.begin(), undo.trimmed.begin(), undo.trimmed.end());
    image.position = undo.position;
    image.cursor = undo.cursor;
  }
  return image;
}

std::pair<Position, WallMs> MemoryDisk::end() const {
  const std::lock_guard lock(mutex_);
  return {image_.next, image_.clock};
}

void MemoryDisk::commit(MemoryImage::LogEntry entry, WallMs clock) {
  const std::lock_guard lock(mutex_);
  CHECK(entry.first == image_.next);
  image_.next = Position(entry.first.value + entry.record_count);
  image_.clock = clock;
  image_.log.push_back(std::move(entry));
  undos_.clear();
}

void MemoryDisk::apply(const std::vector<StateBatch>& parts, Position position, uint64_t cursor,
                       WallMs clock) {
  const std::lock_guard lock(mutex_);
  CHECK(position >= image_.position);
  Undo undo;
  undo.position = image_.position;
  undo.cursor = image_.cursor;
  const auto rows_of = [this](Table table) -> MemoryImage::Rows& {
    return image_.tables[static_cast<size_t>(table)];
  };
  const auto erase = [&](Table table, MemoryImage::Rows::iterator row) {
    undo.rows.push_back({table, row->first, true, std::move(row->second)});
    return rows_of(table).erase(row);
  };
  for (const StateBatch& part : parts) {
    for (const StateBatch::EraseRange& range : part.range_erases) {
      CHECK(range.from <= range.to);
      MemoryImage::Rows& rows = rows_of(range.table);
      for (auto row = rows.lower_bound(range.from); row != rows.end() && row->first < range.to;) {
        row = erase(range.table, row);
      }
    }
  }
  for (const StateBatch& part : parts) {
    for (const StateBatch::Erase& one : part.erases) {
      MemoryImage::Rows& rows = rows_of(one.table);
      if (const auto row = rows.find(one.key); row != rows.end()) erase(one.table, row);
    }
  }
  for (const StateBatch& part : parts) {
    for (const StateBatch::Put& put : part.puts) {
      const auto [row, is_new] = rows_of(put.table).try_emplace(put.key);
      undo.rows.push_back({put.table, put.key, !is_new, std::exchange(row->second, put.value)});
    }
    for (const StateBatch::MessageReferences& references : part.messages) {
      MemoryImage::SharedMessage& shared = image_.messages[references.position];
      undo.messages.emplace_back(references.position, shared);
      shared.count += references.delta;
      if (!shared.message) shared.message = references.message;
    }
  }
  // Only now: one part may take back what another adds.
  for (const auto& [message, before] : undo.messages) {
    const auto row = image_.messages.find(message);
    if (row != image_.messages.end() && row->second.count == 0) image_.messages.erase(row);
  }
  image_.position = position;
  image_.cursor = cursor;
  image_.clock = std::max(image_.clock, clock);
  while (!image_.log.empty() &&
         image_.log.front().first.value + image_.log.front().record_count - 1 <= position.value) {
    undo.trimmed.push_back(std::move(image_.log.front()));
    image_.log.pop_front();
  }
  undos_.push_back(std::move(undo));
}

}  // namespace courier::store
