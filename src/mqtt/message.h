// An application message: what one publisher said once, shared unchanged by all who receive it.
//
// Immutable after make(); any thread may hold it. What differs by receiver (QoS, packet id, RETAIN, DUP,
// subscription identifiers, alias, remaining expiry) is not here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/intrusive.h"
#include "mqtt/protocol.h"

namespace courier::mqtt {

struct Message : RefCounted<Message> {
  std::string topic;
  std::string payload;
  // The 5.0 properties that are passed on unaltered, as they stood on the wire and in their order
  // (without the length in front): Payload Format Indicator, Content Type, Response Topic,
  // Correlation Data, User Property. [MQTT-3.3.2-17], [MQTT-3.3.2-18]
  std::string properties;
  SessionId publisher;    // for No Local; 0 when the publisher is not a session (the node itself)
  WallMs expires_at = 0;  // when the message expiry interval ends; 0 = never
  WallMs received_at = 0;
  Qos qos = Qos::at_most_once;  // as published
  bool retain = false;          // the RETAIN flag as published

  // What this message costs in memory, in bytes; the unit of every byte limit on queues.
  size_t cost() const { return sizeof(Message) + topic.size() + payload.size() + properties.size(); }
};
using MessagePtr = Intrusive<const Message>;

}  // namespace courier::mqtt
