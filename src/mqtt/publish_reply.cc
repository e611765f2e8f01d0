// PUBACK, PUBREC, PUBREL, PUBCOMP, sections 3.4 to 3.7: one shape. 5.0 leaves out the properties when there
// are none, and the reason code too when it is success.
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {
namespace {

void decode_reply(Reader& in, const DecodeContext& context, PacketType type, std::string_view reason_clause,
                  PublishReply& packet) {
  packet.packet_id = read_packet_id(in);
  if (context.version != Version::v5 || in.empty()) return;
  const uint8_t reason = in.byte();
  in.require(may_carry(type, reason, context.sender()), ReasonCode::protocol_error,
             "a reason code that this packet may not carry", reason_clause);
  packet.reason = static_cast<ReasonCode>(reason);
  if (in.empty()) return;
  read_diagnostics(in, static_cast<PropertyHost>(type), packet.reason_string, packet.user_properties);
}

}  // namespace

void decode(Reader& in, const DecodeContext& context, Puback& packet) {
  decode_reply(in, context, PacketType::puback, "MQTT-3.4.2-1", packet);
}
void decode(Reader& in, const DecodeContext& context, Pubrec& packet) {
  decode_reply(in, context, PacketType::pubrec, "MQTT-3.5.2-1", packet);
}
void decode(Reader& in, const DecodeContext& context, Pubrel& packet) {
  decode_reply(in, context, PacketType::pubrel, "MQTT-3.6.2-1", packet);
}
void decode(Reader& in, const DecodeContext& context, Pubcomp& packet) {
  decode_reply(in, context, PacketType::pubcomp, "MQTT-3.7.2-1", packet);
}

bool encode(Writer& out, const EncodeContext& context, const PublishReply& packet) {
  CHECK(packet.packet_id);
  out.two_bytes(packet.packet_id.value);
  if (context.version != Version::v5) return true;
  const bool has_properties = (packet.reason_string && context.with_reason_string) ||
                              (!packet.user_properties.empty() && context.with_user_properties);
  if (packet.reason == ReasonCode::success && !has_properties) return true;
  out.byte(static_cast<uint8_t>(packet.reason));
  if (!has_properties) return true;
  PropertyWriter properties(out);
  put_diagnostics(properties, context, packet.reason_string, packet.user_properties);
  return properties.close();
}

}  // namespace courier::mqtt
