// AUTH, section 3.15; 5.0 only.
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {

void decode(Reader& in, const DecodeContext& context, Auth& packet) {
  const bool has_body = !in.empty();  // without one it is success, and says no more
  const uint8_t reason = has_body ? in.byte() : static_cast<uint8_t>(ReasonCode::success);
  in.require(may_carry(PacketType::auth, reason, context.sender()), ReasonCode::protocol_error,
             "a reason code that this AUTH may not carry", "MQTT-3.15.2-1");
  packet.reason = static_cast<ReasonCode>(reason);
  if (!has_body) return;
  PropertySet set = read_properties(in, PropertyHost::auth);
  packet.authentication_method = set.authentication_method;
  packet.authentication_data = set.authentication_data;
  packet.reason_string = set.reason_string;
  packet.user_properties = std::move(set.user_properties);
  // Section 3.15.2.2.2.
  in.require(packet.authentication_method.has_value(), ReasonCode::protocol_error,
             "no authentication method");
}

bool encode(Writer& out, const EncodeContext& context, const Auth& packet) {
  CHECK(context.version == Version::v5);
  const bool empty = packet.reason == ReasonCode::success && !packet.authentication_method &&
                     !packet.authentication_data && !packet.reason_string && packet.user_properties.empty();
  if (empty) return true;
  out.byte(static_cast<uint8_t>(packet.reason));
  PropertyWriter properties(out);
  properties.put(PropertyId::authentication_method, packet.authentication_method);
  properties.put(PropertyId::authentication_data, packet.authentication_data);
  put_diagnostics(properties, context, packet.reason_string,
                  packet.user_properties);  // [MQTT-3.15.2-2], [MQTT-3.15.2-3]
  return properties.close();
}

}  // namespace courier::mqtt
