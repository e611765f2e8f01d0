#include "mqtt/decoder.h"

#include "base/check.h"
#include "mqtt/codec.h"
#include "mqtt/wire.h"

namespace courier::mqtt {
namespace {

Violation refuse(ReasonCode reason, std::string_view what, std::string_view clause, PacketType type) {
  return {.reason = reason, .what = what, .clause = clause, .packet = type};
}

enum class Sender : uint8_t { client, server, both };

struct TypeRules {
  Sender sender;
  uint8_t flags;  // the only legal ones; PUBLISH has its own rules
  std::string_view flags_clause;
};

// Tables 2-1 and 2-2, by packet type.
constexpr TypeRules kRules[] = {
    {Sender::both, 0, ""},                 // 0 is no packet
    {Sender::client, 0, "MQTT-2.1.3-1"},   // CONNECT
    {Sender::server, 0, "MQTT-2.1.3-1"},   // CONNACK
    {Sender::both, 0, ""},                 // PUBLISH
    {Sender::both, 0, "MQTT-2.1.3-1"},     // PUBACK
    {Sender::both, 0, "MQTT-2.1.3-1"},     // PUBREC
    {Sender::both, 2, "MQTT-3.6.1-1"},     // PUBREL
    {Sender::both, 0, "MQTT-2.1.3-1"},     // PUBCOMP
    {Sender::client, 2, "MQTT-3.8.1-1"},   // SUBSCRIBE
    {Sender::server, 0, "MQTT-2.1.3-1"},   // SUBACK
    {Sender::client, 2, "MQTT-3.10.1-1"},  // UNSUBSCRIBE
    {Sender::server, 0, "MQTT-2.1.3-1"},   // UNSUBACK
    {Sender::client, 0, "MQTT-2.1.3-1"},   // PINGREQ
    {Sender::server, 0, "MQTT-2.1.3-1"},   // PINGRESP
    {Sender::both, 0, "MQTT-3.14.1-1"},    // DISCONNECT
    {Sender::both, 0, "MQTT-3.15.1-1"},    // AUTH
};

// 3.1 lets DUP be set where it expects an answer; it was dropped with 3.1.1.
constexpr uint8_t kDupOf31 = 0x08;

std::optional<Violation> check_flags(PacketType type, uint8_t flags, Version version) {
  if (type == PacketType::publish) {
    if ((flags & 0x06) == 0x06) {
      return refuse(ReasonCode::malformed_packet, "both QoS bits are set", "MQTT-3.3.1-4", type);
    }
    if ((flags & 0x0E) == 0x08) {
      return refuse(ReasonCode::malformed_packet, "DUP is set with QoS 0", "MQTT-3.3.1-2", type);
    }
    return std::nullopt;
  }
  const TypeRules& rules = kRules[static_cast<size_t>(type)];
  if (version == Version::v3_1 && rules.flags != 0) flags &= static_cast<uint8_t>(~kDupOf31);
  if (flags == rules.flags) return std::nullopt;
  return refuse(ReasonCode::malformed_packet, "reserved flag bits are set wrongly", rules.flags_clause, type);
}

// All that the first byte alone can be refused for.
std::optional<Violation> check_first_byte(uint8_t byte, Version version, Side side, bool first) {
  const PacketType type{static_cast<uint8_t>(byte >> 4)};
  if (byte >> 4 == 0)
    return Violation{.reason = ReasonCode::malformed_packet, .what = "packet type 0 is reserved"};
  if (side == Side::server) {
    const bool connect = type == PacketType::connect;
    if (first && !connect) {
      return refuse(ReasonCode::protocol_error, "the first packet is not CONNECT", "MQTT-3.1.0-1", type);
    }
    if (!first && connect)
      return refuse(ReasonCode::protocol_error, "a second CONNECT", "MQTT-3.1.0-2", type);
  }
  const TypeRules& rules = kRules[static_cast<size_t>(type)];
  if (side == Side::server && rules.sender == Sender::server) {
    return refuse(ReasonCode::protocol_error, "only a server may send this packet", "", type);
  }
  if (side == Side::client && rules.sender == Sender::client) {
    return refuse(ReasonCode::protocol_error, "only a client may send this packet", "", type);
  }
  if (version != Version::v5 && type == PacketType::auth) {
    return refuse(ReasonCode::malformed_packet, "packet type 15 is reserved before 5.0", "", type);
  }
  if (version != Version::v5 && side == Side::client && type == PacketType::disconnect) {
    return refuse(ReasonCode::protocol_error, "before 5.0 only a client may send DISCONNECT", "", type);
  }
  return check_flags(type, byte & 0x0F, version);
}

void decode(Reader&, const DecodeContext&, Pingreq&) {}
void decode(Reader&, const DecodeContext&, Pingresp&) {}

template <typename Body>
DecodeResult decode_as(Reader in, DecodeContext context, PacketType type, size_t size) {
  DecodeResult result(std::in_place_type<Decoded>, std::in_place_type<Body>, size);
  decode(in, context, *std::get_if<Body>(&std::get_if<Decoded>(&result)->packet));
  in.require(in.empty(), ReasonCode::malformed_packet, "bytes are left after the last field");
  if (in.failed()) [[unlikely]] {
    Violation violation = in.violation();
    violation.packet = type;
    if (!violation.version) violation.version = context.named_version;
    result = violation;
  }
  return result;
}

DecodeResult decode_body(const Reader& in, const DecodeContext& context, PacketType type, size_t size) {
  switch (type) {
    case PacketType::connect:
      return decode_as<Connect>(in, context, type, size);
    case PacketType::connack:
      return decode_as<Connack>(in, context, type, size);
    case PacketType::publish:
      return decode_as<Publish>(in, context, type, size);
    case PacketType::puback:
      return decode_as<Puback>(in, context, type, size);
    case PacketType::pubrec:
      return decode_as<Pubrec>(in, context, type, size);
    case PacketType::pubrel:
      return decode_as<Pubrel>(in, context, type, size);
    case PacketType::pubcomp:
      return decode_as<Pubcomp>(in, context, type, size);
    case PacketType::subscribe:
      return decode_as<Subscribe>(in, context, type, size);
    case PacketType::suback:
      return decode_as<Suback>(in, context, type, size);
    case PacketType::unsubscribe:
      return decode_as<Unsubscribe>(in, context, type, size);
    case PacketType::unsuback:
      return decode_as<Unsuback>(in, context, type, size);
    case PacketType::pingreq:
      return decode_as<Pingreq>(in, context, type, size);
    case PacketType::pingresp:
      return decode_as<Pingresp>(in, context, type, size);
    case PacketType::disconnect:
      return decode_as<Disconnect>(in, context, type, size);
    case PacketType::auth:
      return decode_as<Auth>(in, context, type, size);
  }
  check_failed("a packet type of four bits", __FILE__, __LINE__);
}

// Remaining Length, section 2.1.4.
struct Length {
  enum class State : uint8_t { complete, incomplete, malformed } state;
  uint32_t value = 0;
  size_t size = 0;
};

Length read_length(std::string_view bytes) {
  Length length{Length::State::incomplete};
  for (const char digit : bytes.substr(0, 4)) {
    const uint8_t bits = static_cast<uint8_t>(digit);
    length.value |= uint32_t{bits & 0x7Fu} << (7 * length.size++);
    if ((bits & 0x80) != 0) continue;
    const bool minimal = bits != 0 || length.size == 1;  // [MQTT-1.5.5-1]
    length.state = minimal ? Length::State::complete : Length::State::malformed;
    return length;
  }
  if (length.size == 4) length.state = Length::State::malformed;
  return length;
}

// In which version a CONNECT, from its variable header on, is to be answered. The outer one is empty while
// that has not come, the inner one when it is no MQTT.
std::optional<std::optional<Version>> named_version(std::string_view body) {
  constexpr std::string_view kNames[] = {{"\0\4MQTT", 6}, {"\0\6MQIsdp", 8}};
  for (const std::string_view name : kNames) {
    if (body.size() <= name.size()) {
      if (name.starts_with(body.substr(0, name.size()))) return std::nullopt;
    } else if (body.starts_with(name)) {
      return body[name.size()] < 5 ? Version::v3_1_1 : Version::v5;
    }
  }
  return std::optional<Version>();
}

}  // namespace

PacketId read_packet_id(Reader& in) {
  const PacketId packet_id(in.two_bytes());
  in.require(packet_id.value != 0, ReasonCode::protocol_error, "the packet identifier is 0", "MQTT-2.2.1-3");
  return packet_id;
}

DecodeResult decode_one(std::string_view bytes, Version version, Side side, bool first,
                        const DecodeLimits& limits) {
  if (bytes.empty()) return NeedMore{};
  const uint8_t first_byte = static_cast<uint8_t>(bytes[0]);
  if (std::optional<Violation> violation = check_first_byte(first_byte, version, side, first))
    return *violation;
  const PacketType type{static_cast<uint8_t>(first_byte >> 4)};

  const Length length = read_length(bytes.substr(1));
  switch (length.state) {
    case Length::State::complete:
      break;
    case Length::State::incomplete:
      return NeedMore{};
    case Length::State::malformed:
      return refuse(ReasonCode::malformed_packet, "the remaining length has more bytes than it may",
                    "MQTT-1.5.5-1", type);
  }
  const size_t header_size = 1 + length.size;
  const size_t size = header_size + length.value;
  if (size > limits.packet_size_max) {
    Violation violation = refuse(ReasonCode::packet_too_large, "the packet exceeds the maximum packet size",
                                 side == Side::server ? "MQTT-3.2.2-15" : "MQTT-3.1.2-24", type);
    if (side == Side::server && type == PacketType::connect) {
      // It is told so, in the words of its version, as soon as it has named that.
      const auto named = named_version(bytes.substr(header_size));
      if (!named) return NeedMore{size};
      violation.version = *named;
    }
    return violation;
  }
  if (bytes.size() < size) return NeedMore{size};

  const DecodeContext context{.version = version,
                              .side = side,
                              .flags = static_cast<uint8_t>(first_byte & 0x0F),
                              .v3_1_1_extensions = limits.v3_1_1_extensions};
  return decode_body(Reader(bytes.substr(header_size, length.value)), context, type, size);
}

std::string describe(const Violation& violation) {
  std::string text;
  if (violation.packet) text.append(name(*violation.packet)).append(": ");
  text.append(violation.what);
  if (!violation.clause.empty()) text.append(" [").append(violation.clause).append("]");
  return text;
}

size_t encoded_packet_size(std::string_view bytes) {
  size_t size = 0, at = 1;
  for (unsigned shift = 0; at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    size |= size_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) break;
  }
  CHECK(at + size <= bytes.size());
  return at + size;
}

}  // namespace courier::mqtt
