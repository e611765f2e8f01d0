// A packet as one line for `courier client trace`. Payloads are shown by size, never by content.
#pragma once

#include <string>

#include "mqtt/encoder.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"

namespace courier::broker {

std::string trace_line(const mqtt::Packet& packet);
std::string trace_line(const mqtt::Message& message, const mqtt::Delivery& delivery);

}  // namespace courier::broker
