#include "session/inbox.h"

#include "base/check.h"

namespace courier::session {

namespace {
bool by_seq(const Inbox::StepOf& step, uint64_t seq) { return step.seq < seq; }
}  // namespace

uint64_t Inbox::push(Entry entry) {
  const uint64_t seq = next();
  if (count_ == 0) {
    // Nothing is owed: start afresh behind whatever was.
    head_.clear();
    tail_.clear();
    head_base_ = tail_base_ = first_ = seq;
    settled_in_gap_.clear();
  }
  ++count_;
  bytes_ += entry.message->cost();
  if (has_gap()) {
    tail_.push_back(std::move(entry));
  } else {
    head_.push_back(std::move(entry));
    tail_base_ = head_base_ + head_.size();
  }
  return seq;
}

Entry* Inbox::slot(uint64_t seq) {
  if (seq >= head_base_ && seq < head_base_ + head_.size()) return &head_[seq - head_base_];
  if (seq >= tail_base_ && seq < tail_base_ + tail_.size()) return &tail_[seq - tail_base_];
  return nullptr;
}

Entry* Inbox::find(uint64_t seq) {
  Entry* entry = slot(seq);
  return entry && !entry->done ? entry : nullptr;
}

bool Inbox::finish(const Settled& settled) {
  const uint64_t seq = settled.seq;
  if (seq < first_ || seq >= next()) return false;
  if (Entry* entry = slot(seq)) {
    if (entry->done) return false;
    if (entry->flushed) erased_.push_back({seq, entry->position, settled.bytes, entry->sole});
    *entry = Entry{};
    entry->done = true;
  } else {
    if (std::find(settled_in_gap_.begin(), settled_in_gap_.end(), seq) != settled_in_gap_.end()) return false;
    erased_.push_back(settled);
    settled_in_gap_.push_back(seq);
  }
  CHECK(count_ > 0);
  --count_;
  bytes_ -= std::min<uint64_t>(bytes_, settled.bytes);
  const auto step = std::lower_bound(steps_.begin(), steps_.end(), seq, by_seq);
  if (step != steps_.end() && step->seq == seq) steps_.erase(step);
  settle_front();
  return true;
}

// Moves first_ and the rings past what is settled, so that neither holes nor the gap's list grow.
void Inbox::settle_front() {
  if (count_ == 0) {
    const uint64_t end = next();
    head_.clear();
    tail_.clear();
    head_base_ = tail_base_ = first_ = end;
    settled_in_gap_.clear();
    bytes_ = 0;
    return;
  }
  for (;;) {
    if (!head_.empty()) {
      if (!head_.front().done) break;
      head_.pop_front();
      ++head_base_;
      continue;
    }
    if (!has_gap()) break;
    const auto it = std::find(settled_in_gap_.begin(), settled_in_gap_.end(), head_base_);
    if (it == settled_in_gap_.end()) break;
    *it = settled_in_gap_.back();
    settled_in_gap_.pop_back();
    ++head_base_;
    if (!has_gap()) std::swap(head_, tail_);
  }
  if (!has_gap()) tail_base_ = head_base_ + head_.size();
  first_ = head_base_;
}

bool Inbox::set_step(uint64_t seq, Step step) {
  if (seq < first_ || seq >= next()) return false;
  if (Entry* entry = slot(seq)) {
    if (entry->done) return false;
    entry->step = step;
  } else if (std::find(settled_in_gap_.begin(), settled_in_gap_.end(), seq) != settled_in_gap_.end()) {
    return false;
  }
  const auto it = std::lower_bound(steps_.begin(), steps_.end(), seq, by_seq);
  if (it != steps_.end() && it->seq == seq) {
    it->step = step;
  } else {
    steps_.insert(it, {seq, step});
  }
  return true;
}

void Inbox::absorb(std::vector<Loaded> rows, uint64_t upto) {
  CHECK(upto <= gap_end());
  for (Loaded& row : rows) {
    const uint64_t expected = head_base_ + head_.size();
    if (row.seq < expected || row.seq >= upto) continue;  // read before, or settled since it was asked for
    for (uint64_t hole = expected; hole < row.seq; ++hole) head_.emplace_back().done = true;
    Entry& entry = head_.emplace_back(std::move(row.entry));
    entry.flushed = true;
    const auto settled = std::find(settled_in_gap_.begin(), settled_in_gap_.end(), row.seq);
    if (settled != settled_in_gap_.end()) {
      settled_in_gap_.erase(settled);
      entry = Entry{};
      entry.done = true;
      continue;
    }
    const auto step = std::lower_bound(steps_.begin(), steps_.end(), row.seq, by_seq);
    if (step != steps_.end() && step->seq == row.seq) entry.step = step->step;
  }
  while (head_base_ + head_.size() < upto) head_.emplace_back().done = true;
  std::erase_if(settled_in_gap_, [&](uint64_t seq) { return seq < upto; });
  if (!has_gap()) {
    for (Entry& entry : tail_) head_.push_back(std::move(entry));
    tail_.clear();
    tail_base_ = head_base_ + head_.size();
  }
  settle_front();
}

void Inbox::release(size_t keep) {
  if (head_.size() > keep) {
    // The part of head_ that may go is its flushed end; the rest of head_ behind an unflushed entry stays.
    const bool had_gap = has_gap();
    uint64_t flushed_end = head_base_ + keep;
    while (flushed_end < head_base_ + head_.size()) {
      const Entry& entry = head_[flushed_end - head_base_];
      if (!entry.flushed && !entry.done) break;
      ++flushed_end;
    }
    const uint64_t head_end = head_base_ + head_.size();
    if (!had_gap) {
      tail_.clear();
      for (uint64_t seq = flushed_end; seq < head_end; ++seq) tail_.push_back(std::move(head_[seq - head_base_]));
      tail_base_ = flushed_end;
      head_.resize(keep);
    } else if (flushed_end == head_end) {
      head_.resize(keep);
    }
    // Holes that went are in no row, so a later load finds them settled by absence.
  }
  if (has_gap()) {
    while (!tail_.empty() && (tail_.front().flushed || tail_.front().done)) {
      tail_.pop_front();
      ++tail_base_;
    }
  }
  if (head_.empty()) head_.shrink_to_fit();
  if (tail_.empty()) tail_.shrink_to_fit();
}

void Inbox::restore(uint64_t first, uint64_t next, uint64_t count, uint64_t bytes, std::vector<StepOf> steps) {
  head_.clear();
  tail_.clear();
  if (count == 0) first = next;
  head_base_ = first_ = first;
  tail_base_ = unflushed_ = next;
  count_ = count;
  bytes_ = bytes;
  steps_ = std::move(steps);
}

void Inbox::clear() {
  const uint64_t end = next();
  *this = Inbox{};
  head_base_ = tail_base_ = first_ = unflushed_ = end;
}

}  // namespace courier::session
