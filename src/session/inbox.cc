#include "session/inbox.h"

#include "base/check.h"

namespace courier::session {

namespace {

bool by_seq(const Inbox::StepOf& step, uint64_t seq) {
  return step.seq < seq;
}

// A sorted list as a small set.
bool contains(const std::vector<uint64_t>& sorted, uint64_t seq) {
  return std::binary_search(sorted.begin(), sorted.end(), seq);
}
void insert(std::vector<uint64_t>& sorted, uint64_t seq) {
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), seq);
  if (it == sorted.end() || *it != seq) sorted.insert(it, seq);
}
bool erase(std::vector<uint64_t>& sorted, uint64_t seq) {
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), seq);
  if (it == sorted.end() || *it != seq) return false;
  sorted.erase(it);
  return true;
}

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
    if (contains(settled_in_gap_, seq)) return false;
    erased_.push_back(settled);
    insert(settled_in_gap_, seq);
  }
  CHECK(count_ > 0);
  --count_;
  bytes_ -= std::min<uint64_t>(bytes_, settled.bytes);
  const auto step = std::lower_bound(steps_.begin(), steps_.end(), seq, by_seq);
  if (step != steps_.end() && step->seq == seq) steps_.erase(step);
  settle_front();
  return true;
}

bool Inbox::settled_in_gap(uint64_t seq) const {
  return contains(settled_in_gap_, seq);
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
    if (!erase(settled_in_gap_, head_base_)) break;
    ++head_base_;
    if (!has_gap()) {
      std::swap(head_, tail_);
      tail_base_ = head_base_ + head_.size();
    }
  }
  if (!has_gap()) tail_base_ = head_base_ + head_.size();
  first_ = head_base_;
}

bool Inbox::set_step(uint64_t seq, Step step) {
  if (seq < first_ || seq >= next()) return false;
  if (Entry* entry = slot(seq)) {
    if (entry->done) return false;
    entry->step = step;
  } else if (contains(settled_in_gap_, seq)) {
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
    if (contains(settled_in_gap_, row.seq)) {
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
    for (size_t i = 0; i < tail_.size(); ++i) head_.push_back(std::move(tail_[i]));
    tail_.clear();
    tail_base_ = head_base_ + head_.size();
  }
  settle_front();
}

void Inbox::release(size_t keep) {
  for (size_t i = head_.size(); i > keep; --i) {
    if (!head_[i - 1].decided()) continue;
    keep = i;
    break;
  }
  if (head_.size() > keep && !has_gap()) {
    uint64_t end = head_base_ + keep;  // of what may go
    while (end < tail_base_ && (head_[end - head_base_].flushed || head_[end - head_base_].done)) ++end;
    if (end > head_base_ + keep) {
      for (uint64_t seq = end; seq < tail_base_; ++seq) tail_.push_back(std::move(head_[seq - head_base_]));
      for (uint64_t seq = head_base_ + keep; seq < end; ++seq) {
        // Its row may still be there until the next checkpoint.
        if (head_[seq - head_base_].done) insert(settled_in_gap_, seq);
      }
      head_.truncate(keep);
      tail_base_ = end;
    }
  }
  if (has_gap() && head_.size() > keep) {
    size_t end = head_.size();
    while (end > keep && (head_[end - 1].flushed || head_[end - 1].done)) {
      --end;
      if (head_[end].done) insert(settled_in_gap_, head_base_ + end);
    }
    head_.truncate(end);
  }
  while (has_gap() && !tail_.empty() && !tail_.front().decided() &&
         (tail_.front().flushed || tail_.front().done)) {
    if (tail_.front().done) insert(settled_in_gap_, tail_base_);
    tail_.pop_front();
    ++tail_base_;
  }
  settle_front();
}

void Inbox::restore(uint64_t first, uint64_t next, uint64_t count, uint64_t bytes,
                    std::vector<StepOf> steps) {
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
