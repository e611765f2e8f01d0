// PUBLISH, section 3.3: the hot path. Decoding borrows everything; encoding knows its size before it writes.
#include "mqtt/codec.h"
#include "mqtt/encoder.h"

namespace courier::mqtt {
namespace {

constexpr uint8_t kRetainFlag = 0x01;
constexpr uint8_t kQosFlags = 0x06;
constexpr int kQosShift = 1;
constexpr uint8_t kDupFlag = 0x08;

void read_publish_properties(Reader& in, Side side, Publish& packet) {
  PropertyWalk walk(in, PropertyHost::publish);
  ForwardedView forwarded;
  for (Property property; walk.next(property);) {
    if (is_forwarded(property.id)) {
      forwarded.add(property.bytes);
    } else if (property.id == PropertyId::message_expiry_interval) {
      packet.message_expiry_seconds = property.number;
    } else if (property.id == PropertyId::topic_alias) {
      packet.topic_alias = static_cast<uint16_t>(property.number);
    } else {  // the table leaves only the subscription identifier
      in.require(side == Side::client, ReasonCode::protocol_error, "a subscription identifier from a client",
                 "MQTT-3.3.4-6");
      packet.subscription_identifiers.push_back(property.number);
    }
  }
  forwarded.finish(packet.forwarded_properties, packet.gathered);
}

// A PUBLISH about to be written, from whatever it was made of.
struct Parts {
  uint8_t flags = 0;
  std::string_view topic, forwarded, payload;
  PacketId packet_id;  // written when not 0
  std::optional<uint32_t> message_expiry_seconds;
  uint16_t topic_alias = 0;  // 0: absent
  const uint32_t* subscription_identifiers = nullptr;
  size_t subscription_identifier_count = 0;
  bool v5 = false;
};

size_t properties_size(const Parts& parts) {
  size_t size = parts.forwarded.size();
  if (parts.message_expiry_seconds) size += 1 + 4;
  if (parts.topic_alias != 0) size += 1 + 2;
  for (size_t i = 0; i < parts.subscription_identifier_count; ++i) {
    size += 1 + variable_byte_integer_size(parts.subscription_identifiers[i]);
  }
  return size;
}

// Sizes are size_t and may exceed what a packet can have: whoever writes compares with kPacketSizeMax first.
size_t length_size(size_t length) {
  return length > kVariableByteIntegerMax ? 4 : variable_byte_integer_size(static_cast<uint32_t>(length));
}

struct Sizes {
  size_t properties, remaining, total;
};

Sizes measure(const Parts& parts) {
  Sizes sizes{};
  sizes.remaining = 2 + parts.topic.size() + parts.payload.size();
  if (parts.packet_id) sizes.remaining += 2;
  if (parts.v5) {
    sizes.properties = properties_size(parts);
    sizes.remaining += length_size(sizes.properties) + sizes.properties;
  }
  sizes.total = 1 + length_size(sizes.remaining) + sizes.remaining;
  return sizes;
}

void write(std::string& out, const Parts& parts, const Sizes& sizes) {
  out.reserve(out.size() + sizes.total);
  Writer writer(out);
  writer.byte(static_cast<uint8_t>(static_cast<unsigned>(PacketType::publish) << 4 | parts.flags));
  writer.variable_byte_integer(static_cast<uint32_t>(sizes.remaining));
  writer.string(parts.topic);
  if (parts.packet_id) writer.two_bytes(parts.packet_id.value);
  if (parts.v5) {
    writer.variable_byte_integer(static_cast<uint32_t>(sizes.properties));
    if (parts.message_expiry_seconds) {
      writer.byte(static_cast<uint8_t>(PropertyId::message_expiry_interval));
      writer.four_bytes(*parts.message_expiry_seconds);
    }
    if (parts.topic_alias != 0) {
      writer.byte(static_cast<uint8_t>(PropertyId::topic_alias));
      writer.two_bytes(parts.topic_alias);
    }
    for (size_t i = 0; i < parts.subscription_identifier_count; ++i) {
      writer.byte(static_cast<uint8_t>(PropertyId::subscription_identifier));
      writer.variable_byte_integer(parts.subscription_identifiers[i]);
    }
    writer.raw(parts.forwarded);
  }
  writer.raw(parts.payload);
}

uint8_t flags_of(Qos qos, bool dup, bool retain) {
  CHECK(!dup || qos != Qos::at_most_once);  // [MQTT-3.3.1-2]
  return static_cast<uint8_t>(static_cast<unsigned>(qos) << kQosShift | (dup ? kDupFlag : 0) |
                              (retain ? kRetainFlag : 0));
}

Parts parts_of(const Publish& packet, Version version) {
  CHECK((packet.qos == Qos::at_most_once) == !packet.packet_id);  // [MQTT-2.2.1-2], [MQTT-2.2.1-4]
  return {.flags = flags_of(packet.qos, packet.dup, packet.retain),
          .topic = packet.topic,
          .forwarded = packet.forwarded_properties,
          .payload = packet.payload,
          .packet_id = packet.packet_id,
          .message_expiry_seconds = packet.message_expiry_seconds,
          .topic_alias = packet.topic_alias.value_or(0),
          .subscription_identifiers = packet.subscription_identifiers.data(),
          .subscription_identifier_count = packet.subscription_identifiers.size(),
          .v5 = version == Version::v5};
}

Parts parts_of(const Message& message, const Delivery& delivery, Version version) {
  const bool v5 = version == Version::v5;
  Parts parts{.flags = flags_of(delivery.qos, delivery.dup, delivery.retain),
              .topic = message.topic,
              .forwarded = message.properties,
              .payload = message.payload,
              .packet_id = delivery.packet_id,
              .message_expiry_seconds = std::nullopt,
              .topic_alias = delivery.topic_alias,
              .subscription_identifiers = delivery.subscription_identifiers,
              .subscription_identifier_count = delivery.subscription_identifier_count,
              .v5 = v5};
  if (delivery.qos == Qos::at_most_once) parts.packet_id = {};  // [MQTT-2.2.1-2]
  CHECK(delivery.qos == Qos::at_most_once || parts.packet_id);  // [MQTT-2.2.1-4]
  if (delivery.message_expiry_seconds != 0) parts.message_expiry_seconds = delivery.message_expiry_seconds;
  if (v5 && delivery.topic_known_by_alias) {
    CHECK(delivery.topic_alias != 0);
    parts.topic = {};
  }
  return parts;
}

}  // namespace

void decode(Reader& in, const DecodeContext& context, Publish& packet) {
  packet.dup = (context.flags & kDupFlag) != 0;
  packet.retain = (context.flags & kRetainFlag) != 0;
  packet.qos = static_cast<Qos>((context.flags & kQosFlags) >> kQosShift);
  packet.topic = in.string();  // [MQTT-3.3.2-1]
  in.require(!has_wildcard(packet.topic), ReasonCode::malformed_packet, "the topic has a wildcard",
             "MQTT-3.3.2-2");
  if (packet.qos != Qos::at_most_once) packet.packet_id = read_packet_id(in);
  if (context.version == Version::v5) read_publish_properties(in, context.side, packet);
  // Section 3.3.2.1, [MQTT-4.7.3-1]
  in.require(!packet.topic.empty() || packet.topic_alias, ReasonCode::protocol_error,
             "an empty topic without a topic alias", "MQTT-4.7.3-1");
  packet.payload = in.rest();
}

bool encode_publish(std::string& out, const Publish& packet, Version version, uint32_t maximum_packet_size) {
  const Parts parts = parts_of(packet, version);
  const Sizes sizes = measure(parts);
  if (sizes.total > maximum_packet_size || sizes.total > kPacketSizeMax) return false;
  write(out, parts, sizes);
  return true;
}

size_t encoded_size(const Message& message, const Delivery& delivery, Version version) {
  return measure(parts_of(message, delivery, version)).total;
}

bool encode_delivery(std::string& out, const Message& message, const Delivery& delivery, Version version) {
  const Parts parts = parts_of(message, delivery, version);
  const Sizes sizes = measure(parts);
  if (sizes.total > kPacketSizeMax) return false;
  write(out, parts, sizes);
  return true;
}

}  // namespace courier::mqtt
