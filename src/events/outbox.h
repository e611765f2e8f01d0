// The events that not every sink was told yet, in the order of the log.
//
//                 add()           write(), with the checkpoint
//   feed thread --------> memory ------------------------------> rows of Table::event
//                           |  what every sink was told goes       |
//                           v                                      v
//   sinks' threads <------ read(): from memory; what memory had no room for, from the rows
//
// It is part of what is folded from the log: the rows as of a checkpoint's position, and the log behind it,
// give the same events again after a crash, with the same positions. An event that every sink was told before
// the next checkpoint is never written. How far each sink was told comes by the log too (record::Told), so
// that every node of a cluster knows it, and has what is not told yet.
//
// Best-effort events go past all that, in memory only: note() and read_noted().
//
// Rows: 'e' and the position in eight bytes, high byte first -> kind (a byte), the event's bytes
//       'b'                                                  -> bytes that waited then (eight, low first)
//       's' and the name of a sink                           -> position up to which it was told (likewise)
//
// Threads: what is said below. Invariants
// 1. What every sink was told is not read again; what some sink was not told is neither erased nor forgotten,
// but
//    as drop() says.
// 2. An event is in memory, or its row is safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "events/catalogue/catalogue.h"
#include "store/state_store.h"

namespace courier::events {

struct Event {
  Position position;  // of its record; of a best-effort one its number, from 1
  Kind kind{};
  std::string bytes;  // whole: events/fields.h
};
using EventPtr = std::shared_ptr<const Event>;

struct OutboxOptions {
  uint64_t memory_bytes_max = 32 << 20;
  // Of what waits for a sink. Beyond four fifths only deliveries and drops are taken, beyond all of it
  // nothing.
  uint64_t bytes_max = uint64_t{4} << 30;
  size_t noted_max = 16'384;  // best-effort events that wait
  std::string run;            // what their ids begin with: one run of one node
};

class Outbox {
 public:
  using SinkIndex = size_t;

  // The store outlives it. `sinks`: their names, no two alike.
  Outbox(OutboxOptions options, std::vector<std::string> sinks, const store::StateStore& store,
         Registry& metrics);

  // Before anything else: the rows as of the store's position. A sink that is new begins there.
  Result<void> restore();

  // --- feed thread ---
  void add(Position position, Kind kind, std::string bytes);
  // A record says so. A name that is no sink's here is passed over.
  void told(std::string_view sink, Position up_to);
  // Wakes the sinks that sleep, after add().
  void wake();
  // What changed since the last call, as of now.
  void write(store::StateBatch& rows);
  // --- any thread: that is safe ---
  void written();

  // --- any thread ---
  // `fields`: as record::Event has them; it gets its number here. A sink that sleeps is not woken by it, but
  // soon looks.
  void note(Kind kind, std::string_view fields, WallMs now);
  // The sink was told all up to there; for take_reports(), by which the log hears of it.
  void report(SinkIndex sink, Position up_to);
  // Feed thread: what was reported and is no TOLD yet.
  std::vector<std::pair<std::string, Position>> take_reports();
  const std::vector<std::string>& sinks() const { return names_; }
  // As the log says.
  Position told(SinkIndex sink) const;
  // The last that was added.
  Position newest() const;
  // Of events that wait for some sink, in memory and in rows; about.
  uint64_t bytes_waiting() const;

  // The events after `after`, oldest first, until both are reached; what the sink was told is not among them.
  // May read the disk. Error: the store's.
  Result<std::vector<EventPtr>> read(Position after, size_t count_max, size_t bytes_max) const;
  // Those with greater numbers. Who is too slow misses some: their numbers show it.
  std::vector<EventPtr> read_noted(uint64_t after, size_t count_max) const;
  // Who looks on: gets every event as it comes, and must be quick; not those that a run begins with. On the
  // threads of add() and note(), one at a time.
  using Watcher = std::function<void(const EventPtr&)>;
  uint64_t watch(Watcher watcher);
  // When it returns, the watcher is called no more.
  void unwatch(uint64_t number);

  // Blocks until there is something behind either, stop() was called or the time is over.
  void wait(Position after, uint64_t noted_after, int64_t milliseconds) const;
  // Ends every wait, from now on.
  void stop();

 private:
  // Under mutex_.
  bool crowded(Kind kind) const;
  void show(const EventPtr& event) const;
  void forget_told();
  void shrink_memory();
  Position told_to_all() const;
  void erase_told_rows(store::StateBatch& rows);

  Result<void> read_rows(Position behind, Position end, const std::function<bool()>& full,
                         std::vector<EventPtr>& events, size_t& bytes) const;

  const OutboxOptions options_;
  const std::vector<std::string> names_;
  const store::StateStore& store_;

  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable changed_;
  bool stopped_ = false;
  std::vector<Position> told_;  // by sink
  std::vector<bool> told_changed_;
  std::vector<Position> reported_, said_;  // by sink: report(), take_reports()
  std::vector<std::string> gone_;          // sinks that have a row and are none any more

  std::deque<EventPtr> memory_;
  uint64_t memory_bytes_ = 0;
  Position memory_from_;  // what is at or behind it, and not told, is in memory
  Position newest_;

  // Rows are between the first two, if any are (else both are 0). What waits up to safe_ has a safe row, and
  // what waits up to put_ will have one when the checkpoint is written.
  Position first_row_, last_row_, put_, safe_;
  // Their positions, while there are few: to erase each by itself.
  std::deque<Position> rows_;
  bool rows_listed_ = true;

  // How much waits: all bytes ever added, and at some positions how many that were. Bytes up to the oldest
  // mark are told.
  struct Mark {
    Position position;
    uint64_t bytes = 0;  // before and with that event
  };
  uint64_t bytes_added_ = 0, bytes_told_ = 0;
  std::deque<Mark> marks_;

  std::deque<EventPtr> noted_;
  uint64_t notes_ = 0;  // number of the last

  std::map<uint64_t, Watcher> watchers_;
  uint64_t watches_ = 0;  // number of the last

  std::vector<Counter*> added_, dropped_;  // by kind
};

}  // namespace courier::events
