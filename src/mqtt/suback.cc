// SUBACK, section 3.9: a reason for each entry of the SUBSCRIBE, in its order. [MQTT-3.9.3-1]
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {
namespace {

// 3.1.1 knows the granted QoS and 0x80; 3.1 only the former, but its clients have long met the latter.
bool is_return_code(uint8_t code) {
  return code <= 2 || code == static_cast<uint8_t>(ReasonCode::unspecified_error);
}

}  // namespace

void decode(Reader& in, const DecodeContext& context, Suback& packet) {
  packet.packet_id = read_packet_id(in);
  const bool v5 = context.version == Version::v5;
  if (v5) read_diagnostics(in, PropertyHost::suback, packet.reason_string, packet.user_properties);
  in.require(!in.empty(), ReasonCode::protocol_error, "a SUBACK without reason codes", "MQTT-3.8.4-6");
  packet.reasons.reserve(in.left());
  while (!in.empty()) {
    const uint8_t reason = in.byte();
    in.require(v5 ? may_carry(PacketType::suback, reason, Side::server) : is_return_code(reason),
               ReasonCode::protocol_error, "a reason code that SUBACK may not carry", "MQTT-3.9.3-2");
    packet.reasons.push_back(static_cast<ReasonCode>(reason));
  }
}

bool encode(Writer& out, const EncodeContext& context, const Suback& packet) {
  CHECK(packet.packet_id && !packet.reasons.empty());
  out.two_bytes(packet.packet_id.value);
  const bool v5 = context.version == Version::v5;
  bool fits = true;
  if (v5) {
    PropertyWriter properties(out);
    put_diagnostics(properties, context, packet.reason_string,
                    packet.user_properties);  // [MQTT-3.9.2-1], [MQTT-3.9.2-2]
    fits = properties.close();
  }
  for (const ReasonCode reason : packet.reasons) {
    out.byte(static_cast<uint8_t>(!v5 && is_error(reason) ? ReasonCode::unspecified_error : reason));
  }
  return fits;
}

}  // namespace courier::mqtt
