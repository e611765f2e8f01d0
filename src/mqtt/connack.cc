// CONNACK, section 3.2.
#include "mqtt/codec.h"
#include "mqtt/reason_codes.h"

namespace courier::mqtt {
namespace {

// The return codes 1 to 5 of 3.1 and 3.1.1, in 5.0's words.
constexpr ReasonCode kReturnCodes[] = {
    ReasonCode::success,
    ReasonCode::unsupported_protocol_version,
    ReasonCode::client_identifier_not_valid,
    ReasonCode::server_unavailable,
    ReasonCode::bad_user_name_or_password,
    ReasonCode::not_authorized,
};

ReasonCode read_reason(Reader& in, Version version) {
  const uint8_t code = in.byte();
  if (version == Version::v5) {
    // [MQTT-3.2.2-8]
    in.require(may_carry(PacketType::connack, code, Side::server), ReasonCode::protocol_error,
               "a reason code that CONNACK may not carry", "MQTT-3.2.2-8");
    return static_cast<ReasonCode>(code);
  }
  if (code >= std::size(kReturnCodes)) {
    in.fail({.reason = ReasonCode::malformed_packet, .what = "the return code is reserved"});
    return ReasonCode::unspecified_error;
  }
  return kReturnCodes[code];
}

}  // namespace

void decode(Reader& in, const DecodeContext& context, Connack& packet) {
  const uint8_t flags = in.byte();
  if (context.version !=
      Version::v3_1) {  // which has no Session Present and does not say what its byte holds
    in.require((flags & 0xFE) == 0, ReasonCode::malformed_packet, "reserved acknowledge flags are set",
               "MQTT-3.2.2-1");
    packet.session_present = (flags & 1) != 0;
  }
  packet.reason = read_reason(in, context.version);
  in.require(!packet.session_present || packet.reason == ReasonCode::success, ReasonCode::protocol_error,
             "session present in a refusal", "MQTT-3.2.2-6");
  if (context.version != Version::v5) return;
  PropertySet set = read_properties(in, PropertyHost::connack);
  packet.session_expiry_seconds = set.session_expiry_interval;
  packet.receive_maximum = set.receive_maximum;
  packet.maximum_qos = set.maximum_qos;
  packet.retain_available = set.retain_available;
  packet.maximum_packet_size = set.maximum_packet_size;
  packet.assigned_client_id = set.assigned_client_identifier;
  packet.topic_alias_maximum = set.topic_alias_maximum;
  packet.reason_string = set.reason_string;
  packet.user_properties = std::move(set.user_properties);
  packet.wildcard_subscription_available = set.wildcard_subscription_available;
  packet.subscription_identifiers_available = set.subscription_identifier_available;
  packet.shared_subscription_available = set.shared_subscription_available;
  packet.server_keep_alive_seconds = set.server_keep_alive;
  packet.response_information = set.response_information;
  packet.server_reference = set.server_reference;
  packet.authentication_method = set.authentication_method;
  packet.authentication_data = set.authentication_data;
}

bool encode(Writer& out, const EncodeContext& context, const Connack& packet) {
  // [MQTT-3.2.2-6]; 3.1 has no Session Present
  const bool session_present =
      packet.session_present && packet.reason == ReasonCode::success && context.version != Version::v3_1;
  out.byte(session_present ? 1 : 0);
  if (context.version != Version::v5) {
    out.byte(connack_return_code_v3(packet.reason));
    return true;
  }
  out.byte(static_cast<uint8_t>(packet.reason));
  PropertyWriter properties(out);
  properties.put(PropertyId::session_expiry_interval, packet.session_expiry_seconds);
  properties.put(PropertyId::receive_maximum, packet.receive_maximum);
  properties.put(PropertyId::maximum_qos, packet.maximum_qos);
  properties.put(PropertyId::retain_available, packet.retain_available);
  properties.put(PropertyId::maximum_packet_size, packet.maximum_packet_size);
  properties.put(PropertyId::assigned_client_identifier, packet.assigned_client_id);
  properties.put(PropertyId::topic_alias_maximum, packet.topic_alias_maximum);
  properties.put(PropertyId::wildcard_subscription_available, packet.wildcard_subscription_available);
  properties.put(PropertyId::subscription_identifier_available, packet.subscription_identifiers_available);
  properties.put(PropertyId::shared_subscription_available, packet.shared_subscription_available);
  properties.put(PropertyId::server_keep_alive, packet.server_keep_alive_seconds);
  properties.put(PropertyId::response_information, packet.response_information);
  properties.put(PropertyId::server_reference, packet.server_reference);
  properties.put(PropertyId::authentication_method, packet.authentication_method);
  properties.put(PropertyId::authentication_data, packet.authentication_data);
  put_diagnostics(properties, context, packet.reason_string,
                  packet.user_properties);  // [MQTT-3.2.2-19], [MQTT-3.2.2-20]
  return properties.close();
}

}  // namespace courier::mqtt
