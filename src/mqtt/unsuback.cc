// UNSUBACK, section 3.11: a reason for each filter of the UNSUBSCRIBE, in its order; 3.x has none.
// [MQTT-3.11.3-1]
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {

void decode(Reader& in, const DecodeContext& context, Unsuback& packet) {
  packet.packet_id = read_packet_id(in);
  if (context.version != Version::v5) return;
  read_diagnostics(in, PropertyHost::unsuback, packet.reason_string, packet.user_properties);
  in.require(!in.empty(), ReasonCode::protocol_error, "an UNSUBACK without reason codes", "MQTT-3.11.3-2");
  packet.reasons.reserve(in.left());
  while (!in.empty()) {
    const uint8_t reason = in.byte();
    in.require(may_carry(PacketType::unsuback, reason, Side::server), ReasonCode::protocol_error,
               "a reason code that UNSUBACK may not carry", "MQTT-3.11.3-2");
    packet.reasons.push_back(static_cast<ReasonCode>(reason));
  }
}

bool encode(Writer& out, const EncodeContext& context, const Unsuback& packet) {
  CHECK(packet.packet_id);
  out.two_bytes(packet.packet_id.value);
  if (context.version != Version::v5) return true;
  CHECK(!packet.reasons.empty());
  PropertyWriter properties(out);
  put_diagnostics(properties, context, packet.reason_string,
                  packet.user_properties);  // [MQTT-3.11.2-1], [MQTT-3.11.2-2]
  const bool fits = properties.close();
  for (const ReasonCode reason : packet.reasons) out.byte(static_cast<uint8_t>(reason));
  return fits;
}

}  // namespace courier::mqtt
