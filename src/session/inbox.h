// The messages (QoS ≥ 1) that a session still owes its client, in order.
//
// Each gets the next sequence number; its packet id follows from that: 1 + seq mod 65,535. Entries leave in
// any order (acks), so the memory part is a ring indexed by sequence, with holes.
//
//        first_                             gap (rows on disk only)                    next_
//          | head: oldest, in memory .........|............................| tail: newest, in memory |
//
// While nothing is on disk only, there is no gap and everything is in head. A dormant session keeps nothing
// in memory: its gap is all there is. Rows are written once (flush) and erased once; what changes is not in
// them.
//
// Most inboxes owe nothing, and there are millions: what is needed while something moves is one part
// (Motion), which comes with the first message and goes, to whoever is next, once nothing is left in it.
//
// Owned by one shard. Pure: no I/O; the owner loads rows and gives them to absorb().
//
// Invariants
// 1. count() and bytes() are of all entries, wherever they are.
// 2. An entry leaves memory only after its row is written (`flushed`, and the owner's release()).
// 3. A row is erased exactly once, and only if it was flushed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/recycled.h"
#include "base/ring.h"
#include "mqtt/message.h"

namespace courier::session {

// Where an entry came from when it came through a shared subscription.
struct GroupOrigin {
  uint64_t group = 0, seq = 0;
  bool operator==(const GroupOrigin&) const = default;
};

enum class Step : uint8_t {
  queued,    // QoS 1 or 2, not known to be at the client
  sent,      // QoS 2: SENT is back
  received,  // QoS 2: RECEIVED is back; only the PUBREL is owed
};

struct Entry {
  mqtt::MessagePtr message;
  Position position;
  mqtt::Qos qos{};
  Step step = Step::queued;
  bool retain : 1 = false;   // the RETAIN flag that the client gets
  bool sole : 1 = false;     // no other inbox names this message
  bool flushed : 1 = false;  // its row was handed to a checkpoint
  bool done : 1 = false;     // a hole
  // What the acting owner does with it now; not part of the fold.
  bool transmitted : 1 = false;   // went out on the live connection
  bool step_pending : 1 = false;  // its SENT or RECEIVED was appended and is not back
  bool acked : 1 = false;         // the client answered; the record about it may not be back
  bool leaving : 1 = false;       // its DROPPED or EXPIRED was appended and is not back
  struct Extras {
    std::vector<uint32_t> subscription_identifiers;
    GroupOrigin origin;
  };
  std::unique_ptr<Extras> extras;  // only where there are any

  // The owner has said what becomes of it, and that is not back. Read from disk again it would be an entry
  // like any other, and be sent or settled a second time.
  bool decided() const { return !done && (acked || leaving); }

  GroupOrigin origin() const { return extras ? extras->origin : GroupOrigin{}; }
};

constexpr PacketId packet_id_of(uint64_t seq) {
  return PacketId(static_cast<uint16_t>(1 + seq % 65'535));
}

class Inbox {
 public:
  // Takes the next sequence.
  uint64_t push(Entry entry);
  // The entry, if it is in memory and not done.
  Entry* find(uint64_t seq);

  // A message that is settled: acked, completed, dropped, expired or withdrawn. It says enough to account for
  // an entry that is on disk only.
  struct Settled {
    uint64_t seq = 0;
    Position position;
    uint32_t bytes = 0;  // Message::cost()
    bool sole = false;
  };
  // False when it was settled before, or never was here.
  bool finish(const Settled& settled);

  // QoS 2: SENT or RECEIVED is back. Known also for entries on disk only; absorb() restores it.
  bool set_step(uint64_t seq, Step step);
  struct StepOf {
    uint64_t seq = 0;
    Step step{};
    bool operator==(const StepOf&) const = default;
  };
  const std::vector<StepOf>& steps() const {
    return motion_->steps;
  }  // in order of seq; only sent and received

  uint64_t first() const { return first_; }  // no entry is below
  uint64_t next() const { return next_; }
  uint64_t count() const { return count_; }
  uint64_t bytes() const { return bytes_; }
  bool empty() const { return count_ == 0; }

  // --- memory and disk ---
  // First and one past the last sequence that are on disk only; equal when there is no gap.
  uint64_t gap_begin() const { return has_gap() ? head_end() : next_; }
  uint64_t gap_end() const { return has_gap() ? tail_begin() : next_; }
  bool has_gap() const { return head_end() != tail_begin(); }

  struct Loaded {
    uint64_t seq = 0;
    Entry entry;
  };
  // Whether a sequence on disk only is settled: its row may still be there.
  bool settled_in_gap(uint64_t seq) const;
  // Puts rows read from [gap_begin(), upto) into memory; sequences without a row are holes. Rows that are
  // settled already are left out. `upto` ≤ gap_end().
  void absorb(std::vector<Loaded> rows, uint64_t upto);

  // Calls `write(seq, entry)` for each entry whose row was never handed out and marks it flushed.
  template <typename Write>
  void flush(Write&& write) {
    Motion* motion = motion_.get();
    if (!motion) return;
    const auto each = [&](Entries& ring, uint64_t base) {
      for (uint64_t seq = std::max(base, motion->unflushed); seq < base + ring.size(); ++seq) {
        Entry& entry = ring[seq - base];
        if (entry.done || entry.flushed) continue;
        write(seq, static_cast<const Entry&>(entry));
        entry.flushed = true;
      }
    };
    each(motion->head, first_);
    each(motion->tail, tail_begin());
    motion->unflushed = next_;
  }
  // Rows that were flushed and were settled since the last call: they are to be erased.
  std::vector<Settled> take_erased() {
    return motion_ ? std::exchange(motion_.make().erased, {}) : std::vector<Settled>{};
  }

  // Somebody else acts for the session from now on: what this owner had done with its entries is not so.
  void forget_progress();

  // After a checkpoint was written: forgets flushed entries beyond the first `keep`. They are on disk. What
  // is decided() stays, and what is before it.
  void release(size_t keep);

  // From a stored header. Nothing is in memory then.
  void restore(uint64_t first, uint64_t next, uint64_t count, uint64_t bytes, std::vector<StepOf> steps);
  // Forgets everything but the sequence; returns [first, next) whose rows are to be erased as a range.
  void clear();

  // Whether first(), next(), count(), bytes() and steps() say all there is.
  bool at_rest() const {
    return motion_->head.empty() && motion_->tail.empty() && motion_->erased.empty() &&
           motion_->settled_in_gap.empty();
  }
  size_t memory_entries() const { return motion_->head.size() + motion_->tail.size(); }
  // Gives back what an inbox needs only while something moves; it does so itself when its last message goes.
  void trim();

 private:
  Entry* slot(uint64_t seq);  // in memory, done or not
  void settle_front();

  // Empty they keep room for a usual window, for the next inbox: a message that comes, goes and is acked
  // allocates nothing.
  using Entries = Ring<Entry, 16>;
  struct Motion {
    Entries head, tail;
    uint64_t unflushed = 0;  // all entries below were flushed or are done
    std::vector<Settled> erased;
    std::vector<uint64_t> settled_in_gap;  // their rows may still be read
    std::vector<StepOf> steps;

    bool empty_out();
  };
  uint64_t head_end() const { return first_ + motion_->head.size(); }
  uint64_t tail_begin() const { return next_ - motion_->tail.size(); }

  uint64_t first_ = 0;  // of head; without one, of the gap
  uint64_t next_ = 0;
  uint64_t count_ = 0, bytes_ = 0;
  Recycled<Motion> motion_;
};

}  // namespace courier::session
