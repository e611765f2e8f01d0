#include "store/rocksdb/rocks_log.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "record/codec.h"
#include "store/rocksdb/files.h"

namespace courier::store {
namespace {

using schema::Column;

constexpr std::chrono::milliseconds kRetryFirst{20};
constexpr std::chrono::milliseconds kRetryMax{1000};

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

RocksLog::RocksLog(Database& database, const Clock& clock, LogEnd end, const std::vector<LogValue>& tail,
                   Position position)
    : database_(database), clock_(clock), next_(end.next), clock_value_(end.clock) {
  for (size_t i = 0; i < tail.size(); ++i) {
    const Position last((i + 1 < tail.size() ? tail[i + 1].first : end.next).value - 1);
    tail_.push_back({tail[i].first, last, tail[i].bytes});
    tail_bytes_ += tail[i].bytes;
  }
  trim(position);
}

RocksLog::~RocksLog() {
  stop();
}

Result<void> RocksLog::replay(Position after, const std::function<Result<void>(CommittedBatch&&)>& fold) {
  CHECK(!thread_.joinable());
  const auto open = database_.try_use();
  if (!open) return fail(open.error());
  return read_log(**open, after, fold);
}

void RocksLog::start(LogReader& reader) {
  CHECK(!thread_.joinable());
  reader_ = &reader;
  stopping_ = false;
  database_.on_background_error([this](std::string what) {
    const std::lock_guard lock(mutex_);
    trouble_ = "the database could not write in the background: " + std::move(what);
    wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

void RocksLog::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  thread_.join();
  database_.on_background_error({});
}

void RocksLog::append(Batch batch) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(batch));
  if (std::exchange(sleeping_, false)) wake_.notify_one();
}

void RocksLog::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  if (std::exchange(sleeping_, false)) wake_.notify_one();
}

LogState RocksLog::state() const {
  if (accepting_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return state_;
}

uint64_t RocksLog::tail_bytes() const {
  const std::lock_guard lock(tail_mutex_);
  return tail_bytes_;
}

void RocksLog::trim(Position position) {
  const std::lock_guard lock(tail_mutex_);
  while (!tail_.empty() && tail_.front().last <= position) {
    trimmed_to_ = Position(tail_.front().last.value + 1);
    trim_is_due_ = true;
    tail_bytes_ -= tail_.front().bytes;
    tail_.pop_front();
  }
}

// --- The committer ---

void RocksLog::run() {
  while (true) {
    std::string trouble;
    {
      std::unique_lock lock(mutex_);
      while (waiting_.empty() && posted_.empty() && trouble_.empty() && !stopping_) {
        sleeping_ = true;
        wake_.wait(lock);
      }
      sleeping_ = false;
      if (stopping_ && waiting_.empty() && posted_.empty()) return;
      trouble = std::exchange(trouble_, {});
    }
    run_posted();
    if (!trouble.empty() && !stall(std::move(trouble), nullptr)) return;
    std::vector<Batch> batches = take_batches();
    if (!batches.empty()) commit(batches);
    const std::lock_guard lock(mutex_);
    if (stopping_ && !state_.accepting) return;
  }
}

void RocksLog::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (std::function<void()>& task : tasks) task();
}

std::vector<Batch> RocksLog::take_batches() {
  const std::lock_guard lock(mutex_);
  std::vector<Batch> batches;
  size_t bytes = 0;
  while (!waiting_.empty()) {
    bytes += waiting_.front().encoded.size();
    if (bytes > kCommitBytesMax && !batches.empty()) break;
    batches.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return batches;
}

void RocksLog::commit(std::vector<Batch>& batches) {
  const WallMs clock = std::max(clock_value_.load(std::memory_order_relaxed), clock_.wall_ms());
  size_t count = 0;
  std::string_view encoded = batches.front().encoded;
  for (const Batch& batch : batches) count += batch.records.size();
  if (batches.size() > 1) {
    encoded_.clear();
    for (const Batch& batch : batches) encoded_ += batch.encoded;
    encoded = encoded_;
  }
  CHECK(count > 0);
  const std::string value = record::encode_batch(clock, count, encoded);

  bool trims = false;
  Position trimmed_to;
  {
    const std::lock_guard lock(tail_mutex_);
    trims = trim_is_due_;
    trimmed_to = trimmed_to_;
  }
  // Column families go by numbers in it, so that it outlives a reopening of the database.
  rocksdb::WriteBatch write;
  {
    const std::shared_ptr<OpenDatabase> open = database_.use();
    CHECK(open != nullptr);
    rocksdb::ColumnFamilyHandle* log = open->column(Column::log);
    if (trims) write.DeleteRange(log, schema::big_endian(0), schema::big_endian(trimmed_to.value));
    write.Put(log, schema::big_endian(next_.value), slice(value));
  }
  const rocksdb::Status status = database_.write(write);
  if (!status.ok() && !stall(error_of(status, "the log cannot be written").message, &write)) return;

  {
    const std::lock_guard lock(tail_mutex_);
    if (trims && trimmed_to_ == trimmed_to) trim_is_due_ = false;
    tail_.push_back({next_, Position(next_.value + count - 1), value.size()});
    tail_bytes_ += value.size();
  }
  clock_value_.store(clock, std::memory_order_relaxed);
  std::vector<CommittedBatch> committed;
  committed.reserve(batches.size());
  for (Batch& batch : batches) {
    const size_t records = batch.records.size();
    committed.push_back({next_, clock, batch.origin, batch.ticket, std::move(batch.records)});
    next_ = Position(next_.value + records);
  }
  reader_->on_committed(committed);
}

bool RocksLog::stall(std::string reason, rocksdb::WriteBatch* batch) {
  set_state({false, std::move(reason)});
  std::chrono::milliseconds pause = kRetryFirst;
  while (wait_before_retry(pause)) {
    pause = std::min(pause * 2, kRetryMax);
    run_posted();
    Result<void> recovered = database_.recover(batch != nullptr ? batch->GetDataSize() : 0);
    if (recovered && batch != nullptr) {
      const rocksdb::Status status = database_.write(*batch);
      if (!status.ok()) recovered = fail(error_of(status, "the log cannot be written"));
    }
    if (recovered) {
      {
        const std::lock_guard lock(mutex_);
        trouble_.clear();  // what the old database had
      }
      set_state({});
      return true;
    }
    const bool same = state().reason == recovered.error().message;
    if (!same) set_state({false, recovered.error().message});
  }
  return false;
}

bool RocksLog::wait_before_retry(std::chrono::milliseconds pause) {
  const auto until = std::chrono::steady_clock::now() + pause;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (posted_.empty()) {
      sleeping_ = true;  // posted tasks run meanwhile: checkpoints and views wait for them
      if (wake_.wait_until(lock, until) == std::cv_status::timeout) break;
    } else {
      lock.unlock();
      run_posted();
      lock.lock();
    }
  }
  sleeping_ = false;
  return !stopping_;
}

void RocksLog::set_state(LogState state) {
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
    accepting_.store(state.accepting, std::memory_order_release);
  }
  reader_->on_state(state);
}

}  // namespace courier::store
