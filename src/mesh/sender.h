// One shard's way out to other nodes: messages are encoded into a buffer for each peer, and handed to the
// mesh's thread once a Turn.
//
// Owned by the Mesh, used by one thread, that of its shard. deliver() takes no lock and makes no system call;
// flush() takes one lock, for a push, and wakes the mesh's thread if that sleeps. Nothing here ever waits.
//
// 1. Messages to one peer arrive in the order in which they were sent, or not at all.
// 2. What waits for one peer, in all shards and the mesh's thread, is bounded (Limits::queue_bytes_max); the
//    message that would go beyond is dropped and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mesh/core.h"
#include "mesh/counters.h"
#include "mesh/frame.h"
#include "mesh/limits.h"

namespace courier::mesh {

class Sender {
 public:
  Sender(std::shared_ptr<Core> core, size_t queue_bytes_max, Registry& registry);
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // `deliver.from` is ignored. False if it was dropped: that is counted already.
  bool deliver(NodeEpoch to, const Deliver& deliver);
  // The end of a Turn.
  void flush();

 private:
  struct Slot {
    PeerPtr peer;
    std::string bytes;   // frames; the last one is open while `messages` is not 0
    size_t open_at = 0;  // where that one begins
    uint32_t messages = 0;
    size_t claimed = 0;   // of peer->queued: what may still be written
    size_t expected = 0;  // how much a Turn had of late
  };

  Slot* slot_of(NodeEpoch to);
  void look_again();
  bool claim(Slot& slot, size_t bytes);
  void hand_over(Slot& slot);

  const std::shared_ptr<Core> core_;  // shared with the mesh's thread and the other senders
  const size_t queue_bytes_max_;
  DropCounters drops_;
  uint64_t version_ = 0;  // of the peers in slots_
  std::vector<Slot> slots_;
  std::vector<Outgoing> out_;
  bool dirty_ = false;
};

}  // namespace courier::mesh
