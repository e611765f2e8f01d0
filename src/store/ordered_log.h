// Port: the one ordered log of a node (solo) or cluster. Drivers: rocksdb/ (embedded), memory/ (tests).
//
// Threads: append(), post() and state() from any thread; they never block on I/O. The Reader is called on the
// driver's own feed thread only, in log order, never concurrently.
//
// Invariants a driver keeps:
// 1. A batch is given to the Reader only after it is safe (synced). Batches of one origin come back in the
//    order appended; every reader of the log, live or replayed, sees the same order and the same positions.
// 2. What append() took is never given up while the process lives: on a full disk or an I/O error the driver
//    stalls, says so by on_state(), and retries the very same batches until they are safe.
// 3. Positions grow by at least one per record: record i of a batch stands at first + i.
// 4. The clock of a batch is never before the clock of the batch in front of it, in this run or another.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "record/record.h"

namespace courier::store {

// What one shard appends in one Turn.
struct Batch {
  uint32_t origin = 0;  // index of the shard; it gets `ticket` back
  uint64_t ticket = 0;
  std::vector<record::Record> records;
  std::string encoded;  // the same records, encoded by their appender, one after the other
};

struct CommittedBatch {
  Position first;
  WallMs clock = 0;  // written by the driver at the commit; the only time that a fold sees
  uint32_t origin = 0;
  uint64_t ticket = 0;
  std::vector<record::Record> records;
  NodeEpoch node;       // whose batch it is; 0: of a node alone
  uint64_t cursor = 0;  // what the driver needs, beside the position, to go on behind it; 0: nothing
};
inline constexpr uint32_t kNoOrigin = 0xFFFFFFFF;  // of replayed batches, and of other nodes'

struct LogState {
  bool accepting = true;
  std::string reason;  // when not accepting: a sentence for the operator
};

class LogReader {
 public:
  virtual ~LogReader() = default;
  // Batches that have become safe since the last call. The reader may take the records out of them.
  virtual void on_committed(std::span<CommittedBatch> batches) = 0;
  virtual void on_state(const LogState& state) = 0;
};

class OrderedLog {
 public:
  virtual ~OrderedLog() = default;

  // Reads what is in the log after `after`, in order, before start(). Stops at the first error of either
  // side: a damaged or missing batch is named by its position. A torn tail that was never acknowledged is not
  // an error.
  virtual Result<void> replay(Position after, const std::function<Result<void>(CommittedBatch&&)>& fold) = 0;

  // From now on appends are taken and come back to `reader`, which outlives stop().
  virtual void start(LogReader& reader) = 0;
  // Commits what was appended, gives it to the reader, ends the feed thread.
  virtual void stop() = 0;

  virtual void append(Batch batch) = 0;
  // Runs `task` on the feed thread, between batches, after all that came back before.
  virtual void post(std::function<void()> task) = 0;
  // Whether new promises can be made now.
  virtual LogState state() const = 0;
  // The state as of `position` is safe in this node's store. Any thread.
  virtual void checkpointed(Position position) { (void)position; }
  // Bytes in the log that trim would still have to cover; for deciding on a checkpoint.
  virtual uint64_t tail_bytes() const = 0;
};

}  // namespace courier::store
