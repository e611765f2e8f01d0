// What a disk would hold of a node: its log and its tables, in memory. For unit tests and the simulator.
//
// MemoryLog and MemoryStore work on one MemoryDisk. A crash is a copy of it (an image) that lacks what a real
// disk might not have kept; a node that starts again gets a new MemoryDisk made of the image.
//
// As on a real disk, a write of state is safe only once a commit of the log follows it. Until then the disk
// remembers how to take it back.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "mqtt/message.h"
#include "store/state_store.h"

namespace courier::store {

// Plain data: copy it, change it, damage it.
struct MemoryImage {
  // One value of the log: an encoded batch, as drivers on real disks write it.
  struct LogEntry {
    Position first;
    size_t record_count = 0;
    std::string bytes;
  };
  struct SharedMessage {
    int64_t count = 0;
    mqtt::MessagePtr message;
  };
  using Rows = std::map<std::string, std::string, std::less<>>;

  std::deque<LogEntry> log;
  Position next{1};  // where the next record will stand
  WallMs clock = 0;  // of the last batch, here or (for a log elsewhere) that the tables reflect
  std::array<Rows, kTableCount> tables;
  std::map<Position, SharedMessage> messages;  // only those with a count other than 0
  Position position;                           // what the tables reflect
  uint64_t cursor = 0;                         // handed in with it
};

// Thread-safe, so that the tests of the ports' contract can use it from several threads.
class MemoryDisk {
 public:
  MemoryDisk() = default;
  explicit MemoryDisk(MemoryImage image) : image_(std::move(image)) {}

  // What is there now.
  MemoryImage image() const;
  // What is there if the last `state_writes_lost` writes of state did not reach the disk; at most
  // unsafe_state_writes().
  MemoryImage image_without(size_t state_writes_lost) const;
  size_t unsafe_state_writes() const;
  // What of the log is still there from `from` on.
  std::vector<MemoryImage::LogEntry> log_from(Position from) const;

 private:
  friend class MemoryLog;
  friend class MemoryStore;

  // What undoes one write of state.
  struct Undo {
    struct Row {
      Table table{};
      std::string key;
      bool existed = false;
      std::string value;
    };
    std::vector<Row> rows;
    std::vector<std::pair<Position, MemoryImage::SharedMessage>> messages;
    std::deque<MemoryImage::LogEntry> trimmed;
    Position position;
    uint64_t cursor = 0;
  };

  std::pair<Position, WallMs> end() const;  // where the next record will stand; the last clock
  void commit(MemoryImage::LogEntry entry, WallMs clock);
  void apply(const std::vector<StateBatch>& parts, Position position, uint64_t cursor, WallMs clock);

  mutable std::mutex mutex_;
  MemoryImage image_;        // guarded by mutex_
  std::vector<Undo> undos_;  // of the writes of state since the last commit; guarded by mutex_
};

}  // namespace courier::store
