// The words of the protocol: versions, QoS, packet types, reason codes.
// Source: MQTT 3.1 (IBM, 2010), 3.1.1 (OASIS 2014), 5.0 (OASIS 2019), section 2.
#pragma once

#include <cstdint>
#include <string_view>

namespace courier::mqtt {

// The protocol level byte of CONNECT.
enum class Version : uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class Qos : uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };
constexpr Qos lower(Qos a, Qos b) {
  return a < b ? a : b;
}

// Section 2.1.2; the value is the high nibble of the first byte.
enum class PacketType : uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  pingreq = 12,
  pingresp = 13,
  disconnect = 14,
  auth = 15,
};

// Section 2.4 of 5.0. One byte; which are legal where is said by each packet.
enum class ReasonCode : uint8_t {
  success = 0x00,  // also: normal disconnection, granted QoS 0
  granted_qos_1 = 0x01,
  granted_qos_2 = 0x02,
  disconnect_with_will = 0x04,
  no_matching_subscribers = 0x10,
  no_subscription_existed = 0x11,
  continue_authentication = 0x18,
  re_authenticate = 0x19,
  unspecified_error = 0x80,
  malformed_packet = 0x81,
  protocol_error = 0x82,
  implementation_specific_error = 0x83,
  unsupported_protocol_version = 0x84,
  client_identifier_not_valid = 0x85,
  bad_user_name_or_password = 0x86,
  not_authorized = 0x87,
  server_unavailable = 0x88,
  server_busy = 0x89,
  banned = 0x8A,
  server_shutting_down = 0x8B,
  bad_authentication_method = 0x8C,
  keep_alive_timeout = 0x8D,
  session_taken_over = 0x8E,
  topic_filter_invalid = 0x8F,
  topic_name_invalid = 0x90,
  packet_identifier_in_use = 0x91,
  packet_identifier_not_found = 0x92,
  receive_maximum_exceeded = 0x93,
  topic_alias_invalid = 0x94,
  packet_too_large = 0x95,
  message_rate_too_high = 0x96,
  quota_exceeded = 0x97,
  administrative_action = 0x98,
  payload_format_invalid = 0x99,
  retain_not_supported = 0x9A,
  qos_not_supported = 0x9B,
  use_another_server = 0x9C,
  server_moved = 0x9D,
  shared_subscriptions_not_supported = 0x9E,
  connection_rate_exceeded = 0x9F,
  maximum_connect_time = 0xA0,
  subscription_identifiers_not_supported = 0xA1,
  wildcard_subscriptions_not_supported = 0xA2,
};
constexpr bool is_error(ReasonCode code) {
  return static_cast<uint8_t>(code) >= 0x80;
}

// "quota_exceeded": stable, lower case, used in logs, metrics and the CLI.
std::string_view name(ReasonCode code);
std::string_view name(PacketType type);  // "PUBLISH"
std::string_view name(Version version);  // "3.1", "3.1.1", "5.0"

// The CONNACK return code of 3.1 and 3.1.1 (section 3.2.2.3) that says best what a 5.0 code says:
// 1 protocol version, 2 identifier rejected, 3 server unavailable, 4 bad user name or password,
// 5 not authorized.
uint8_t connack_return_code_v3(ReasonCode code);

}  // namespace courier::mqtt
