// What of the log this node has read and still may need: for tail_bytes(), for what is done, for how long the
// log may grow. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "cluster/etcd/piece.h"

namespace courier::cluster::etcd {

class Tail {
 public:
  // A revision was read, with all that is in it. `last` is the position that the log stands at behind it.
  // Of `open` the batches are whose beginning has been read, and not their end.
  void add(uint64_t revision, Position last, uint64_t bytes, std::vector<Assembly::Open> open);
  void reset();

  // The state as of `position` is stored. Only positions behind a whole revision count, and those in between
  // like the revision before.
  void checkpointed(Position position);
  // Bytes that no checkpoint covers.
  uint64_t uncovered_bytes() const;

  struct Done {
    uint64_t revision = 0;
    std::vector<Assembly::Open> open;  // as of then
  };
  // What the latest checkpoint covers; nullopt before the first one.
  std::optional<Done> done() const;

  // Bytes of all that was read after `revision` and not dropped; and dropping what is truncated.
  uint64_t bytes_after(uint64_t revision) const;
  void drop(uint64_t revision);

 private:
  struct Entry {
    uint64_t revision = 0;
    Position last;
    uint64_t bytes = 0;
    std::vector<Assembly::Open> open;
  };
  struct Size {
    uint64_t revision = 0, bytes = 0;
  };
  mutable std::mutex mutex_;
  std::deque<Entry> uncovered_;  // guarded by mutex_, like all below
  uint64_t uncovered_bytes_ = 0;
  std::optional<Done> done_;
  std::deque<Size> log_;
  uint64_t log_bytes_ = 0;
};

}  // namespace courier::cluster::etcd
