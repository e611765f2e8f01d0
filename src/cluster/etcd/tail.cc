#include "cluster/etcd/tail.h"

#include <utility>

namespace courier::cluster::etcd {

void Tail::add(uint64_t revision, Position last, uint64_t bytes, std::vector<Assembly::Open> open) {
  const std::lock_guard lock(mutex_);
  uncovered_.push_back({revision, last, bytes, std::move(open)});
  uncovered_bytes_ += bytes;
  log_.push_back({revision, bytes});
  log_bytes_ += bytes;
}

void Tail::reset() {
  const std::lock_guard lock(mutex_);
  uncovered_.clear();
  log_.clear();
  uncovered_bytes_ = log_bytes_ = 0;
  done_.reset();
}

void Tail::checkpointed(Position position) {
  const std::lock_guard lock(mutex_);
  while (!uncovered_.empty() && uncovered_.front().last <= position) {
    Entry& entry = uncovered_.front();
    uncovered_bytes_ -= entry.bytes;
    done_ = Done{entry.revision, std::move(entry.open)};
    uncovered_.pop_front();
  }
}

uint64_t Tail::uncovered_bytes() const {
  const std::lock_guard lock(mutex_);
  return uncovered_bytes_;
}

std::optional<Tail::Done> Tail::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

uint64_t Tail::bytes_after(uint64_t revision) const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = log_bytes_;
  for (const Size& size : log_) {
    if (size.revision > revision) break;
    bytes -= size.bytes;
  }
  return bytes;
}

void Tail::drop(uint64_t revision) {
  const std::lock_guard lock(mutex_);
  while (!log_.empty() && log_.front().revision <= revision) {
    log_bytes_ -= log_.front().bytes;
    log_.pop_front();
  }
}

}  // namespace courier::cluster::etcd
