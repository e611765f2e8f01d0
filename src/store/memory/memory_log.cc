#include "store/memory/memory_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/sabotage.h"
#include "record/codec.h"
#include "store/errc.h"

namespace courier::store {
namespace {

MemoryImage::LogEntry entry_of(const std::vector<Batch>& batches, Position first, WallMs clock) {
  MemoryImage::LogEntry entry{first, 0, {}};
  std::string encoded;
  for (const Batch& batch : batches) {
    entry.record_count += batch.records.size();
    encoded += batch.encoded;
  }
  entry.bytes = record::encode_batch(clock, entry.record_count, encoded);
  return entry;
}

}  // namespace

Result<void> MemoryLog::replay(Position after, const std::function<Result<void>(CommittedBatch&&)>& fold) {
  CHECK(reader_ == nullptr);
  const MemoryImage image = disk_.image();
  Position next(after.value + 1);
  for (const MemoryImage::LogEntry& entry : image.log) {
    const Position end(entry.first.value + entry.record_count);
    if (end <= next) continue;
    if (entry.first > next) {
      return fail(errc::damaged, "the log has nothing at position " + std::to_string(next.value) +
                                     "; it goes on at position " + std::to_string(entry.first.value));
    }
    Result<record::DecodedBatch> decoded = record::decode_batch(entry.bytes);
    if (!decoded || decoded->records.size() != entry.record_count) {
      return fail(errc::damaged,
                  "the batch at position " + std::to_string(entry.first.value) +
                      " of the log cannot be read: " +
                      (decoded ? "it holds another number of records" : decoded.error().message));
    }
    // A checkpoint may stand in the middle of a value that merged several batches.
    const auto known = static_cast<ptrdiff_t>(next.value - entry.first.value);
    decoded->records.erase(decoded->records.begin(), decoded->records.begin() + known);
    Result<void> folded = fold({next, decoded->clock, kNoOrigin, 0, std::move(decoded->records)});
    if (!folded) return folded;
    next = end;
  }
  return {};
}

void MemoryLog::start(LogReader& reader) {
  CHECK(reader_ == nullptr);
  reader_ = &reader;
}

void MemoryLog::stop() {
  pump();
  reader_ = nullptr;
}

void MemoryLog::append(Batch batch) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(batch));
}

void MemoryLog::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
}

LogState MemoryLog::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

uint64_t MemoryLog::tail_bytes() const {
  const std::lock_guard lock(disk_.mutex_);
  uint64_t bytes = 0;
  for (const MemoryImage::LogEntry& entry : disk_.image_.log) bytes += entry.bytes.size();
  return bytes;
}

size_t MemoryLog::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::vector<Batch> MemoryLog::take(size_t batches_max) {
  const std::lock_guard lock(mutex_);
  std::vector<Batch> batches;
  while (state_.accepting && !waiting_.empty() && batches.size() < batches_max) {
    batches.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return batches;
}

bool MemoryLog::commit_next(size_t merged) {
  CHECK(reader_ != nullptr);
  std::vector<Batch> batches = take(merged);
  if (batches.empty()) return false;
  const auto [first_of_all, last_clock] = disk_.end();
  const WallMs clock = std::max(last_clock, clock_.wall_ms());
  disk_.commit(entry_of(batches, first_of_all, clock), clock);
  std::vector<CommittedBatch> committed;
  Position first = first_of_all;
  for (Batch& batch : batches) {
    const size_t count = batch.records.size();
    committed.push_back({first, clock, batch.origin, batch.ticket, std::move(batch.records)});
    first = Position(first.value + count);
  }
  reader_->on_committed(committed);
  return true;
}

bool MemoryLog::run_posted() {
  std::deque<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (std::function<void()>& task : tasks) task();
  return !tasks.empty();
}

size_t MemoryLog::pump(size_t batches_max) {
  size_t given = 0;
  while (true) {
    const bool ran = run_posted();
    const bool committed = given < batches_max && commit_next();
    given += committed ? 1 : 0;
    if (!ran && !committed) return given;
  }
}

void MemoryLog::stall(std::string reason) {
  LogState state{false, std::move(reason)};
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  if (reader_ != nullptr) reader_->on_state(state);
}

void MemoryLog::unstall() {
  {
    const std::lock_guard lock(mutex_);
    state_ = {};
  }
  if (reader_ != nullptr) reader_->on_state({});
}

MemoryImage MemoryLog::crash(size_t appended_kept, size_t state_writes_lost) const {
  CHECK(appended_kept == 0 || state_writes_lost == 0);
  MemoryImage image = disk_.image_without(state_writes_lost);
  const std::lock_guard lock(mutex_);
  CHECK(appended_kept <= waiting_.size());
  for (size_t i = 0; i < appended_kept; ++i) {
    image.clock = std::max(image.clock, clock_.wall_ms());
    std::vector<Batch> one{waiting_[i]};
    image.log.push_back(entry_of(one, image.next, image.clock));
    image.next = Position(image.next.value + image.log.back().record_count);
  }
  if (sabotaged(Sabotage::skip_sync)) {
    // What the log said was safe was not: only what a checkpoint wrote is on the disk.
    while (!image.log.empty() && image.log.back().first > image.position) {
      image.next = image.log.back().first;
      image.log.pop_back();
    }
  }
  return image;
}

}  // namespace courier::store
