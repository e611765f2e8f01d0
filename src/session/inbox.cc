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
  Motion& motion = motion_.make();
  if (count_ == 0) {
    // Nothing is owed: start afresh behind whatever was.
    motion.head.clear();
    motion.tail.clear();
    motion.settled_in_gap.clear();
    first_ = next_;
  }
  ++count_;
  bytes_ += entry.message->cost();
  (has_gap() ? motion.tail : motion.head).push_back(std::move(entry));
  return next_++;
}

Entry* Inbox::slot(uint64_t seq) {
  Motion* motion = motion_.get();
  if (!motion) return nullptr;
  if (seq >= first_ && seq < head_end()) return &motion->head[seq - first_];
  if (seq >= tail_begin() && seq < next_) return &motion->tail[seq - tail_begin()];
  return nullptr;
}

Entry* Inbox::find(uint64_t seq) {
  Entry* entry = slot(seq);
  return entry && !entry->done ? entry : nullptr;
}

bool Inbox::finish(const Settled& settled) {
  const uint64_t seq = settled.seq;
  if (seq < first_ || seq >= next_) return false;
  Motion& motion = motion_.make();
  if (Entry* entry = slot(seq)) {
    if (entry->done) return false;
    if (entry->flushed) motion.erased.push_back({seq, entry->position, settled.bytes, entry->sole});
    *entry = Entry{};
    entry->done = true;
  } else {
    if (contains(motion.settled_in_gap, seq)) return false;
    motion.erased.push_back(settled);
    insert(motion.settled_in_gap, seq);
  }
  CHECK(count_ > 0);
  --count_;
  bytes_ -= std::min<uint64_t>(bytes_, settled.bytes);
  const auto step = std::lower_bound(motion.steps.begin(), motion.steps.end(), seq, by_seq);
  if (step != motion.steps.end() && step->seq == seq) motion.steps.erase(step);
  settle_front();
  return true;
}

bool Inbox::settled_in_gap(uint64_t seq) const {
  return contains(motion_->settled_in_gap, seq);
}

// Moves first_ and the rings past what is settled, so that neither holes nor the gap's list grow.
void Inbox::settle_front() {
  Motion& motion = motion_.make();
  if (count_ == 0) {
    motion.head.clear();
    motion.tail.clear();
    motion.settled_in_gap.clear();
    first_ = next_;
    bytes_ = 0;
    trim();
    return;
  }
  for (;;) {
    if (!motion.head.empty()) {
      if (!motion.head.front().done) break;
      motion.head.pop_front();
      ++first_;
      continue;
    }
    if (!has_gap()) break;
    if (!erase(motion.settled_in_gap, first_)) break;
    ++first_;
    if (!has_gap()) std::swap(motion.head, motion.tail);
  }
}

bool Inbox::set_step(uint64_t seq, Step step) {
  if (seq < first_ || seq >= next_) return false;
  std::vector<StepOf>& steps = motion_.make().steps;
  if (Entry* entry = slot(seq)) {
    if (entry->done) return false;
    entry->step = step;
  } else if (settled_in_gap(seq)) {
    return false;
  }
  const auto it = std::lower_bound(steps.begin(), steps.end(), seq, by_seq);
  if (it != steps.end() && it->seq == seq) {
    it->step = step;
  } else {
    steps.insert(it, {seq, step});
  }
  return true;
}

void Inbox::absorb(std::vector<Loaded> rows, uint64_t upto) {
  CHECK(upto <= gap_end());
  Motion& motion = motion_.make();
  Entries& head = motion.head;
  for (Loaded& row : rows) {
    const uint64_t expected = head_end();
    if (row.seq < expected || row.seq >= upto) continue;  // read before, or settled since it was asked for
    for (uint64_t hole = expected; hole < row.seq; ++hole) head.emplace_back().done = true;
    Entry& entry = head.emplace_back(std::move(row.entry));
    entry.flushed = true;
    if (contains(motion.settled_in_gap, row.seq)) {
      entry = Entry{};
      entry.done = true;
      continue;
    }
    const auto step = std::lower_bound(motion.steps.begin(), motion.steps.end(), row.seq, by_seq);
    if (step != motion.steps.end() && step->seq == row.seq) entry.step = step->step;
  }
  while (head_end() < upto) head.emplace_back().done = true;
  std::erase_if(motion.settled_in_gap, [&](uint64_t seq) { return seq < upto; });
  if (!has_gap()) {
    for (size_t i = 0; i < motion.tail.size(); ++i) head.push_back(std::move(motion.tail[i]));
    motion.tail.clear();
  }
  settle_front();
}

void Inbox::release(size_t keep) {
  if (!motion_) return;
  Motion& motion = motion_.make();
  Entries &head = motion.head, &tail = motion.tail;
  for (size_t i = head.size(); i > keep; --i) {
    if (!head[i - 1].decided()) continue;
    keep = i;
    break;
  }
  const auto may_go = [](const Entry& entry) { return entry.flushed || entry.done; };
  if (head.size() > keep && !has_gap()) {
    size_t end = keep;  // of what may go
    while (end < head.size() && may_go(head[end])) ++end;
    if (end > keep) {
      for (size_t i = end; i < head.size(); ++i) tail.push_back(std::move(head[i]));
      for (size_t i = keep; i < end; ++i) {
        // Its row may still be there until the next checkpoint.
        if (head[i].done) insert(motion.settled_in_gap, first_ + i);
      }
      head.truncate(keep);
    }
  }
  if (has_gap() && head.size() > keep) {
    size_t end = head.size();
    while (end > keep && may_go(head[end - 1])) {
      --end;
      if (head[end].done) insert(motion.settled_in_gap, first_ + end);
    }
    head.truncate(end);
  }
  while (has_gap() && !tail.empty() && !tail.front().decided() && may_go(tail.front())) {
    if (tail.front().done) insert(motion.settled_in_gap, tail_begin());
    tail.pop_front();
  }
  settle_front();
}

void Inbox::forget_progress() {
  Motion* motion = motion_.get();
  if (!motion) return;
  for (Entries* entries : {&motion->head, &motion->tail}) {
    for (size_t i = 0; i < entries->size(); ++i) {
      Entry& entry = (*entries)[i];
      entry.transmitted = entry.step_pending = entry.acked = entry.leaving = false;
    }
  }
}

void Inbox::restore(uint64_t first, uint64_t next, uint64_t count, uint64_t bytes,
                    std::vector<StepOf> steps) {
  motion_.drop();
  first_ = count == 0 ? next : first;
  next_ = next;
  count_ = count;
  bytes_ = bytes;
  if (steps.empty()) return;
  motion_.make().steps = std::move(steps);
  motion_.make().unflushed = next;
}

void Inbox::clear() {
  motion_.drop();
  first_ = next_;
  count_ = bytes_ = 0;
}

void Inbox::trim() {
  if (at_rest() && motion_->steps.empty()) motion_.drop();
}

// What a flood made large is not kept.
bool Inbox::Motion::empty_out() {
  constexpr size_t kKept = 16;
  head.clear();
  tail.clear();
  unflushed = 0;
  const auto empty = [](auto& list) {
    list.clear();
    if (list.capacity() > kKept) list.shrink_to_fit();
  };
  empty(erased);
  empty(settled_in_gap);
  empty(steps);
  return true;
}

}  // namespace courier::session
