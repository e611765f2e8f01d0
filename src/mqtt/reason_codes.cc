#include "mqtt/reason_codes.h"

#include <array>

namespace courier::mqtt {
namespace {

// A column of the table. PUBREC carries what PUBACK carries, PUBCOMP what PUBREL carries.
enum Use : uint16_t {
  kConnack = 1 << 0,
  kPuback = 1 << 1,
  kPubrel = 1 << 2,
  kSuback = 1 << 3,
  kUnsuback = 1 << 4,
  kDisconnectByClient = 1 << 5,
  kDisconnectByServer = 1 << 6,
  kAuthByClient = 1 << 7,
  kAuthByServer = 1 << 8,
  kDisconnect = kDisconnectByClient | kDisconnectByServer,
};

struct Row {
  ReasonCode code;
  unsigned uses;
};

constexpr Row kRows[] = {
    {ReasonCode::success, kConnack | kPuback | kPubrel | kSuback | kUnsuback | kDisconnect | kAuthByServer},
    {ReasonCode::granted_qos_1, kSuback},
    {ReasonCode::granted_qos_2, kSuback},
    {ReasonCode::disconnect_with_will, kDisconnectByClient},
    {ReasonCode::no_matching_subscribers, kPuback},
    {ReasonCode::no_subscription_existed, kUnsuback},
    {ReasonCode::continue_authentication, kAuthByClient | kAuthByServer},
    {ReasonCode::re_authenticate, kAuthByClient},
    {ReasonCode::unspecified_error, kConnack | kPuback | kSuback | kUnsuback | kDisconnect},
    {ReasonCode::malformed_packet, kConnack | kDisconnect},
    {ReasonCode::protocol_error, kConnack | kDisconnect},
    {ReasonCode::implementation_specific_error, kConnack | kPuback | kSuback | kUnsuback | kDisconnect},
    {ReasonCode::unsupported_protocol_version, kConnack},
    {ReasonCode::client_identifier_not_valid, kConnack},
    {ReasonCode::bad_user_name_or_password, kConnack},
    {ReasonCode::not_authorized, kConnack | kPuback | kSuback | kUnsuback | kDisconnectByServer},
    {ReasonCode::server_unavailable, kConnack},
    {ReasonCode::server_busy, kConnack | kDisconnectByServer},
    {ReasonCode::banned, kConnack},
    {ReasonCode::server_shutting_down, kDisconnectByServer},
    {ReasonCode::bad_authentication_method, kConnack | kDisconnectByServer},
    {ReasonCode::keep_alive_timeout, kDisconnectByServer},
    {ReasonCode::session_taken_over, kDisconnectByServer},
    {ReasonCode::topic_filter_invalid, kSuback | kUnsuback | kDisconnectByServer},
    {ReasonCode::topic_name_invalid, kConnack | kPuback | kDisconnect},
    {ReasonCode::packet_identifier_in_use, kPuback | kSuback | kUnsuback},
    {ReasonCode::packet_identifier_not_found, kPubrel},
    {ReasonCode::receive_maximum_exceeded, kDisconnect},
    {ReasonCode::topic_alias_invalid, kDisconnect},
    {ReasonCode::packet_too_large, kConnack | kDisconnect},
    {ReasonCode::message_rate_too_high, kDisconnect},
    {ReasonCode::quota_exceeded, kConnack | kPuback | kSuback | kDisconnect},
    {ReasonCode::administrative_action, kDisconnect},
    {ReasonCode::payload_format_invalid, kConnack | kPuback | kDisconnect},
    {ReasonCode::retain_not_supported, kConnack | kDisconnectByServer},
    {ReasonCode::qos_not_supported, kConnack | kDisconnectByServer},
    {ReasonCode::use_another_server, kConnack | kDisconnectByServer},
    {ReasonCode::server_moved, kConnack | kDisconnectByServer},
    {ReasonCode::shared_subscriptions_not_supported, kSuback | kDisconnectByServer},
    {ReasonCode::connection_rate_exceeded, kConnack | kDisconnectByServer},
    {ReasonCode::maximum_connect_time, kDisconnectByServer},
    {ReasonCode::subscription_identifiers_not_supported, kSuback | kDisconnectByServer},
    {ReasonCode::wildcard_subscriptions_not_supported, kSuback | kDisconnectByServer},
};

constexpr auto kUsesByCode = [] {
  std::array<uint16_t, 256> uses{};
  for (const Row& row : kRows) uses[static_cast<uint8_t>(row.code)] = static_cast<uint16_t>(row.uses);
  return uses;
}();

unsigned use_of(PacketType packet, Side sender) {
  const bool by_client = sender == Side::client;
  switch (packet) {
    case PacketType::connack:
      return kConnack;
    case PacketType::puback:
    case PacketType::pubrec:
      return kPuback;
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return kPubrel;
    case PacketType::suback:
      return kSuback;
    case PacketType::unsuback:
      return kUnsuback;
    case PacketType::disconnect:
      return by_client ? kDisconnectByClient : kDisconnectByServer;
    case PacketType::auth:
      return by_client ? kAuthByClient : kAuthByServer;
    case PacketType::connect:
    case PacketType::publish:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
    case PacketType::pingreq:
    case PacketType::pingresp:
      return 0;
  }
  return 0;
}

}  // namespace

bool may_carry(PacketType packet, uint8_t reason, Side sender) {
  return (kUsesByCode[reason] & use_of(packet, sender)) != 0;
}

}  // namespace courier::mqtt
