// Port: the way to the other nodes of a cluster for what skips the log, which is QoS 0. apps/courierd puts
// the mesh there, test/sim a network that loses; a node alone has none.
//
// Called on the thread of the shard that is named; never blocks. What cannot go now is dropped and counted by
// the driver. What arrives is Node::from_peer()'s.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "mqtt/message.h"
#include "record/directory.h"

namespace courier::broker {

class Peers {
 public:
  virtual ~Peers() = default;
  // A message for sessions that are connected to that node, which gives it to them once it has folded what
  // stands in the log up to `after`.
  virtual void deliver(uint32_t shard, NodeEpoch node, Position after, const mqtt::MessagePtr& message,
                       std::vector<record::Delivery::To> to) = 0;
  // The end of a Turn.
  virtual void flush(uint32_t shard) = 0;
};

}  // namespace courier::broker
