#include "sim_etcd.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/sabotage.h"
#include "record/codec.h"

namespace courier::sim {

NodeEpoch SimEtcd::join() {
  last_ = NodeEpoch(last_.value + 1);
  members_.insert(last_);
  return last_;
}

bool SimEtcd::append(NodeEpoch node, WallMs clock, const store::Batch& batch) {
  if (!alive(node) && !sabotaged(Sabotage::skip_epoch_compare)) return false;
  Entry entry{next_, batch.records.size(), clock, node, batch.origin, batch.ticket, {}};
  if (!log_.empty()) entry.clock = std::max(entry.clock, log_.back().clock);
  entry.bytes = record::encode_batch(entry.clock, entry.record_count, batch.encoded);
  next_ = Position(next_.value + entry.record_count);
  log_.push_back(std::move(entry));
  return true;
}

// Whoever has the largest number for it, of those who are there: as few as possible change when one goes.
bool SimMembers::should_own(uint16_t partition) const {
  const auto weight = [partition](NodeEpoch node) {
    uint64_t x = node.value * 0x9E3779B97F4A7C15ull ^ partition * 0xD6E8FEB86659FD93ull;
    x ^= x >> 32;
    return x * 0xD6E8FEB86659FD93ull;
  };
  const auto best = std::ranges::max_element(members_, {}, weight);
  return best != members_.end() && *best == epoch_;
}

store::CommittedBatch SimLog::batch_at(size_t index, Position from) const {
  const SimEtcd::Entry& entry = etcd_.log()[index];
  auto decoded = record::decode_batch(entry.bytes);
  CHECK(decoded && decoded->records.size() == entry.record_count && from == entry.first);
  store::CommittedBatch batch{entry.first, decoded->clock, store::kNoOrigin, 0, std::move(decoded->records),
                              entry.node};
  if (entry.node == epoch_) {
    batch.origin = entry.origin;
    batch.ticket = entry.ticket;
  }
  return batch;
}

Result<void> SimLog::replay(Position after,
                            const std::function<Result<void>(store::CommittedBatch&&)>& fold) {
  for (; seen_ < etcd_.log().size(); ++seen_) {
    const Position first = etcd_.log()[seen_].first;
    if (first <= after) continue;  // checkpoints stand between batches
    if (auto folded = fold(batch_at(seen_, first)); !folded) return folded;
  }
  return {};
}

void SimLog::commit(size_t count) {
  for (; count > 0 && commits(); --count) {
    if (!etcd_.append(epoch_, clock_.wall_ms(), waiting_.front())) {
      dead_ = true;
      return;
    }
    waiting_.pop_front();
  }
}

size_t SimLog::feed(size_t count) {
  for (auto& task : std::exchange(posted_, {})) task();
  size_t given = 0;
  std::vector<store::CommittedBatch> batches;
  for (; reader_ && given < count && behind(); ++given, ++seen_) {
    batches.push_back(batch_at(seen_, etcd_.log()[seen_].first));
  }
  if (!batches.empty()) reader_->on_committed(batches);
  return given;
}

void SimLog::tell(store::LogState state) {
  state_ = std::move(state);
  if (reader_) reader_->on_state(state_);
}
void SimLog::stall(std::string reason) {
  tell({false, std::move(reason)});
}
void SimLog::unstall() {
  tell({});
}

}  // namespace courier::sim
