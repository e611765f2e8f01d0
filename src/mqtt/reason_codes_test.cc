#include "mqtt/reason_codes.h"

#include <gtest/gtest.h>

namespace courier::mqtt {
namespace {

// Table 2-6 and the tables of each packet again, written from the specification: code, the word that logs and
// metrics keep, and who may send it: c CONNACK, 4 PUBACK, 5 PUBREC, 6 PUBREL, 7 PUBCOMP, s SUBACK, u
// UNSUBACK, d DISCONNECT by a client, D by a server, a AUTH by a client, A by a server.
struct Row {
  int code;
  const char* name;
  std::string_view packets;
};
constexpr Row kTable[] = {
    {0x00, "success", "c4567sudDA"},
    {0x01, "granted_qos_1", "s"},
    {0x02, "granted_qos_2", "s"},
    {0x04, "disconnect_with_will", "d"},
    {0x10, "no_matching_subscribers", "45"},
    {0x11, "no_subscription_existed", "u"},
    {0x18, "continue_authentication", "aA"},
    {0x19, "re_authenticate", "a"},
    {0x80, "unspecified_error", "c45sudD"},
    {0x81, "malformed_packet", "cdD"},
    {0x82, "protocol_error", "cdD"},
    {0x83, "implementation_specific_error", "c45sudD"},
    {0x84, "unsupported_protocol_version", "c"},
    {0x85, "client_identifier_not_valid", "c"},
    {0x86, "bad_user_name_or_password", "c"},
    {0x87, "not_authorized", "c45suD"},
    {0x88, "server_unavailable", "c"},
    {0x89, "server_busy", "cD"},
    {0x8A, "banned", "c"},
    {0x8B, "server_shutting_down", "D"},
    {0x8C, "bad_authentication_method", "cD"},
    {0x8D, "keep_alive_timeout", "D"},
    {0x8E, "session_taken_over", "D"},
    {0x8F, "topic_filter_invalid", "suD"},
    {0x90, "topic_name_invalid", "c45dD"},
    {0x91, "packet_identifier_in_use", "45su"},
    {0x92, "packet_identifier_not_found", "67"},
    {0x93, "receive_maximum_exceeded", "dD"},
    {0x94, "topic_alias_invalid", "dD"},
    {0x95, "packet_too_large", "cdD"},
    {0x96, "message_rate_too_high", "dD"},
    {0x97, "quota_exceeded", "c45sdD"},
    {0x98, "administrative_action", "dD"},
    {0x99, "payload_format_invalid", "c45dD"},
    {0x9A, "retain_not_supported", "cD"},
    {0x9B, "qos_not_supported", "cD"},
    {0x9C, "use_another_server", "cD"},
    {0x9D, "server_moved", "cD"},
    {0x9E, "shared_subscriptions_not_supported", "sD"},
    {0x9F, "connection_rate_exceeded", "cD"},
    {0xA0, "maximum_connect_time", "D"},
    {0xA1, "subscription_identifiers_not_supported", "sD"},
    {0xA2, "wildcard_subscriptions_not_supported", "sD"},
};

struct Column {
  char letter;
  PacketType packet;
  Side sender;
};
constexpr Column kColumns[] = {
    {'c', PacketType::connack, Side::server},    {'4', PacketType::puback, Side::client},
    {'5', PacketType::pubrec, Side::server},     {'6', PacketType::pubrel, Side::client},
    {'7', PacketType::pubcomp, Side::server},    {'s', PacketType::suback, Side::server},
    {'u', PacketType::unsuback, Side::server},   {'d', PacketType::disconnect, Side::client},
    {'D', PacketType::disconnect, Side::server}, {'a', PacketType::auth, Side::client},
    {'A', PacketType::auth, Side::server},
};

const Row* row_of(int code) {
  for (const Row& row : kTable) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

// [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2],
// [MQTT-3.11.3-2], [MQTT-3.14.2-1], [MQTT-3.15.2-1]
TEST(ReasonCodes, StandWhereTheSpecificationPutsThem) {
  for (int code = 0; code < 256; ++code) {
    const Row* row = row_of(code);
    for (const Column& column : kColumns) {
      const bool legal = row != nullptr && row->packets.find(column.letter) != std::string_view::npos;
      EXPECT_EQ(may_carry(column.packet, static_cast<uint8_t>(code), column.sender), legal)
          << code << " in " << column.letter;
    }
  }
}

TEST(ReasonCodes, StandInNoPacketThatHasNone) {
  for (const PacketType packet : {PacketType::connect, PacketType::publish, PacketType::subscribe,
                                  PacketType::unsubscribe, PacketType::pingreq, PacketType::pingresp}) {
    for (int code = 0; code < 256; ++code) {
      EXPECT_FALSE(may_carry(packet, static_cast<uint8_t>(code), Side::server));
      EXPECT_FALSE(may_carry(packet, static_cast<uint8_t>(code), Side::client));
    }
  }
}

TEST(ReasonCodes, KeepTheirNames) {
  for (int code = 0; code < 256; ++code) {
    const Row* row = row_of(code);
    EXPECT_EQ(name(static_cast<ReasonCode>(code)), row ? row->name : "unknown") << code;
  }
}

TEST(Names, OfPacketsAndVersionsAreThoseOfTheSpecification) {
  const char* packets[] = {"unknown", "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
                           "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
                           "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
  for (int type = 0; type < 16; ++type) EXPECT_EQ(name(static_cast<PacketType>(type)), packets[type]);
  EXPECT_EQ(name(Version::v3_1), "3.1");
  EXPECT_EQ(name(Version::v3_1_1), "3.1.1");
  EXPECT_EQ(name(Version::v5), "5.0");
  EXPECT_EQ(name(static_cast<Version>(6)), "unknown");
}

}  // namespace
}  // namespace courier::mqtt
