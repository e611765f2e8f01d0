// Bytes to packets. Sans-I/O: knows no socket, keeps no buffer of its own.
//
// The owner of the read buffer calls decode_one() on what has arrived; a whole packet is parsed in place and
// borrowed from that buffer. Nothing is copied, memory is bounded by the caller's maximum packet size, and a
// length that exceeds it is refused from the fixed header alone, before the body arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "mqtt/packet.h"

namespace courier::mqtt {

enum class Side : uint8_t { server, client };  // who decodes

struct NeedMore {
  size_t total = 0;  // size of the whole packet when already known, else 0
};

// Malformed or illegal: the connection must end. [MQTT-4.13.1-1]
//
// A rule that the specification calls a Protocol Error gives protocol_error, every other one
// malformed_packet, save for those that have a code of their own (packet_too_large, topic_alias_invalid,
// unsupported_protocol_version). Clauses are numbered as in 5.0; a rule that only 3.1.1 has says so.
struct Violation {
  ReasonCode reason{};        // what a 5.0 peer is told
  std::string_view what;      // static text: "both QoS bits are set"
  std::string_view clause{};  // static text: "MQTT-3.3.1-4"; may be empty
  // The packet it is about; absent when the first byte named none.
  std::optional<PacketType> packet = std::nullopt;
  // For a refused CONNECT: the version in which to answer it with a CONNACK, once it has named one. With an
  // unsupported level it is the nearest that the peer may understand: 3.x answers 0x01, 5.0 answers 0x84.
  // Absent: this is not MQTT or the CONNECT broke off before its level; close without an answer.
  std::optional<Version> version = std::nullopt;
};
// "PUBLISH: both QoS bits are set [MQTT-3.3.1-4]", for logs.
std::string describe(const Violation& violation);

struct Decoded {
  Decoded() = default;
  Decoded(Packet p, size_t s) : packet(std::move(p)), size(s) {}
  // Makes the packet where it stays.
  template <typename Body>
  Decoded(std::in_place_type_t<Body> body, size_t s) : packet(body), size(s) {}

  Packet packet;
  size_t size = 0;  // bytes consumed from the front
};

struct DecodeLimits {
  uint32_t packet_size_max = 256 * 1024 * 1024;
  // Accepts what one family of Android clients adds to 3.1.1: user properties after the CONNECT's password
  // (a 5.0 property block, or bare 0x26 name value triples), and the bits 0x04 (non-persistent) and 0x08
  // (no retry) in the options of a SUBSCRIBE.
  bool v3_1_1_extensions = false;
};

using DecodeResult = std::variant<Decoded, NeedMore, Violation>;

// Decodes the packet at the front of `bytes`. A server passes nullopt-like version v5 = unknown before
// CONNECT: the version in force is `version`, ignored for CONNECT itself, which names its own. `first` is
// true until the CONNECT of this connection was decoded: anything but CONNECT is then a violation, and later
// a second CONNECT is. [MQTT-3.1.0-1], [MQTT-3.1.0-2] A client's `first` is ignored: which answer it waits
// for is known to its own state only.
//
// Time and memory are linear in the packet's size: at most one vector element per 3 bytes of it. A PUBLISH
// without subscription identifiers allocates nothing, unless its forwarded properties are interleaved with
// others (see Publish::forwarded_properties).
//
// Topic filters are checked to be UTF-8 and not empty, no more: whether wildcards and $share are well formed
// is for whoever answers the SUBSCRIBE, filter by filter (topic.h).
DecodeResult decode_one(std::string_view bytes, Version version, Side side, bool first,
                        const DecodeLimits& limits);

// The size of the packet at the front of what encode() wrote.
size_t encoded_packet_size(std::string_view bytes);

}  // namespace courier::mqtt
