// What the decoder refuses: a table of bytes, the clause they break and what a 5.0 peer is told. Each row
// differs from a legal packet in the one thing that its title names.
#include <gtest/gtest.h>

#include <ostream>

#include "mqtt/decoder.h"
#include "mqtt/test_bytes.h"

namespace courier::mqtt {
namespace {

constexpr Version k31 = Version::v3_1;
constexpr Version k311 = Version::v3_1_1;
constexpr Version k5 = Version::v5;
constexpr Side kServer = Side::server;  // decodes what a client sent
constexpr Side kClient = Side::client;
constexpr ReasonCode kMalformed = ReasonCode::malformed_packet;
constexpr ReasonCode kProtocol = ReasonCode::protocol_error;

struct Row {
  const char* title;
  const char* clause;
  ReasonCode reason;
  Version version;
  Side side;
  const char* bytes;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.title << " " << row.bytes;
}

// Where the specification numbers no clause, its section says that it is an error; the clause is then empty.
const Row kRows[] = {
    // Fixed header, section 2.1.
    {"PacketType0", "", kMalformed, k5, kServer, "00 00"},
    {"PacketType15Before5", "", kMalformed, k311, kServer, "F0 00"},
    {"ConnectFlags", "MQTT-2.1.3-1", kMalformed, k5, kServer, "11 0D 0004 4D515454 05 02 0000 00 0000"},
    {"ConnackFlags", "MQTT-2.1.3-1", kMalformed, k5, kClient, "21 03 00 00 00"},
    {"PubackFlags", "MQTT-2.1.3-1", kMalformed, k5, kServer, "42 02 0001"},
    {"PubrecFlags", "MQTT-2.1.3-1", kMalformed, k5, kServer, "52 02 0001"},
    {"PubrelFlags", "MQTT-3.6.1-1", kMalformed, k5, kServer, "60 02 0001"},
    {"PubrelDupAfter31", "MQTT-3.6.1-1", kMalformed, k311, kServer, "6A 02 0001"},
    {"PubcompFlags", "MQTT-2.1.3-1", kMalformed, k5, kServer, "72 02 0001"},
    {"SubscribeFlags", "MQTT-3.8.1-1", kMalformed, k311, kServer, "80 06 0001 0001 61 00"},
    {"SubackFlags", "MQTT-2.1.3-1", kMalformed, k311, kClient, "92 03 0001 00"},
    {"UnsubscribeFlags", "MQTT-3.10.1-1", kMalformed, k311, kServer, "A0 05 0001 0001 61"},
    {"UnsubackFlags", "MQTT-2.1.3-1", kMalformed, k311, kClient, "B2 02 0001"},
    {"PingreqFlags", "MQTT-2.1.3-1", kMalformed, k311, kServer, "C1 00"},
    {"PingrespFlags", "MQTT-2.1.3-1", kMalformed, k311, kClient, "D1 00"},
    {"DisconnectFlags", "MQTT-3.14.1-1", kMalformed, k5, kServer, "E1 00"},
    {"AuthFlags", "MQTT-3.15.1-1", kMalformed, k5, kServer, "F1 02 18 00"},
    {"LengthOfFiveBytes", "MQTT-1.5.5-1", kMalformed, k5, kServer, "30 80 80 80 80 01"},
    {"LengthNotMinimal", "MQTT-1.5.5-1", kMalformed, k5, kServer, "30 88 00 0003 612F62 00 6869"},
    {"TooLarge", "MQTT-3.2.2-15", ReasonCode::packet_too_large, k5, kServer, "30 81 80 80 01"},
    {"TooLargeForTheClient", "MQTT-3.1.2-24", ReasonCode::packet_too_large, k5, kClient, "30 81 80 80 01"},
    {"PingreqWithBody", "", kMalformed, k311, kServer, "C0 01 00"},
    {"PingrespWithBody", "", kMalformed, k5, kClient, "D0 01 00"},
    // Who may send what.
    {"ConnackToServer", "", kProtocol, k5, kServer, "20 03 00 00 00"},
    {"SubackToServer", "", kProtocol, k311, kServer, "90 03 0001 00"},
    {"UnsubackToServer", "", kProtocol, k311, kServer, "B0 02 0001"},
    {"PingrespToServer", "", kProtocol, k311, kServer, "D0 00"},
    {"ConnectToClient", "", kProtocol, k5, kClient, "10 0D 0004 4D515454 05 02 0000 00 0000"},
    {"SubscribeToClient", "", kProtocol, k311, kClient, "82 06 0001 0001 61 00"},
    {"UnsubscribeToClient", "", kProtocol, k311, kClient, "A2 05 0001 0001 61"},
    {"PingreqToClient", "", kProtocol, k311, kClient, "C0 00"},
    {"DisconnectToClientBefore5", "", kProtocol, k311, kClient, "E0 00"},
    // Strings and integers, section 1.5.
    {"StringWithSurrogate", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 06 0003 EDA080 00"},
    {"StringNotShortest", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 05 0002 C0AF 00"},
    {"StringWithNul", "MQTT-1.5.4-2", kMalformed, k5, kServer, "30 06 0003 610062 00"},
    {"StringPastTheEnd", "", kMalformed, k5, kServer, "30 05 0004 612F62"},
    {"UserPropertyName", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 0B 0001 61 07 26 0001 FF 0001 62"},
    {"UserPropertyValue", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 0B 0001 61 07 26 0001 61 0001 FF"},
    {"PropertyLengthNotMinimal", "MQTT-1.5.5-1", kMalformed, k5, kServer, "30 05 0001 61 8000"},
    {"PropertyLengthOfFiveBytes", "", kMalformed, k5, kServer, "30 08 0001 61 80 80 80 80 01"},
    {"PropertyLengthMissing", "", kMalformed, k5, kServer, "30 03 0001 61"},
    {"PropertyLengthPastTheEnd", "", kMalformed, k5, kServer, "30 05 0001 61 02 01"},
    {"PropertyCutByItsLength", "", kMalformed, k5, kServer, "30 06 0001 61 01 01 01"},
    // Properties, section 2.2.2.
    {"PropertyUnknown", "", kMalformed, k5, kServer, "30 06 0001 61 02 04 00"},
    {"PropertyAbove127", "", kMalformed, k5, kServer, "30 07 0001 61 03 81 01 00"},
    {"PropertyOfAnotherPacket", "", kMalformed, k5, kServer, "30 09 0001 61 05 11 00000001"},
    {"WillPropertyInPublish", "", kMalformed, k5, kServer, "30 09 0001 61 05 18 00000001"},
    {"ReasonStringFromSubscribe", "", kMalformed, k5, kServer, "82 0B 0001 04 1F 0001 61 0001 61 00"},
    {"PropertyTwice", "", kProtocol, k5, kServer, "30 08 0001 61 04 01 01 01 01"},
    {"PayloadFormat2", "", kProtocol, k5, kServer, "30 06 0001 61 02 01 02"},
    // CONNECT, section 3.1.
    {"ProtocolName", "MQTT-3.1.2-1", ReasonCode::unsupported_protocol_version, k5, kServer,
     "10 0D 0004 4D515458 05 02 0000 00 0000"},
    {"ProtocolLevel", "MQTT-3.1.2-2", ReasonCode::unsupported_protocol_version, k5, kServer,
     "10 0D 0004 4D515454 06 02 0000 00 0000"},
    {"ReservedConnectFlag", "MQTT-3.1.2-3", kMalformed, k5, kServer,
     "10 0D 0004 4D515454 05 03 0000 00 0000"},
    {"ReservedConnectFlagOf311", "MQTT-3.1.2-3", kMalformed, k311, kServer,
     "10 0C 0004 4D515454 04 03 0000 0000"},
    {"WillQosWithoutWill", "MQTT-3.1.2-11", kMalformed, k5, kServer,
     "10 0D 0004 4D515454 05 0A 0000 00 0000"},
    {"WillQos3", "MQTT-3.1.2-12", kMalformed, k5, kServer,
     "10 14 0004 4D515454 05 1E 0000 00 0000 00 0001 61 0001 62"},
    {"WillQos3Of31", "MQTT-3.1.2-12", kMalformed, k31, kServer,
     "10 14 0006 4D5149736470 03 1E 0000 0000 0001 61 0001 62"},
    {"WillRetainWithoutWill", "MQTT-3.1.2-13", kMalformed, k5, kServer,
     "10 0D 0004 4D515454 05 22 0000 00 0000"},
    {"WillMissing", "", kMalformed, k5, kServer, "10 0D 0004 4D515454 05 06 0000 00 0000"},
    {"WillTopicNotUtf8", "MQTT-1.5.4-1", kMalformed, k5, kServer,
     "10 14 0004 4D515454 05 06 0000 00 0000 00 0001 FF 0001 62"},
    {"WillTopicWithWildcard", "MQTT-4.7.0-1", kMalformed, k5, kServer,
     "10 14 0004 4D515454 05 06 0000 00 0000 00 0001 23 0001 62"},
    {"WillTopicEmpty", "MQTT-4.7.0-1", kMalformed, k311, kServer,
     "10 11 0004 4D515454 04 06 0000 0000 0000 0001 62"},
    {"UsernameMissing", "", kMalformed, k311, kServer, "10 0C 0004 4D515454 04 82 0000 0000"},
    {"UsernameWithoutFlag", "", kMalformed, k311, kServer, "10 0F 0004 4D515454 04 02 0000 0000 0001 61"},
    {"PasswordMissing", "", kMalformed, k311, kServer, "10 0F 0004 4D515454 04 C2 0000 0000 0001 61"},
    {"PasswordWithoutUsernameBefore5", "MQTT-3.1.2-22 of 3.1.1", kMalformed, k311, kServer,
     "10 0F 0004 4D515454 04 42 0000 0000 0001 61"},
    {"PasswordWithoutUsernameOf31", "MQTT-3.1.2-22 of 3.1.1", kMalformed, k31, kServer,
     "10 11 0006 4D5149736470 03 42 0000 0000 0001 61"},
    {"ClientIdMissing", "", kMalformed, k5, kServer, "10 0B 0004 4D515454 05 02 0000 00"},
    {"ClientIdNotUtf8", "MQTT-1.5.4-1", kMalformed, k5, kServer, "10 0E 0004 4D515454 05 02 0000 00 0001 FF"},
    {"BytesAfterThePassword", "", kMalformed, k311, kServer,
     "10 1A 0004 4D515454 04 C2 0000 0000 0001 61 0001 62 07 26 0001 61 0001 62"},
    {"ReceiveMaximum0", "", kProtocol, k5, kServer, "10 10 0004 4D515454 05 02 0000 03 21 0000 0000"},
    {"MaximumPacketSize0", "", kProtocol, k5, kServer, "10 12 0004 4D515454 05 02 0000 05 27 00000000 0000"},
    {"RequestProblemInformation2", "", kProtocol, k5, kServer,
     "10 0F 0004 4D515454 05 02 0000 02 17 02 0000"},
    {"RequestResponseInformation2", "", kProtocol, k5, kServer,
     "10 0F 0004 4D515454 05 02 0000 02 19 02 0000"},
    {"AuthenticationDataWithoutMethod", "", kProtocol, k5, kServer,
     "10 11 0004 4D515454 05 02 0000 04 16 0001 61 0000"},
    {"SessionExpiryTwice", "", kProtocol, k5, kServer,
     "10 17 0004 4D515454 05 02 0000 0A 11 00000001 11 00000001 0000"},
    {"WillDelayTwice", "", kProtocol, k5, kServer,
     "10 1E 0004 4D515454 05 06 0000 00 0000 0A 18 00000001 18 00000001 0001 61 0001 62"},
    {"WillDelayOutsideTheWill", "", kMalformed, k5, kServer,
     "10 12 0004 4D515454 05 02 0000 05 18 00000001 0000"},
    {"WillPayloadFormat2", "", kProtocol, k5, kServer,
     "10 16 0004 4D515454 05 06 0000 00 0000 02 01 02 0001 61 0001 62"},
    // CONNACK, section 3.2.
    {"ReservedAcknowledgeFlags", "MQTT-3.2.2-1", kMalformed, k311, kClient, "20 02 02 00"},
    {"SessionPresentInRefusal", "MQTT-3.2.2-6", kProtocol, k311, kClient, "20 02 01 05"},
    {"ConnackReason", "MQTT-3.2.2-8", kProtocol, k5, kClient, "20 03 00 8E 00"},
    {"ReturnCode6", "", kMalformed, k311, kClient, "20 02 00 06"},
    {"MaximumQos2", "", kProtocol, k5, kClient, "20 05 00 00 02 24 02"},
    {"RetainAvailable2", "", kProtocol, k5, kClient, "20 05 00 00 02 25 02"},
    // PUBLISH, section 3.3.
    {"PacketId0", "MQTT-2.2.1-3", kProtocol, k5, kServer, "32 06 0001 61 0000 00"},
    {"DupWithQos0", "MQTT-3.3.1-2", kMalformed, k5, kServer, "38 04 0001 61 00"},
    {"Qos3", "MQTT-3.3.1-4", kMalformed, k5, kServer, "36 06 0001 61 0001 00"},
    {"TopicNotUtf8", "MQTT-1.5.4-1", kMalformed, k311, kServer, "30 03 0001 FF"},
    {"TopicWithPlus", "MQTT-3.3.2-2", kMalformed, k311, kServer, "30 05 0003 612F2B"},
    {"TopicWithHash", "MQTT-3.3.2-2", kMalformed, k5, kServer, "30 04 0001 23 00"},
    {"TopicEmpty", "MQTT-4.7.3-1", kProtocol, k311, kServer, "30 02 0000"},
    {"TopicEmptyWithoutAlias", "MQTT-4.7.3-1", kProtocol, k5, kServer, "30 03 0000 00"},
    {"TopicAlias0", "MQTT-3.3.2-8", ReasonCode::topic_alias_invalid, k5, kServer, "30 07 0001 61 03 23 0000"},
    {"TopicAliasTwice", "", kProtocol, k5, kServer, "30 0A 0001 61 06 23 0001 23 0001"},
    {"MessageExpiryTwice", "", kProtocol, k5, kServer, "30 0E 0001 61 0A 02 00000001 02 00000001"},
    {"ContentTypeNotUtf8", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 08 0001 61 04 03 0001 FF"},
    {"ResponseTopicNotUtf8", "MQTT-1.5.4-1", kMalformed, k5, kServer, "30 08 0001 61 04 08 0001 FF"},
    {"ResponseTopicWithWildcard", "MQTT-3.3.2-14", kProtocol, k5, kServer, "30 08 0001 61 04 08 0001 2B"},
    {"ResponseTopicEmpty", "MQTT-3.3.2-14", kProtocol, k5, kServer, "30 07 0001 61 03 08 0000"},
    {"SubscriptionIdentifierFromClient", "MQTT-3.3.4-6", kProtocol, k5, kServer, "30 06 0001 61 02 0B 01"},
    {"SubscriptionIdentifier0FromServer", "", kProtocol, k5, kClient, "30 06 0001 61 02 0B 00"},
    {"SubscriptionIdentifierNotMinimal", "MQTT-1.5.5-1", kMalformed, k5, kClient, "30 07 0001 61 03 0B 8100"},
    // PUBACK to PUBCOMP, sections 3.4 to 3.7.
    {"PubackPacketId0", "MQTT-2.2.1-3", kProtocol, k311, kServer, "40 02 0000"},
    {"PubackTooShort", "", kMalformed, k311, kServer, "40 01 00"},
    {"PubackTooLongBefore5", "", kMalformed, k311, kServer, "40 03 0001 00"},
    {"PubackReason", "MQTT-3.4.2-1", kProtocol, k5, kServer, "40 03 0001 92"},
    {"PubrecReason", "MQTT-3.5.2-1", kProtocol, k5, kServer, "50 03 0001 01"},
    {"PubrelReason", "MQTT-3.6.2-1", kProtocol, k5, kServer, "62 03 0001 80"},
    {"PubcompReason", "MQTT-3.7.2-1", kProtocol, k5, kServer, "70 03 0001 10"},
    {"ReasonStringTwice", "", kProtocol, k5, kServer, "40 0C 0001 00 08 1F 0001 61 1F 0001 61"},
    {"BytesAfterTheProperties", "", kMalformed, k5, kServer, "40 05 0001 00 00 00"},
    // SUBSCRIBE, section 3.8.
    {"SubscribePacketId0", "MQTT-2.2.1-3", kProtocol, k311, kServer, "82 06 0000 0001 61 00"},
    {"SubscribeFilterNotUtf8", "MQTT-1.5.4-1", kMalformed, k311, kServer, "82 06 0001 0001 FF 00"},
    {"SubscribeEmpty", "MQTT-3.8.3-2", kProtocol, k311, kServer, "82 02 0001"},
    {"SubscribeEmptyOf5", "MQTT-3.8.3-2", kProtocol, k5, kServer, "82 03 0001 00"},
    {"SubscribeFilterEmpty", "MQTT-4.7.3-1", kMalformed, k5, kServer, "82 06 0001 00 0000 00"},
    {"SubscribeOptionsMissing", "", kMalformed, k311, kServer, "82 05 0001 0001 61"},
    {"NoLocalOnShared", "MQTT-3.8.3-4", kProtocol, k5, kServer, "82 10 0001 00 000A 2473686172652F672F61 04"},
    {"SubscribeQos3", "", kProtocol, k5, kServer, "82 07 0001 00 0001 61 03"},
    {"SubscribeQos3Before5", "MQTT-3.8.3-4 of 3.1.1", kMalformed, k311, kServer, "82 06 0001 0001 61 03"},
    {"SubscribeReservedBitsBefore5", "MQTT-3.8.3-4 of 3.1.1", kMalformed, k311, kServer,
     "82 06 0001 0001 61 04"},
    {"RetainHandling3", "", kProtocol, k5, kServer, "82 07 0001 00 0001 61 30"},
    {"SubscribeReservedBits", "MQTT-3.8.3-5", kMalformed, k5, kServer, "82 07 0001 00 0001 61 40"},
    {"SubscriptionIdentifier0", "", kProtocol, k5, kServer, "82 09 0001 02 0B 00 0001 61 00"},
    {"SubscriptionIdentifierTwice", "", kProtocol, k5, kServer, "82 0B 0001 04 0B 01 0B 02 0001 61 00"},
    // SUBACK to UNSUBACK, sections 3.9 to 3.11.
    {"SubackEmpty", "MQTT-3.8.4-6", kProtocol, k311, kClient, "90 02 0001"},
    {"SubackReason", "MQTT-3.9.3-2", kProtocol, k5, kClient, "90 04 0001 00 11"},
    {"SubackReasonBefore5", "MQTT-3.9.3-2", kProtocol, k311, kClient, "90 03 0001 03"},
    {"UnsubscribePacketId0", "MQTT-2.2.1-3", kProtocol, k311, kServer, "A2 05 0000 0001 61"},
    {"UnsubscribeFilterNotUtf8", "MQTT-1.5.4-1", kMalformed, k311, kServer, "A2 05 0001 0001 FF"},
    {"UnsubscribeEmpty", "MQTT-3.10.3-2", kProtocol, k311, kServer, "A2 02 0001"},
    {"UnsubscribeFilterEmpty", "MQTT-4.7.3-1", kMalformed, k311, kServer, "A2 04 0001 0000"},
    {"UnsubackEmpty", "MQTT-3.11.3-2", kProtocol, k5, kClient, "B0 03 0001 00"},
    {"UnsubackReason", "MQTT-3.11.3-2", kProtocol, k5, kClient, "B0 04 0001 00 01"},
    {"UnsubackReasonBefore5", "", kMalformed, k311, kClient, "B0 03 0001 00"},
    // DISCONNECT and AUTH, sections 3.14 and 3.15.
    {"DisconnectWithBodyBefore5", "", kMalformed, k311, kServer, "E0 01 00"},
    {"DisconnectReasonOfServer", "MQTT-3.14.2-1", kProtocol, k5, kServer, "E0 01 8E"},
    {"DisconnectReasonOfClient", "MQTT-3.14.2-1", kProtocol, k5, kClient, "E0 01 04"},
    {"DisconnectReasonUnknown", "MQTT-3.14.2-1", kProtocol, k5, kServer, "E0 01 03"},
    {"SessionExpiryFromServer", "MQTT-3.14.2-2", kProtocol, k5, kClient, "E0 07 8B 05 11 00000001"},
    {"AuthReasonOfServer", "MQTT-3.15.2-1", kProtocol, k5, kServer, "F0 00"},
    {"AuthReasonOfClient", "MQTT-3.15.2-1", kProtocol, k5, kClient, "F0 06 19 04 15 0001 61"},
    {"AuthWithoutMethod", "", kProtocol, k5, kServer, "F0 02 18 00"},
};

class Violations : public testing::TestWithParam<Row> {};

TEST_P(Violations, AreRefusedWithTheirClause) {
  const Row& row = GetParam();
  const std::string bytes = hex(row.bytes);
  const bool connect = row.side == kServer && static_cast<uint8_t>(bytes[0]) >> 4 == 1;
  const DecodeLimits limits{.packet_size_max = 1024};
  const DecodeResult result = decode_one(bytes, row.version, row.side, connect, limits);
  const auto* violation = std::get_if<Violation>(&result);
  ASSERT_NE(violation, nullptr);
  EXPECT_EQ(violation->clause, row.clause) << describe(*violation);
  EXPECT_EQ(violation->reason, row.reason) << describe(*violation);
  EXPECT_FALSE(violation->what.empty());
}

std::string title_of(const testing::TestParamInfo<Row>& info) {
  return info.param.title;
}
INSTANTIATE_TEST_SUITE_P(Table, Violations, testing::ValuesIn(kRows), title_of);

Violation refused(std::string_view digits, bool first, Version version = k5) {
  const std::string bytes = hex(digits);
  const DecodeResult result = decode_one(bytes, version, kServer, first, DecodeLimits{});
  const auto* violation = std::get_if<Violation>(&result);
  EXPECT_NE(violation, nullptr) << digits;
  return violation ? *violation : Violation{};
}

// [MQTT-3.1.0-1]
TEST(FirstPacket, IsRefusedByItsFirstByteUnlessItIsConnect) {
  for (const char* byte : {"00", "20", "30", "40", "52", "62", "70", "82", "A2", "C0", "E0", "F0"}) {
    const Violation violation = refused(byte, true);
    if (byte != std::string_view("00")) {
      EXPECT_EQ(violation.clause, "MQTT-3.1.0-1") << byte;
    }
  }
}

// [MQTT-3.1.0-2]
TEST(FirstPacket, IsTheOnlyConnect) {
  const Violation violation = refused("10 0D 0004 4D515454 05 02 0000 00 0000", false);
  EXPECT_EQ(violation.clause, "MQTT-3.1.0-2");
  EXPECT_EQ(violation.reason, kProtocol);
}

// [MQTT-3.1.2-2]
TEST(UnsupportedLevel, IsAnsweredInTheNearestVersion) {
  EXPECT_EQ(refused("10 0C 0004 4D515454 03 02 0000 0000", true).version, k311);
  EXPECT_EQ(refused("10 0C 0004 4D515454 06 02 0000 0000", true).version, k5);
  EXPECT_EQ(refused("10 0C 0004 4D515454 84 02 0000 0000", true).version, k5);
  EXPECT_EQ(refused("10 0E 0006 4D5149736470 04 02 0000 0000", true).version, k31);
}

// [MQTT-3.1.2-1]
TEST(UnsupportedName, IsNotAnswered) {
  const Violation violation = refused("10 0C 0004 48545450 04 02 0000 0000", true);
  EXPECT_EQ(violation.version, std::nullopt);
  EXPECT_EQ(violation.reason, ReasonCode::unsupported_protocol_version);
}

// [MQTT-3.1.4-1]
TEST(RefusedConnect, NamesTheVersionToAnswerIn) {
  EXPECT_EQ(refused("10 0D 0004 4D515454 05 03 0000 00 0000", true).version, k5);
  EXPECT_EQ(refused("10 0C 0004 4D515454 04 03 0000 0000", true).version, k311);
  EXPECT_EQ(refused("10 05 0004 4D5154", true).version, std::nullopt);
}

TEST(Violation, IsDescribedWithItsPacketAndClause) {
  EXPECT_EQ(describe(refused("36 00", false)), "PUBLISH: both QoS bits are set [MQTT-3.3.1-4]");
  EXPECT_EQ(describe(refused("00 00", false)), "packet type 0 is reserved");
}

}  // namespace
}  // namespace courier::mqtt
