// CONNECT, section 3.1. The order of the payload is client identifier, will properties, will topic, will
// payload, user name, password. [MQTT-3.1.3-1]
#include "mqtt/codec.h"

namespace courier::mqtt {
namespace {

enum ConnectFlag : uint8_t {
  kReserved = 0x01,
  kCleanStart = 0x02,
  kWill = 0x04,
  kWillQos = 0x18,
  kWillRetain = 0x20,
  kPassword = 0x40,
  kUsername = 0x80,
};
constexpr int kWillQosShift = 3;

struct Protocol {
  std::string_view name;
  Version version;
};
constexpr Protocol kProtocols[] = {
    {"MQIsdp", Version::v3_1}, {"MQTT", Version::v3_1_1}, {"MQTT", Version::v5}};

// Name and level. A level that is not ours keeps the name's nearest version in the violation, so that the
// server can say so in words that the client may know. [MQTT-3.1.2-1], [MQTT-3.1.2-2]
std::optional<Version> read_protocol(Reader& in) {
  const std::string_view name = in.binary();
  const uint8_t level = in.byte();
  if (in.failed()) return std::nullopt;
  std::optional<Version> nearest;
  for (const Protocol& protocol : kProtocols) {
    if (protocol.name != name) continue;
    if (static_cast<uint8_t>(protocol.version) == level) return protocol.version;
    if (!nearest || static_cast<uint8_t>(protocol.version) < level) nearest = protocol.version;
  }
  in.fail({.reason = ReasonCode::unsupported_protocol_version,
           .what = nearest ? "the protocol level is not supported" : "the protocol name is not MQTT's",
           .clause = nearest ? "MQTT-3.1.2-2" : "MQTT-3.1.2-1",
           .version = nearest});
  return std::nullopt;
}

void check_flags(Reader& in, uint8_t flags, Version version) {
  const auto require = [&](bool condition, std::string_view what, std::string_view clause) {
    in.require(condition, ReasonCode::malformed_packet, what, clause);
  };
  const bool will = (flags & kWill) != 0;
  require((flags & kWillQos) != kWillQos, "will QoS is 3", "MQTT-3.1.2-12");
  if (version == Version::v3_1) {
    // 3.1 says nothing of the bits below.
  } else {
    require((flags & kReserved) == 0, "the reserved connect flag is set", "MQTT-3.1.2-3");
    require(will || (flags & kWillQos) == 0, "will QoS without a will", "MQTT-3.1.2-11");
    require(will || (flags & kWillRetain) == 0, "will retain without a will", "MQTT-3.1.2-13");
  }
  if (version != Version::v5) {
    require((flags & kUsername) != 0 || (flags & kPassword) == 0, "a password without a user name",
            "MQTT-3.1.2-22 of 3.1.1");
  }
}

void read_connect_properties(Reader& in, Connect& packet) {
  PropertySet set = read_properties(in, PropertyHost::connect);
  packet.session_expiry_seconds = set.session_expiry_interval;
  packet.receive_maximum = set.receive_maximum;
  packet.maximum_packet_size = set.maximum_packet_size;
  packet.topic_alias_maximum = set.topic_alias_maximum;
  packet.request_response_information = set.request_response_information.value_or(false);
  packet.request_problem_information = set.request_problem_information.value_or(true);
  packet.user_properties = std::move(set.user_properties);
  packet.authentication_method = set.authentication_method;
  packet.authentication_data = set.authentication_data;
  // Section 3.1.2.11.10.
  in.require(packet.authentication_method || !packet.authentication_data, ReasonCode::protocol_error,
             "authentication data without a method");
}

Will read_will(Reader& in, uint8_t flags, Version version) {
  Will will;
  will.qos = static_cast<Qos>((flags & kWillQos) >> kWillQosShift);
  will.retain = (flags & kWillRetain) != 0;
  if (version == Version::v5) {
    ForwardedView forwarded;
    const PropertySet set = read_will_properties(in, forwarded);
    will.delay_seconds = set.will_delay_interval.value_or(0);
    will.message_expiry_seconds = set.message_expiry_interval;
    forwarded.finish(will.forwarded_properties, will.gathered);
  }
  will.topic = in.string();  // [MQTT-3.1.3-11]
  in.require(is_topic_name(will.topic), ReasonCode::malformed_packet,
             "the will topic is empty or has a wildcard", "MQTT-4.7.0-1");
  will.payload = in.binary();
  return will;
}

// 3.1 clients of old may set the flags and end the packet early; the fields are absent then (3.1,
// section 3.1).
bool has_field(const Reader& in, uint8_t flags, ConnectFlag flag, Version version) {
  return (flags & flag) != 0 && (version != Version::v3_1 || !in.empty());
}

// DecodeLimits::v3_1_1_extensions. A block begins with its length, so its second byte is an identifier; a
// bare triple's second byte is the high byte of a length that could not be so large in what is left.
void read_trailing_user_properties(Reader& in, UserProperties& user_properties) {
  constexpr uint8_t kIdentifier = static_cast<uint8_t>(PropertyId::user_property);
  Reader block(in.rest());
  Reader with_length = block;
  if (with_length.variable_byte_integer() == with_length.left() && !with_length.failed()) block = with_length;
  while (!block.empty()) {
    block.require(block.byte() == kIdentifier, ReasonCode::malformed_packet,
                  "bytes after the password are not user properties");
    UserProperty property;
    property.name = block.string();
    property.value = block.string();
    if (!block.failed()) user_properties.push_back(property);
  }
  if (block.failed()) in.fail(block.violation());
}

}  // namespace

void decode(Reader& in, DecodeContext& context, Connect& packet) {
  const std::optional<Version> version = read_protocol(in);
  if (!version) return;
  packet.version = *version;
  context.named_version = version;
  const uint8_t flags = in.byte();
  check_flags(in, flags, *version);
  packet.clean_start = (flags & kCleanStart) != 0;
  packet.keep_alive_seconds = in.two_bytes();
  if (*version == Version::v5) read_connect_properties(in, packet);
  packet.client_id = in.string();  // [MQTT-3.1.3-4]
  if ((flags & kWill) != 0) packet.will = read_will(in, flags, *version);
  if (has_field(in, flags, kUsername, *version)) packet.username = in.string();  // [MQTT-3.1.3-12]
  if (has_field(in, flags, kPassword, *version)) packet.password = in.binary();
  if (context.v3_1_1_extensions && *version == Version::v3_1_1 && !in.empty()) {
    read_trailing_user_properties(in, packet.user_properties);
  }
}

bool encode(Writer& out, const EncodeContext& context, const Connect& packet) {
  CHECK(context.version == Version::v5 || packet.username || !packet.password);
  const bool v5 = context.version == Version::v5;
  out.string(context.version == Version::v3_1 ? "MQIsdp" : "MQTT");
  out.byte(static_cast<uint8_t>(context.version));
  uint8_t flags = packet.clean_start ? kCleanStart : 0;
  if (packet.will) {
    flags |= kWill | static_cast<uint8_t>(packet.will->qos) << kWillQosShift;
    if (packet.will->retain) flags |= kWillRetain;
  }
  if (packet.username) flags |= kUsername;
  if (packet.password) flags |= kPassword;
  out.byte(flags);
  out.two_bytes(packet.keep_alive_seconds);
  bool fits = true;
  if (v5) {
    PropertyWriter properties(out);
    properties.put(PropertyId::session_expiry_interval, packet.session_expiry_seconds);
    properties.put(PropertyId::receive_maximum, packet.receive_maximum);
    properties.put(PropertyId::maximum_packet_size, packet.maximum_packet_size);
    properties.put(PropertyId::topic_alias_maximum, packet.topic_alias_maximum);
    if (packet.request_response_information)
      properties.put(PropertyId::request_response_information, std::optional(true));
    if (!packet.request_problem_information)
      properties.put(PropertyId::request_problem_information, std::optional(false));
    properties.put(PropertyId::authentication_method, packet.authentication_method);
    properties.put(PropertyId::authentication_data, packet.authentication_data);
    properties.put(packet.user_properties);
    fits = properties.close();
  }
  out.string(packet.client_id);
  if (packet.will) {
    if (v5) {
      PropertyWriter properties(out);
      if (packet.will->delay_seconds != 0) {
        properties.put(PropertyId::will_delay_interval, std::optional<uint32_t>(packet.will->delay_seconds));
      }
      properties.put(PropertyId::message_expiry_interval, packet.will->message_expiry_seconds);
      properties.put_forwarded(packet.will->forwarded_properties);
      fits = properties.close() && fits;
    }
    out.string(packet.will->topic);
    out.string(packet.will->payload);
  }
  if (packet.username) out.string(*packet.username);
  if (packet.password) out.string(*packet.password);
  return fits;
}

}  // namespace courier::mqtt
