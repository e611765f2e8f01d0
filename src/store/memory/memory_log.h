// The ordered log in memory. It has no thread: the test or the simulator says when something is committed.
//
// What append() took waits until commit_next() or pump(); then it is on the MemoryDisk (encoded, as on a real
// one) and the reader gets it, on the caller's thread: that is the feed thread.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

#include "store/memory/memory_disk.h"
#include "store/ordered_log.h"

namespace courier::store {

class MemoryLog : public OrderedLog {
 public:
  // Both outlive the log.
  MemoryLog(MemoryDisk& disk, const Clock& clock) : disk_(disk), clock_(clock) {}

  Result<void> replay(Position after, const std::function<Result<void>(CommittedBatch&&)>& fold) override;
  void start(LogReader& reader) override;
  // Commits everything, unless the log is stalled: then what waits is lost, as at the end of a process.
  void stop() override;
  void append(Batch batch) override;
  void post(std::function<void()> task) override;
  LogState state() const override;
  uint64_t tail_bytes() const override;

  // Writes the `merged` oldest batches that wait (fewer if there are not so many) as one value, and gives
  // them to the reader in one call. False when nothing waits or the log is stalled.
  bool commit_next(size_t merged = 1);
  // Runs what was posted and commits what waits, one by one, until nothing is left or `batches_max` batches
  // were given to the reader. Returns how many were.
  size_t pump(size_t batches_max = SIZE_MAX);
  size_t waiting() const;

  // As if the disk were full: nothing is committed until unstall(). Tells the reader.
  void stall(std::string reason);
  void unstall();

  // What the disk holds if the machine stops now. Of the batches that wait the oldest `appended_kept` had
  // become safe, only nobody knew yet; of the writes of state since the last commit the last
  // `state_writes_lost` had not. (Not both: a commit makes what was written before it safe.)
  MemoryImage crash(size_t appended_kept = 0, size_t state_writes_lost = 0) const;

 private:
  std::vector<Batch> take(size_t batches_max);
  bool run_posted();

  MemoryDisk& disk_;
  const Clock& clock_;
  LogReader* reader_ = nullptr;
  mutable std::mutex mutex_;
  std::deque<Batch> waiting_;                 // guarded by mutex_
  std::deque<std::function<void()>> posted_;  // guarded by mutex_
  LogState state_;                            // guarded by mutex_
};

}  // namespace courier::store
