// An application message: what one publisher said once, shared unchanged by all who receive it.
//
// One piece of memory: topic, payload and properties stand behind the object, so that passing a message on
// touches little memory; the thread that lets go of it keeps it for its next. Immutable once shared; any
// thread may hold it. What differs by receiver (QoS, packet id, RETAIN, DUP, subscription identifiers, alias,
// remaining expiry) is not here.
#pragma once

#include <cstdint>
#include <new>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/intrusive.h"
#include "mqtt/protocol.h"

namespace courier::mqtt {

class Message : public RefCounted<Message> {
 public:
  // Copies what it is given. The caller fills in the rest and holds it by MessagePtr.
  static Message* make(std::string_view topic, std::string_view payload, std::string_view properties = {});
  // Before its end, since its size says where its memory belongs.
  static void operator delete(Message* message, std::destroying_delete_t);
  // What the calling thread keeps for its next messages.
  static size_t spare_bytes();

  const std::string_view topic, payload;
  // The 5.0 properties that are passed on unaltered, as they stood on the wire and in their order
  // (without the length in front): Payload Format Indicator, Content Type, Response Topic,
  // Correlation Data, User Property. [MQTT-3.3.2-17], [MQTT-3.3.2-18]
  const std::string_view properties;
  SessionId publisher;    // for No Local; 0 when the publisher is not a session (the node itself)
  WallMs expires_at = 0;  // when the message expiry interval ends; 0 = never
  WallMs received_at = 0;
  Qos qos = Qos::at_most_once;  // as published
  bool retain = false;          // the RETAIN flag as published
  // What the access rule that allowed it is called (auth::acl::LabelId); 0: nothing. For metrics only, and
  // known only to the run of the node that took it: it is not stored.
  uint8_t label = 0;

  // What this message counts for, in bytes; the unit of every byte limit on queues. Stored with inboxes, so
  // kOverhead stays what it is.
  static constexpr size_t kOverhead = 136;
  size_t cost() const { return kOverhead + topic.size() + payload.size() + properties.size(); }

 private:
  Message(std::string_view topic, std::string_view payload, std::string_view properties)
      : topic(topic), payload(payload), properties(properties) {}
};
using MessagePtr = Intrusive<const Message>;

}  // namespace courier::mqtt
