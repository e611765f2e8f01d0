// The ordered log in RocksDB: one value per commit, written and synced by one committer thread.
//
// The committer takes all batches that wait (up to kCommitBytesMax), writes them as one value and gives them
// to the reader; what is appended meanwhile goes into the next. That thread is the feed thread. Appenders
// signal it only when it sleeps.
//
// 1. A commit that failed is tried again with the very same bytes at the very same position, until it
// succeeds; nothing
//    else is written to the log before.
// 2. The trim of what a checkpoint covers travels with the next commit, so it costs no write of its own.
#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "store/ordered_log.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/reading.h"

namespace courier::store {

class RocksLog : public OrderedLog {
 public:
  // One write is at most about this long, unless a single batch is longer.
  static constexpr size_t kCommitBytesMax = 4 << 20;

  // Both outlive the log. `end` and `tail` are what the database holds now, after `position`.
  RocksLog(Database& database, const Clock& clock, LogEnd end, const std::vector<LogValue>& tail,
           Position position);
  ~RocksLog() override;

  Result<void> replay(Position after, const std::function<Result<void>(CommittedBatch&&)>& fold) override;
  void start(LogReader& reader) override;
  // While the log is stalled it gives up what waits: it was never acknowledged.
  void stop() override;
  void append(Batch batch) override;
  void post(std::function<void()> task) override;
  LogState state() const override;
  uint64_t tail_bytes() const override;

  // The state up to `position` is written.
  void trim(Position position);
  // Of the last commit.
  WallMs clock() const { return clock_value_.load(std::memory_order_relaxed); }

 private:
  struct Value {
    Position first, last;
    uint64_t bytes = 0;
  };

  void run();
  void run_posted();
  std::vector<Batch> take_batches();
  void commit(std::vector<Batch>& batches);
  // Until the database takes writes again, and `batch` (if any) is written. False when stopped before.
  bool stall(std::string reason, rocksdb::WriteBatch* batch);
  bool wait_before_retry(std::chrono::milliseconds pause);
  void set_state(LogState state);

  Database& database_;
  const Clock& clock_;
  LogReader* reader_ = nullptr;

  // Of the committer.
  Position next_;
  std::string encoded_;

  std::atomic<WallMs> clock_value_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool sleeping_ = false;  // guarded by mutex_, like all below
  bool stopping_ = false;
  std::string trouble_;  // RocksDB's own threads failed; empty: all is well
  std::deque<Batch> waiting_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> accepting_{true};
  LogState state_;

  mutable std::mutex tail_mutex_;
  std::deque<Value> tail_;  // what no checkpoint covers; guarded by tail_mutex_, like all below
  uint64_t tail_bytes_ = 0;
  Position trimmed_to_;  // values before this key are to be deleted
  bool trim_is_due_ = false;

  std::thread thread_;
};

}  // namespace courier::store
