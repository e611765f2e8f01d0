// Port: the state folded from the log, as of exactly one log position. Drivers: rocksdb/, memory/.
//
// Rows are bytes; their layout is in record/rows.h. A checkpoint is one atomic write of all that changed
// between two positions, so that after any crash the store is exactly the state as of position(), and
// replaying the log after position() gives the rest. It need not be synced: the log before it is kept until
// it is.
//
// Threads: everything may be called from any thread; write() from one at a time. load functions do I/O and
// belong on workers (or before start).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "mqtt/message.h"

namespace courier::store {

enum class Table : uint8_t {
  session,       // session id → header
  subscription,  // session id → its subscriptions
  inbox,         // session id, sequence → entry (with the message, if no other inbox names it)
  retained,      // mountpoint, topic → message
  group,         // group id → shared group: members
  group_inbox,   // group id, sequence → entry
  event,         // position → event that not every sink was told; sink → what it was told
};
inline constexpr size_t kTableCount = 7;

// All that changed up to one position. Built in parts by several threads, then merged.
struct StateBatch {
  struct Put {
    Table table{};
    std::string key, value;
  };
  struct Erase {
    Table table{};
    std::string key;
  };
  struct EraseRange {  // [from, to)
    Table table{};
    std::string from, to;
  };
  // A message shared by several inboxes is stored once, with a count of the rows that name it.
  struct MessageReferences {
    Position position;
    int64_t delta = 0;
    mqtt::MessagePtr message;  // present at least once per position in the batch in which its count starts
  };
  std::vector<Put> puts;
  std::vector<Erase> erases;
  std::vector<EraseRange> range_erases;  // applied before puts
  std::vector<MessageReferences> messages;

  bool empty() const { return puts.empty() && erases.empty() && range_erases.empty() && messages.empty(); }
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // The log position that the tables reflect; 0 for a new store.
  virtual Position position() const = 0;
  // As handed to write() with that position; 0 for a new store, and where the log needs none.
  virtual uint64_t cursor() const = 0;
  // Of the last batch that the tables reflect, or later.
  virtual WallMs clock() const = 0;

  // Writes the parts atomically and moves position() to `position`; then the log up to it may be trimmed (the
  // driver does both, in that order). Range erases go first, then erases, then puts; parts never name the
  // same key. `cursor` and `clock` are those of the batch that ends there, for a log that the driver does not
  // have itself; without a cursor its own log knows both.
  virtual Result<void> write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor = 0,
                             WallMs clock = 0) = 0;

  // Calls `row` for each row whose key is in [from, to) in key order ("" as `to`: to the end) until it
  // returns false. The views live for the call only.
  virtual Result<void> scan(
      Table table, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view key, std::string_view value)>& row) const = 0;

  // Messages of the shared table; a position that is not there is an error (the store is damaged).
  virtual Result<std::vector<mqtt::MessagePtr>> load_messages(
      const std::vector<Position>& positions) const = 0;

  // A consistent copy (state and log) in a new folder `path`, while running.
  virtual Result<void> backup(const std::string& path) = 0;
};

}  // namespace courier::store
