// Bytes to packets. Sans-I/O: knows no socket, keeps no buffer of its own.
//
// The owner of the read buffer calls decode_one() on what has arrived; a whole packet is parsed in place and
// borrowed from that buffer. Nothing is copied, memory is bounded by the caller's maximum packet size, and a
// length that exceeds it is refused from the fixed header alone, before the body arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "mqtt/packet.h"

namespace courier::mqtt {

enum class Side : uint8_t { server, client };  // who decodes

struct NeedMore {
  size_t total = 0;  // size of the whole packet when already known, else 0
};

// Malformed or illegal: the connection must end. [MQTT-4.13.1-1]
struct Violation {
  ReasonCode reason{};      // what a 5.0 peer is told: malformed_packet, protocol_error, packet_too_large…
  std::string_view what;    // static text: "PUBLISH: QoS bits are 3"
  std::string_view clause;  // static text: "MQTT-3.3.1-4"; may be empty
};

struct Decoded {
  Packet packet;
  size_t size = 0;  // bytes consumed from the front
};

struct DecodeLimits {
  uint32_t packet_size_max = 256 * 1024 * 1024;
};

// Decodes the packet at the front of `bytes`. A server passes nullopt-like version v5 = unknown before CONNECT:
// the version in force is `version`, ignored for CONNECT itself, which names its own.
// `first` is true until the CONNECT of this connection was decoded: anything but CONNECT is then a violation,
// and later a second CONNECT is. [MQTT-3.1.0-1], [MQTT-3.1.0-2]
std::variant<Decoded, NeedMore, Violation> decode_one(std::string_view bytes, Version version, Side side,
                                                      bool first, const DecodeLimits& limits);

}  // namespace courier::mqtt
