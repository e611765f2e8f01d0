// Packets to bytes, appended to a std::string that the caller owns.
//
// encode() CHECKs only what our own code controls (lengths ≤ 65,535, ids not 0 where required). Properties are
// left out in 3.x. `maximum_packet_size` is the receiver's: reason string and user properties that would
// break it are left out [MQTT-3.2.2-19 and its siblings]; the caller has checked PUBLISH before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mqtt/message.h"
#include "mqtt/packet.h"

namespace courier::mqtt {

void encode(std::string& out, const Packet& packet, Version version,
            uint32_t maximum_packet_size = 0xFFFFFFFF);

// The broker's hot path: one message to one receiver, without building a Publish.
struct Delivery {
  Qos qos{};
  bool dup = false, retain = false;
  PacketId packet_id;                                      // required when qos > 0
  uint32_t message_expiry_seconds = 0;                     // 0: absent
  uint16_t topic_alias = 0;                                // 0: absent
  bool topic_known_by_alias = false;                       // then the topic is sent empty
  const uint32_t* subscription_identifiers = nullptr;      // count of them below
  size_t subscription_identifier_count = 0;
};
// Size in bytes of what encode_delivery() would append.
size_t encoded_size(const Message& message, const Delivery& delivery, Version version);
void encode_delivery(std::string& out, const Message& message, const Delivery& delivery, Version version);

}  // namespace courier::mqtt
