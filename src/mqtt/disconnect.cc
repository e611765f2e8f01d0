// DISCONNECT, section 3.14. In 3.x it is a client's only and has no body.
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {

void decode(Reader& in, const DecodeContext& context, Disconnect& packet) {
  if (context.version != Version::v5 || in.empty()) return;
  const uint8_t reason = in.byte();
  in.require(may_carry(PacketType::disconnect, reason, context.sender()), ReasonCode::protocol_error,
             "a reason code that this DISCONNECT may not carry", "MQTT-3.14.2-1");
  packet.reason = static_cast<ReasonCode>(reason);
  if (in.empty()) return;
  PropertySet set = read_properties(in, PropertyHost::disconnect);
  in.require(!set.session_expiry_interval || context.sender() == Side::client, ReasonCode::protocol_error,
             "a session expiry interval from a server", "MQTT-3.14.2-2");
  packet.session_expiry_seconds = set.session_expiry_interval;
  packet.reason_string = set.reason_string;
  packet.server_reference = set.server_reference;
  packet.user_properties = std::move(set.user_properties);
}

bool encode(Writer& out, const EncodeContext& context, const Disconnect& packet) {
  if (context.version != Version::v5) return true;
  const bool has_properties = packet.session_expiry_seconds || packet.server_reference ||
                              (packet.reason_string && context.with_reason_string) ||
                              (!packet.user_properties.empty() && context.with_user_properties);
  if (packet.reason == ReasonCode::success && !has_properties) return true;
  out.byte(static_cast<uint8_t>(packet.reason));
  if (!has_properties) return true;
  PropertyWriter properties(out);
  properties.put(PropertyId::session_expiry_interval, packet.session_expiry_seconds);
  properties.put(PropertyId::server_reference, packet.server_reference);
  put_diagnostics(properties, context, packet.reason_string,
                  packet.user_properties);  // [MQTT-3.14.2-3], [MQTT-3.14.2-4]
  return properties.close();
}

}  // namespace courier::mqtt
