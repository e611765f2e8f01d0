// Packets to bytes, appended to a std::string that the caller owns.
//
// encode() CHECKs only what our own code controls (lengths ≤ 65,535, ids not 0 where required). Properties
// are left out in 3.x, and so is what 3.x has no word for (reasons in PUBACK, UNSUBACK, DISCONNECT).
// `maximum_packet_size` is the receiver's. User properties, then the reason string, are left out where they
// would break it ([MQTT-3.2.2-19] and its siblings); the caller has checked PUBLISH before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mqtt/message.h"
#include "mqtt/packet.h"

namespace courier::mqtt {

// A CONNECT is written in `version`, whatever its own field says. False, and nothing appended: the packet
// does not fit into maximum_packet_size, or into the 268,435,460 bytes that any MQTT packet can have.
// [MQTT-3.1.2-24]
bool encode(std::string& out, const Packet& packet, Version version,
            uint32_t maximum_packet_size = 0xFFFFFFFF);

// The broker's hot path: one message to one receiver, without building a Publish.
struct Delivery {
  Qos qos{};
  bool dup = false, retain = false;
  PacketId packet_id;                                  // required when qos > 0
  uint32_t message_expiry_seconds = 0;                 // 0: absent
  uint16_t topic_alias = 0;                            // 0: absent
  bool topic_known_by_alias = false;                   // then the topic is sent empty
  const uint32_t* subscription_identifiers = nullptr;  // count of them below
  size_t subscription_identifier_count = 0;
};
// Size in bytes of what encode_delivery() would append. No allocation.
size_t encoded_size(const Message& message, const Delivery& delivery, Version version);
// Allocates nothing but the growth of `out`. False, and nothing appended: the size is beyond what any MQTT
// packet can have; a receiver's own maximum is checked by the caller, with encoded_size().
bool encode_delivery(std::string& out, const Message& message, const Delivery& delivery, Version version);

}  // namespace courier::mqtt
