// Golden bytes: every packet in every version, as hex beside the value it stands for. Each is decoded and
// compared, encoded and compared, and offered cut short at every byte.
#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "mqtt/test_bytes.h"

namespace courier::mqtt {
namespace {

using namespace std::string_view_literals;

constexpr Version k31 = Version::v3_1;
constexpr Version k311 = Version::v3_1_1;
constexpr Version k5 = Version::v5;

struct Golden {
  const char* title;
  Version version;
  Side side;  // who decodes
  const char* bytes;
  Packet packet;
};

void PrintTo(const Golden& golden, std::ostream* out) {
  *out << golden.title << " of " << name(golden.version);
}

// Reason string "no room" and user property "a" = "", as they end the replies below.
constexpr auto kNoRoom = "no room"sv;
#define DIAGNOSTICS "1F 0007 6E6F20726F6F6D 26 0001 61 0000"

template <typename Reply>
Packet reply(ReasonCode reason = ReasonCode::success) {
  return Reply{{.packet_id = PacketId(10), .reason = reason}};
}

template <typename Reply>
Packet explained(ReasonCode reason) {
  return Reply{{.packet_id = PacketId(10),
                .reason = reason,
                .reason_string = kNoRoom,
                .user_properties = {{"a", ""}}}};
}

Connect full_connect(Version version) {
  return {.version = version,
          .clean_start = false,
          .keep_alive_seconds = 60,
          .client_id = "phone-1",
          .will = Will{.topic = "last/words", .payload = "bye", .qos = Qos::at_least_once, .retain = true},
          .username = "ann",
          .password = "\0pw"sv};
}

Connect full_connect_v5() {
  Connect connect = full_connect(k5);
  connect.will->delay_seconds = 5;
  connect.will->message_expiry_seconds = 600;
  connect.will->forwarded_properties = "\x01\x01\x26\0\1k\0\1v"sv;
  connect.session_expiry_seconds = 0xFFFFFFFF;
  connect.receive_maximum = 20;
  connect.maximum_packet_size = 65'536;
  connect.topic_alias_maximum = 10;
  connect.request_response_information = true;
  connect.request_problem_information = false;
  connect.user_properties = {{"a", "b"}, {"a", "c"}};
  connect.authentication_method = "SCRAM";
  connect.authentication_data = "\1\2"sv;
  return connect;
}

const Connack kFullConnack{.session_present = true,
                           .session_expiry_seconds = 7200,
                           .receive_maximum = 100,
                           .maximum_qos = Qos::at_least_once,
                           .retain_available = true,
                           .maximum_packet_size = 1'048'576,
                           .assigned_client_id = "auto-1",
                           .topic_alias_maximum = 8,
                           .reason_string = "ok",
                           .user_properties = {{"n", "1"}},
                           .wildcard_subscription_available = true,
                           .subscription_identifiers_available = false,
                           .shared_subscription_available = true,
                           .server_keep_alive_seconds = 30,
                           .response_information = "resp/",
                           .server_reference = "b2",
                           .authentication_method = "SCRAM",
                           .authentication_data = "x"};

const Publish kFullPublish{.dup = true,
                           .retain = true,
                           .qos = Qos::exactly_once,
                           .topic = "a/b",
                           .packet_id = PacketId(0x1234),
                           .payload = "hi",
                           .message_expiry_seconds = 300,
                           .topic_alias = 7,
                           .subscription_identifiers = {1, 268'435'455},
                           .forwarded_properties =
                               "\x01\x01"
                               "\x03\0\4json"
                               "\x08\0\3r/1"
                               "\x09\0\2\xFF\0"
                               "\x26\0\1k\0\1v"
                               "\x26\0\1k\0\1w"sv};

const Golden kGoldens[] = {
    // 3.1
    {"Connect", k31, Side::server, "10 15 0006 4D5149736470 03 02 000A 0007 70686F6E652D31",
     Connect{.version = k31, .keep_alive_seconds = 10, .client_id = "phone-1"}},
    {"ConnectFull", k31, Side::server,
     "10 30 0006 4D5149736470 03 EC 003C 0007 70686F6E652D31 000A 6C6173742F776F726473 0003 627965"
     "  0003 616E6E 0003 007077",
     full_connect(k31)},
    {"Connack", k31, Side::client, "20 02 00 00", Connack{}},
    {"ConnackRefused", k31, Side::client, "20 02 00 04",
     Connack{.reason = ReasonCode::bad_user_name_or_password}},
    {"Publish", k31, Side::server, "31 07 0003 612F62 6869",
     Publish{.retain = true, .topic = "a/b", .payload = "hi"}},
    {"PublishQos2", k31, Side::client, "3C 09 0003 612F62 1234 6869",
     Publish{.dup = true,
             .qos = Qos::exactly_once,
             .topic = "a/b",
             .packet_id = PacketId(0x1234),
             .payload = "hi"}},
    {"Puback", k31, Side::server, "40 02 000A", reply<Puback>()},
    {"Pubrec", k31, Side::client, "50 02 000A", reply<Pubrec>()},
    {"Pubrel", k31, Side::server, "62 02 000A", reply<Pubrel>()},
    {"Pubcomp", k31, Side::client, "70 02 000A", reply<Pubcomp>()},
    {"Subscribe", k31, Side::server, "82 0E 000A 0003 612F62 01 0003 632F64 02",
     Subscribe{.packet_id = PacketId(10),
               .entries = {{"a/b", {.qos = Qos::at_least_once}}, {"c/d", {.qos = Qos::exactly_once}}}}},
    {"Suback", k31, Side::client, "90 05 000A 00 01 02",
     Suback{.packet_id = PacketId(10),
            .reasons = {ReasonCode::success, ReasonCode::granted_qos_1, ReasonCode::granted_qos_2}}},
    {"Unsubscribe", k31, Side::server, "A2 07 000A 0003 612F62",
     Unsubscribe{.packet_id = PacketId(10), .filters = {"a/b"}}},
    {"Unsuback", k31, Side::client, "B0 02 000A", Unsuback{.packet_id = PacketId(10)}},
    {"Pingreq", k31, Side::server, "C0 00", Pingreq{}},
    {"Pingresp", k31, Side::client, "D0 00", Pingresp{}},
    {"Disconnect", k31, Side::server, "E0 00", Disconnect{}},
    // 3.1.1
    {"Connect", k311, Side::server, "10 13 0004 4D515454 04 02 000A 0007 70686F6E652D31",
     Connect{.version = k311, .keep_alive_seconds = 10, .client_id = "phone-1"}},
    {"ConnectFull", k311, Side::server,
     "10 2E 0004 4D515454 04 EC 003C 0007 70686F6E652D31 000A 6C6173742F776F726473 0003 627965"
     "  0003 616E6E 0003 007077",
     full_connect(k311)},
    {"ConnackSessionPresent", k311, Side::client, "20 02 01 00", Connack{.session_present = true}},
    {"ConnackUnsupportedVersion", k311, Side::client, "20 02 00 01",
     Connack{.reason = ReasonCode::unsupported_protocol_version}},
    {"ConnackIdentifierRejected", k311, Side::client, "20 02 00 02",
     Connack{.reason = ReasonCode::client_identifier_not_valid}},
    {"ConnackServerUnavailable", k311, Side::client, "20 02 00 03",
     Connack{.reason = ReasonCode::server_unavailable}},
    {"ConnackNotAuthorized", k311, Side::client, "20 02 00 05",
     Connack{.reason = ReasonCode::not_authorized}},
    {"Publish", k311, Side::client, "30 05 0003 612F62", Publish{.topic = "a/b"}},
    {"PublishQos1", k311, Side::server, "32 09 0003 612F62 1234 6869",
     Publish{.qos = Qos::at_least_once, .topic = "a/b", .packet_id = PacketId(0x1234), .payload = "hi"}},
    {"Puback", k311, Side::client, "40 02 000A", reply<Puback>()},
    {"Pubrec", k311, Side::server, "50 02 000A", reply<Pubrec>()},
    {"Pubrel", k311, Side::client, "62 02 000A", reply<Pubrel>()},
    {"Pubcomp", k311, Side::server, "70 02 000A", reply<Pubcomp>()},
    {"Subscribe", k311, Side::server, "82 08 000A 0003 612F23 00",
     Subscribe{.packet_id = PacketId(10), .entries = {{"a/#", {}}}}},
    {"Suback", k311, Side::client, "90 04 000A 80 01",
     Suback{.packet_id = PacketId(10),
            .reasons = {ReasonCode::unspecified_error, ReasonCode::granted_qos_1}}},
    {"Unsubscribe", k311, Side::server, "A2 0A 000A 0003 612F62 0001 63",
     Unsubscribe{.packet_id = PacketId(10), .filters = {"a/b", "c"}}},
    {"Unsuback", k311, Side::client, "B0 02 000A", Unsuback{.packet_id = PacketId(10)}},
    {"Pingreq", k311, Side::server, "C0 00", Pingreq{}},
    {"Pingresp", k311, Side::client, "D0 00", Pingresp{}},
    {"Disconnect", k311, Side::server, "E0 00", Disconnect{}},
    // 5.0
    {"Connect", k5, Side::server, "10 14 0004 4D515454 05 02 000A 00 0007 70686F6E652D31",
     Connect{.version = k5, .keep_alive_seconds = 10, .client_id = "phone-1"}},
    {"ConnectPasswordOnly", k5, Side::server, "10 11 0004 4D515454 05 40 0000 00 0000 0002 7077",
     Connect{.version = k5, .clean_start = false, .password = "pw"}},
    {"ConnectFull", k5, Side::server,
     "10 72 0004 4D515454 05 EC 003C"
     "  2F 11 FFFFFFFF 21 0014 27 00010000 22 000A 19 01 17 00 15 0005 534352414D 16 0002 0102"
     "     26 0001 61 0001 62 26 0001 61 0001 63"
     "  0007 70686F6E652D31"
     "  13 18 00000005 02 00000258 01 01 26 0001 6B 0001 76"
     "  000A 6C6173742F776F726473 0003 627965 0003 616E6E 0003 007077",
     full_connect_v5()},
    {"Connack", k5, Side::client, "20 03 00 00 00", Connack{}},
    {"ConnackRefused", k5, Side::client, "20 0A 00 87 07 1F 0004 6E6F7065",
     Connack{.reason = ReasonCode::not_authorized, .reason_string = "nope"}},
    {"ConnackFull", k5, Side::client,
     "20 4E 01 00 4B"
     "  11 00001C20 21 0064 24 01 25 01 27 00100000 12 0006 6175746F2D31 22 0008 28 01 29 00 2A 01 13 001E"
     "  1A 0005 726573702F 1C 0002 6232 15 0005 534352414D 16 0001 78 1F 0002 6F6B 26 0001 6E 0001 31",
     kFullConnack},
    {"Publish", k5, Side::server, "30 08 0003 612F62 00 6869", Publish{.topic = "a/b", .payload = "hi"}},
    {"PublishByAlias", k5, Side::server, "30 08 0000 03 23 0007 6869",
     Publish{.payload = "hi", .topic_alias = 7}},
    {"PublishFull", k5, Side::client,
     "3D 3B 0003 612F62 1234"
     "  31 02 0000012C 23 0007 0B 01 0B FFFFFF7F"
     "     01 01 03 0004 6A736F6E 08 0003 722F31 09 0002 FF00 26 0001 6B 0001 76 26 0001 6B 0001 77"
     "  6869",
     kFullPublish},
    {"Puback", k5, Side::server, "40 02 000A", reply<Puback>()},
    {"PubackReason", k5, Side::server, "40 03 000A 10", reply<Puback>(ReasonCode::no_matching_subscribers)},
    {"PubackFull", k5, Side::client, "40 14 000A 97 10" DIAGNOSTICS,
     explained<Puback>(ReasonCode::quota_exceeded)},
    {"Pubrec", k5, Side::server, "50 02 000A", reply<Pubrec>()},
    {"PubrecFull", k5, Side::client, "50 14 000A 97 10" DIAGNOSTICS,
     explained<Pubrec>(ReasonCode::quota_exceeded)},
    {"Pubrel", k5, Side::server, "62 02 000A", reply<Pubrel>()},
    {"PubrelFull", k5, Side::client, "62 14 000A 92 10" DIAGNOSTICS,
     explained<Pubrel>(ReasonCode::packet_identifier_not_found)},
    {"Pubcomp", k5, Side::server, "70 02 000A", reply<Pubcomp>()},
    {"PubcompFull", k5, Side::client, "70 14 000A 92 10" DIAGNOSTICS,
     explained<Pubcomp>(ReasonCode::packet_identifier_not_found)},
    {"Subscribe", k5, Side::server, "82 0F 000A 00 0003 612F62 01 0003 632F64 02",
     Subscribe{.packet_id = PacketId(10),
               .entries = {{"a/b", {.qos = Qos::at_least_once}}, {"c/d", {.qos = Qos::exactly_once}}}}},
    {"SubscribeFull", k5, Side::server, "82 17 000A 0A 0B 8001 26 0001 61 0001 62 0003 612F62 2C 0001 63 12",
     Subscribe{.packet_id = PacketId(10),
               .entries = {{"a/b",
                            {.no_local = true,
                             .retain_as_published = true,
                             .retain_handling = RetainHandling::do_not_send}},
                           {"c", {.qos = Qos::exactly_once, .retain_handling = RetainHandling::send_if_new}}},
               .subscription_identifier = 128,
               .user_properties = {{"a", "b"}}}},
    {"Suback", k5, Side::client, "90 04 000A 00 01",
     Suback{.packet_id = PacketId(10), .reasons = {ReasonCode::granted_qos_1}}},
    {"SubackFull", k5, Side::client, "90 17 000A 10" DIAGNOSTICS "02 87 8F 00",
     Suback{.packet_id = PacketId(10),
            .reasons = {ReasonCode::granted_qos_2, ReasonCode::not_authorized,
                        ReasonCode::topic_filter_invalid, ReasonCode::success},
            .reason_string = kNoRoom,
            .user_properties = {{"a", ""}}}},
    {"Unsubscribe", k5, Side::server, "A2 0F 000A 07 26 0001 61 0001 62 0003 612F62",
     Unsubscribe{.packet_id = PacketId(10), .filters = {"a/b"}, .user_properties = {{"a", "b"}}}},
    {"Unsuback", k5, Side::client, "B0 05 000A 00 00 11",
     Unsuback{.packet_id = PacketId(10),
              .reasons = {ReasonCode::success, ReasonCode::no_subscription_existed}}},
    {"UnsubackFull", k5, Side::client, "B0 14 000A 10" DIAGNOSTICS "87",
     Unsuback{.packet_id = PacketId(10),
              .reasons = {ReasonCode::not_authorized},
              .reason_string = kNoRoom,
              .user_properties = {{"a", ""}}}},
    {"Pingreq", k5, Side::server, "C0 00", Pingreq{}},
    {"Pingresp", k5, Side::client, "D0 00", Pingresp{}},
    {"Disconnect", k5, Side::server, "E0 00", Disconnect{}},
    {"DisconnectWithWill", k5, Side::server, "E0 01 04",
     Disconnect{.reason = ReasonCode::disconnect_with_will}},
    {"DisconnectExpiry", k5, Side::server, "E0 07 00 05 11 00000E10",
     Disconnect{.session_expiry_seconds = 3600}},
    {"DisconnectFull", k5, Side::client, "E0 17 9D 15 1C 0002 6232" DIAGNOSTICS,
     Disconnect{.reason = ReasonCode::server_moved,
                .reason_string = kNoRoom,
                .server_reference = "b2",
                .user_properties = {{"a", ""}}}},
    {"AuthEmpty", k5, Side::client, "F0 00", Auth{}},
    {"AuthFull", k5, Side::server, "F0 1C 18 1A 15 0001 6D 16 0003 010002" DIAGNOSTICS,
     Auth{.reason = ReasonCode::continue_authentication,
          .authentication_method = "m",
          .authentication_data = "\1\0\2"sv,
          .reason_string = kNoRoom,
          .user_properties = {{"a", ""}}}},
};

bool is_connect(const Golden& golden) {
  return std::holds_alternative<Connect>(golden.packet);
}

DecodeResult decode(const Golden& golden, std::string_view bytes) {
  return decode_one(bytes, golden.version, golden.side, is_connect(golden), DecodeLimits{});
}

class GoldenPackets : public testing::TestWithParam<Golden> {};

TEST_P(GoldenPackets, DecodeToTheirValue) {
  const std::string bytes = hex(GetParam().bytes);
  const DecodeResult result = decode(GetParam(), bytes);
  if (const auto* violation = std::get_if<Violation>(&result)) FAIL() << describe(*violation);
  const auto* decoded = std::get_if<Decoded>(&result);
  ASSERT_NE(decoded, nullptr);
  EXPECT_EQ(decoded->size, bytes.size());
  EXPECT_TRUE(decoded->packet == GetParam().packet);
}

TEST_P(GoldenPackets, EncodeToTheirBytes) {
  std::string out = "before";
  ASSERT_TRUE(encode(out, GetParam().packet, GetParam().version));
  EXPECT_EQ(to_hex(out.substr(6)), to_hex(hex(GetParam().bytes)));
}

TEST_P(GoldenPackets, AreAwaitedWhileTheyAreIncomplete) {
  const std::string bytes = hex(GetParam().bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const DecodeResult result = decode(GetParam(), std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(std::holds_alternative<NeedMore>(result)) << size;
    EXPECT_EQ(std::get<NeedMore>(result).total, size < 2 ? 0 : bytes.size()) << size;
  }
}

TEST_P(GoldenPackets, LeaveWhatFollowsThemAlone) {
  const std::string bytes = hex(GetParam().bytes);
  const std::string twice = bytes + bytes;
  const DecodeResult result = decode(GetParam(), twice);
  ASSERT_TRUE(std::holds_alternative<Decoded>(result));
  EXPECT_EQ(std::get<Decoded>(result).size, bytes.size());
  EXPECT_TRUE(std::get<Decoded>(result).packet == GetParam().packet);
}

// A body that ends early, with a remaining length to match, is refused or is another legal packet; it never
// reads beyond its end (the sanitizers watch) and never equals the whole.
TEST_P(GoldenPackets, AreNotThemselvesWhenCutShort) {
  const std::string bytes = hex(GetParam().bytes);
  for (size_t body = 0; body + 2 < bytes.size(); ++body) {
    std::string cut = bytes.substr(0, 2 + body);
    cut[1] = static_cast<char>(body);
    cut.shrink_to_fit();
    const DecodeResult result = decode(GetParam(), cut);
    ASSERT_FALSE(std::holds_alternative<NeedMore>(result)) << body;
    if (const auto* decoded = std::get_if<Decoded>(&result)) {
      EXPECT_FALSE(decoded->packet == GetParam().packet) << body;
    }
  }
}

std::string title_of(const testing::TestParamInfo<Golden>& info) {
  const char* version = info.param.version == k31 ? "V31" : info.param.version == k311 ? "V311" : "V5";
  return std::string(version) + info.param.title;
}
INSTANTIATE_TEST_SUITE_P(EveryVersion, GoldenPackets, testing::ValuesIn(kGoldens), title_of);

}  // namespace
}  // namespace courier::mqtt
