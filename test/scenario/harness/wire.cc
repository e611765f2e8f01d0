#include "harness/wire.h"

#include <map>
#include <set>

namespace courier::scenario {

const char* type_name(uint8_t type) {
  static const char* const kNames[] = {
      "reserved",  "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
      "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
  return kNames[type & 15];
}

std::string u8(unsigned value) {
  return std::string(1, static_cast<char>(value));
}
std::string u16(unsigned value) {
  return u8(value >> 8) + u8(value & 0xFF);
}
std::string u32(uint32_t value) {
  return u16(value >> 16) + u16(value & 0xFFFF);
}

std::string varint(uint32_t value) {
  std::string out;
  do {
    const unsigned more = value > 0x7F ? 0x80 : 0;
    out += u8((value & 0x7F) | more);
    value >>= 7;
  } while (value != 0);
  return out;
}

std::string text(std::string_view value) {
  return u16(static_cast<unsigned>(value.size())) + std::string(value);
}

std::string frame(uint8_t first_byte, std::string_view body) {
  return u8(first_byte) + varint(static_cast<uint32_t>(body.size())) + std::string(body);
}

namespace {

enum class Shape { byte, two, four, variable, text, pair };

Shape shape_of(uint8_t id) {
  switch (id) {
    case kPayloadFormat:
    case kRequestProblem:
    case kRequestResponse:
    case kMaximumQos:
    case kRetainAvailable:
    case kWildcardAvailable:
    case kSubscriptionIdAvailable:
    case kSharedAvailable:
      return Shape::byte;
    case kServerKeepAlive:
    case kReceiveMaximum:
    case kTopicAliasMaximum:
    case kTopicAlias:
      return Shape::two;
    case kMessageExpiry:
    case kSessionExpiry:
    case kWillDelay:
    case kMaximumPacketSize:
      return Shape::four;
    case kSubscriptionId:
      return Shape::variable;
    case kUserProperty:
      return Shape::pair;
    default:
      return Shape::text;
  }
}

// What a server may put into its packets. Table 2-4; [MQTT-3.14.2-2] leaves Session Expiry out of DISCONNECT.
const std::map<uint8_t, std::set<uint8_t>>& server_properties() {
  static const std::map<uint8_t, std::set<uint8_t>> kTable = {
      {kConnack,
       {kSessionExpiry, kAssignedClientId, kServerKeepAlive, kAuthMethod, kAuthData, kResponseInformation,
        kServerReference, kReasonString, kReceiveMaximum, kTopicAliasMaximum, kMaximumQos, kRetainAvailable,
        kUserProperty, kMaximumPacketSize, kWildcardAvailable, kSubscriptionIdAvailable, kSharedAvailable}},
      {kPublish,
       {kPayloadFormat, kMessageExpiry, kContentType, kResponseTopic, kCorrelationData, kSubscriptionId,
        kTopicAlias, kUserProperty}},
      {kPuback, {kReasonString, kUserProperty}},
      {kPubrec, {kReasonString, kUserProperty}},
      {kPubrel, {kReasonString, kUserProperty}},
      {kPubcomp, {kReasonString, kUserProperty}},
      {kSuback, {kReasonString, kUserProperty}},
      {kUnsuback, {kReasonString, kUserProperty}},
      {kDisconnect, {kReasonString, kUserProperty, kServerReference}},
      {kAuth, {kAuthMethod, kAuthData, kReasonString, kUserProperty}},
  };
  return kTable;
}

// Which reason codes a server may put into which packet of 5.0.
// [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2],
// [MQTT-3.11.3-2], [MQTT-3.14.2-1], [MQTT-3.15.2-1], [MQTT-4.12.0-2]
const std::map<uint8_t, std::set<uint8_t>>& server_reasons() {
  static const std::map<uint8_t, std::set<uint8_t>> kTable = {
      {kConnack, {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                  0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
      {kPuback, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {kPubrec, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {kPubrel, {0x00, 0x92}},
      {kPubcomp, {0x00, 0x92}},
      {kSuback, {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
      {kUnsuback, {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
      {kDisconnect, {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
                     0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
      // Re-authenticate (0x19) is the client's to say.
      {kAuth, {0x00, 0x18}},
  };
  return kTable;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  std::string_view rest() { return take(bytes_.size()); }
  std::string_view take(size_t count) {
    if (bytes_.size() < count) throw Broken("a packet of the server ends early");
    const std::string_view out = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return out;
  }
  unsigned byte() { return static_cast<uint8_t>(take(1)[0]); }
  unsigned two() {
    const unsigned high = byte();
    return high << 8 | byte();
  }
  uint32_t four() {
    const uint32_t high = two();
    return high << 16 | two();
  }
  uint32_t variable() {
    uint32_t value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      const unsigned next = byte();
      value |= (next & 0x7F) << shift;
      if ((next & 0x80) != 0) continue;
      // [MQTT-1.5.5-1]
      if (shift > 0 && next == 0) throw Broken("a variable byte integer of the server is not minimal");
      return value;
    }
    throw Broken("a variable byte integer of the server has five bytes");
  }
  std::string string() { return std::string(take(two())); }

 private:
  std::string_view bytes_;
};

Properties read_properties(Reader& reader, uint8_t type) {
  Reader in(reader.take(reader.variable()));
  Properties properties;
  std::set<uint8_t> seen;
  while (!in.empty()) {
    const auto id = static_cast<uint8_t>(in.variable());
    const auto allowed = server_properties().find(type);
    if (allowed == server_properties().end() || !allowed->second.contains(id)) {
      throw Broken("property " + std::to_string(id) + " has no place in a " + type_name(type) +
                   " of a server");
    }
    if (!seen.insert(id).second && id != kUserProperty && !(id == kSubscriptionId && type == kPublish)) {
      throw Broken("property " + std::to_string(id) + " stands twice in a " + type_name(type));
    }
    switch (shape_of(id)) {
      case Shape::byte:
        properties.number(static_cast<Property>(id), in.byte());
        break;
      case Shape::two:
        properties.number(static_cast<Property>(id), in.two());
        break;
      case Shape::four:
        properties.number(static_cast<Property>(id), in.four());
        break;
      case Shape::variable:
        properties.number(static_cast<Property>(id), in.variable());
        break;
      case Shape::text:
        properties.text(static_cast<Property>(id), in.string());
        break;
      case Shape::pair: {
        const std::string name = in.string();
        properties.user(name, in.string());
        break;
      }
    }
  }
  return properties;
}

void check_reason(uint8_t type, uint8_t reason) {
  if (!server_reasons().at(type).contains(reason)) {
    throw Broken("reason " + std::to_string(reason) + " has no place in a " + type_name(type) +
                 " of a server");
  }
}

void read_connack(Packet& packet, Reader& in, Version version) {
  const unsigned flags = in.byte();
  if (flags > 1) throw Broken("reserved CONNACK flags are set");  // [MQTT-3.2.2-1]
  packet.session_present = flags == 1;
  packet.reason = static_cast<uint8_t>(in.byte());
  if (version == v5) {
    check_reason(kConnack, packet.reason);
    packet.properties = read_properties(in, kConnack);
  } else if (packet.reason > 5) {
    throw Broken("CONNACK return code above 5");  // [MQTT3-3.2.2-6]
  }
  if (packet.session_present && packet.reason != 0)
    throw Broken("session present in a refusal");  // [MQTT-3.2.2-6]
  if (packet.session_present && version == v3_1) throw Broken("MQTT 3.1 has no session present flag");
}

void read_publish(Packet& packet, Reader& in, Version version) {
  packet.dup = (packet.flags & 8) != 0;
  packet.qos = packet.flags >> 1 & 3;
  packet.retain = (packet.flags & 1) != 0;
  if (packet.qos == 3) throw Broken("QoS bits of a PUBLISH are 3");           // [MQTT-3.3.1-4]
  if (packet.qos == 0 && packet.dup) throw Broken("DUP in a QoS 0 PUBLISH");  // [MQTT-3.3.1-2]
  packet.topic = in.string();                                                 // [MQTT-3.3.2-1]
  if (packet.topic.find_first_of(std::string_view("#+\0", 3)) != std::string::npos) {
    throw Broken("wildcard or null in a topic name: " + packet.topic);  // [MQTT-4.7.0-1]
  }
  if (packet.qos > 0) packet.id = static_cast<uint16_t>(in.two());  // [MQTT-2.2.1-2], [MQTT3-2.3.1-5]
  if (packet.qos > 0 && packet.id == 0) throw Broken("packet identifier 0");  // [MQTT-2.2.1-4]
  if (version == v5) packet.properties = read_properties(in, kPublish);
  if (packet.properties.number(kTopicAlias) == 0u) throw Broken("topic alias 0");  // [MQTT-3.3.2-8]
  if (packet.topic.empty() && !packet.properties.has(kTopicAlias)) throw Broken("neither topic nor alias");
  packet.payload = in.rest();
}

void read_body(Packet& packet, Reader& in, Version version) {
  switch (packet.type) {
    case kConnack:
      return read_connack(packet, in, version);
    case kPublish:
      return read_publish(packet, in, version);
    case kPuback:
    case kPubrec:
    case kPubrel:
    case kPubcomp:
      packet.id = static_cast<uint16_t>(in.two());
      if (version != v5 || in.empty()) return;
      packet.reason = static_cast<uint8_t>(in.byte());
      check_reason(packet.type, packet.reason);
      if (!in.empty()) packet.properties = read_properties(in, packet.type);
      return;
    case kSuback:
    case kUnsuback:
      packet.id = static_cast<uint16_t>(in.two());
      if (version == v5) packet.properties = read_properties(in, packet.type);
      if (version != v5 && packet.type == kUnsuback) return;
      for (const char reason : in.rest()) {
        packet.reasons.push_back(static_cast<uint8_t>(reason));
        if (version == v5) check_reason(packet.type, packet.reasons.back());
        const uint8_t granted = packet.reasons.back();
        if (version != v5 && granted > 2 && granted != 0x80)
          throw Broken("SUBACK return code");  // [MQTT3-3.9.3-2]
      }
      return;
    case kPingresp:
      return;
    case kDisconnect:
      if (version != v5) throw Broken("a 3.x server has no DISCONNECT to send");
      if (in.empty()) return;
      packet.reason = static_cast<uint8_t>(in.byte());
      check_reason(kDisconnect, packet.reason);
      if (!in.empty()) packet.properties = read_properties(in, kDisconnect);
      return;
    case kAuth:
      if (version != v5) throw Broken("a 3.x server has no AUTH to send");
      if (in.empty()) return;
      packet.reason = static_cast<uint8_t>(in.byte());
      check_reason(kAuth, packet.reason);
      packet.properties = read_properties(in, kAuth);
      return;
    default:
      throw Broken(std::string("a server does not send ") + type_name(packet.type));
  }
}

}  // namespace

Properties& Properties::number(Property id, uint32_t value) {
  entries_.push_back({static_cast<uint8_t>(id), value, {}, {}});
  return *this;
}
Properties& Properties::text(Property id, std::string_view value) {
  entries_.push_back({static_cast<uint8_t>(id), 0, std::string(value), {}});
  return *this;
}
Properties& Properties::user(std::string_view name, std::string_view value) {
  entries_.push_back({kUserProperty, 0, std::string(name), std::string(value)});
  return *this;
}

std::string Properties::encoded() const {
  std::string out;
  for (const Entry& entry : entries_) {
    out += u8(entry.id);
    switch (shape_of(entry.id)) {
      case Shape::byte:
        out += u8(entry.number);
        break;
      case Shape::two:
        out += u16(entry.number);
        break;
      case Shape::four:
        out += u32(entry.number);
        break;
      case Shape::variable:
        out += varint(entry.number);
        break;
      case Shape::text:
        out += scenario::text(entry.text);
        break;
      case Shape::pair:
        out += scenario::text(entry.text) + scenario::text(entry.value);
        break;
    }
  }
  return out;
}
std::string Properties::with_length() const {
  const std::string bytes = encoded();
  return varint(static_cast<uint32_t>(bytes.size())) + bytes;
}
bool Properties::has(Property id) const {
  return number(id).has_value();
}
std::optional<uint32_t> Properties::number(Property id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.number;
  }
  return std::nullopt;
}
std::optional<std::string> Properties::text(Property id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.text;
  }
  return std::nullopt;
}
std::vector<uint32_t> Properties::numbers(Property id) const {
  std::vector<uint32_t> out;
  for (const Entry& entry : entries_) {
    if (entry.id == id) out.push_back(entry.number);
  }
  return out;
}
std::vector<std::pair<std::string, std::string>> Properties::user() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Entry& entry : entries_) {
    if (entry.id == kUserProperty) out.emplace_back(entry.text, entry.value);
  }
  return out;
}

std::string connect_packet(const Connect& connect) {
  unsigned flags = connect.clean ? 0x02 : 0;
  std::string payload = text(connect.client_id);
  if (connect.will) {
    flags |= 0x04 | connect.will->qos << 3 | (connect.will->retain ? 0x20 : 0);
    if (connect.version == v5) payload += connect.will->properties.with_length();
    payload += text(connect.will->topic) + text(connect.will->payload);
  }
  if (connect.username) {
    flags |= 0x80;
    payload += text(*connect.username);
  }
  if (connect.password) {
    flags |= 0x40;
    payload += text(*connect.password);
  }
  std::string body = text(connect.version == v3_1 ? "MQIsdp" : "MQTT") + u8(connect.version) + u8(flags) +
                     u16(connect.keep_alive);
  if (connect.version == v5) body += connect.properties.with_length();
  return frame(0x10, body + payload);
}

std::string publish_packet(Version version, const Publish& publish) {
  std::string body = text(publish.topic);
  if (publish.qos > 0) body += u16(publish.id);
  if (version == v5) body += publish.properties.with_length();
  const unsigned flags = (publish.dup ? 8 : 0) | publish.qos << 1 | (publish.retain ? 1 : 0);
  return frame(static_cast<uint8_t>(0x30 | flags), body + publish.payload);
}

std::string reply_packet(Version version, Type type, uint16_t id, uint8_t reason,
                         const Properties& properties) {
  std::string body = u16(id);
  if (version == v5 && (reason != 0 || !properties.entries().empty())) {
    body += u8(reason) + properties.with_length();
  }
  return frame(static_cast<uint8_t>(type << 4 | (type == kPubrel ? 2 : 0)), body);
}

std::string subscribe_packet(Version version, uint16_t id, const std::vector<Filter>& filters,
                             const Properties& properties) {
  std::string body = u16(id);
  if (version == v5) body += properties.with_length();
  for (const Filter& filter : filters) body += text(filter.filter) + u8(filter.options);
  return frame(0x82, body);
}

std::string unsubscribe_packet(Version version, uint16_t id, const std::vector<std::string>& filters,
                               const Properties& properties) {
  std::string body = u16(id);
  if (version == v5) body += properties.with_length();
  for (const std::string& filter : filters) body += text(filter);
  return frame(0xA2, body);
}

std::string disconnect_packet(Version version, uint8_t reason, const Properties& properties) {
  if (version != v5 || (reason == 0 && properties.entries().empty())) return frame(0xE0, "");
  return frame(0xE0, u8(reason) + properties.with_length());
}

std::string auth_packet(uint8_t reason, const Properties& properties) {
  return frame(0xF0, u8(reason) + properties.with_length());
}

std::optional<Packet> take_packet(std::string& buffer, Version version) {
  size_t length_bytes = 1;
  while (length_bytes < buffer.size() && (buffer[length_bytes] & 0x80) != 0) ++length_bytes;
  if (length_bytes >= buffer.size()) return std::nullopt;
  Reader header(std::string_view(buffer).substr(1, length_bytes));
  const size_t size = 1 + length_bytes + header.variable();
  if (buffer.size() < size) return std::nullopt;

  Packet packet;
  packet.size = size;
  packet.type = static_cast<uint8_t>(buffer[0]) >> 4;
  packet.flags = static_cast<uint8_t>(buffer[0]) & 15;
  // [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.15.1-1]
  if (packet.type != kPublish && packet.flags != (packet.type == kPubrel ? 2 : 0)) {
    throw Broken(std::string("reserved flags are set in a ") + type_name(packet.type));
  }
  Reader body(std::string_view(buffer).substr(1 + length_bytes, size - 1 - length_bytes));
  read_body(packet, body, version);
  if (!body.empty()) throw Broken(std::string("bytes left over in a ") + type_name(packet.type));
  buffer.erase(0, size);
  return packet;
}

}  // namespace courier::scenario
