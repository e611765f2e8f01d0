#include "mqtt/encoder.h"

#include <gtest/gtest.h>

#include "mqtt/decoder.h"
#include "mqtt/limits.h"
#include "mqtt/test_bytes.h"

namespace courier::mqtt {
namespace {

MessagePtr message(std::string_view topic, std::string_view payload, std::string_view properties = {}) {
  return MessagePtr(Message::make(topic, payload, properties));
}

std::string delivered(const Message& message, const Delivery& delivery, Version version) {
  std::string out;
  EXPECT_TRUE(encode_delivery(out, message, delivery, version));
  EXPECT_EQ(out.size(), encoded_size(message, delivery, version));
  return out;
}

TEST(Delivery, LeavesPropertiesOutBefore5) {
  const MessagePtr m = message("a/b", "hi", hex("01 01"));
  const uint32_t identifiers[] = {1};
  const Delivery delivery{.qos = Qos::at_least_once,
                          .retain = true,
                          .packet_id = PacketId(0x1234),
                          .message_expiry_seconds = 5,
                          .topic_alias = 1,
                          .topic_known_by_alias = true,
                          .subscription_identifiers = identifiers,
                          .subscription_identifier_count = 1};
  EXPECT_EQ(to_hex(delivered(*m, delivery, Version::v3_1_1)), to_hex(hex("33 09 0003 612F62 1234 6869")));
}

// [MQTT-3.3.2-6], [MQTT-3.3.4-4], [MQTT-3.3.2-17]
TEST(Delivery, CarriesWhatDiffersByReceiverAndWhatIsForwarded) {
  const MessagePtr m = message("a/b", "hi", hex("01 01 26 0001 6B 0001 76"));
  const uint32_t identifiers[] = {5, 300};
  const Delivery delivery{.qos = Qos::exactly_once,
                          .dup = true,
                          .packet_id = PacketId(1),
                          .message_expiry_seconds = 9,
                          .topic_alias = 2,
                          .subscription_identifiers = identifiers,
                          .subscription_identifier_count = 2};
  EXPECT_EQ(
      to_hex(delivered(*m, delivery, Version::v5)),
      to_hex(
          hex("3C 20 0003 612F62 0001 16 02 00000009 23 0002 0B 05 0B AC02 01 01 26 0001 6B 0001 76 6869")));
}

TEST(Delivery, SendsAnEmptyTopicOnceTheAliasIsKnown) {
  const MessagePtr m = message("a/b", "hi");
  const Delivery delivery{.topic_alias = 2, .topic_known_by_alias = true};
  EXPECT_EQ(to_hex(delivered(*m, delivery, Version::v5)), to_hex(hex("30 08 0000 03 23 0002 6869")));
}

// [MQTT-2.2.1-2]
TEST(Delivery, HasNoPacketIdWithQos0) {
  const MessagePtr m = message("a", "");
  EXPECT_EQ(to_hex(delivered(*m, {.packet_id = PacketId(7)}, Version::v3_1_1)), to_hex(hex("30 03 0001 61")));
}

TEST(Delivery, KnowsItsSizeAtEveryBoundaryOfALength) {
  for (const size_t size : {0,      118,    119,    120,    121,    122,       123,       124,      125,
                            126,    127,    128,    129,    16'375, 16'376,    16'377,    16'378,   16'379,
                            16'380, 16'381, 16'382, 16'383, 16'384, 2'097'145, 2'097'148, 2'097'152}) {
    const MessagePtr m = message("a", std::string(size, 'x'));
    for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
      const std::string out = delivered(*m, {}, version);
      const DecodeResult result = decode_one(out, version, Side::client, false, DecodeLimits{});
      ASSERT_TRUE(std::holds_alternative<Decoded>(result)) << size;
      EXPECT_EQ(std::get<Decoded>(result).size, out.size());
      EXPECT_EQ(std::get<Publish>(std::get<Decoded>(result).packet).payload, m->payload);
    }
  }
}

TEST(Delivery, IsNotWrittenBeyondWhatAPacketCanHold) {
  const MessagePtr m = message("a", std::string(kVariableByteIntegerMax - 3, 'x'));
  std::string out;
  EXPECT_EQ(encoded_size(*m, {}, Version::v3_1_1), kPacketSizeMax);
  EXPECT_EQ(encoded_size(*m, {}, Version::v5), kPacketSizeMax + 1);
  EXPECT_FALSE(encode_delivery(out, *m, {}, Version::v5));
  EXPECT_TRUE(out.empty());
}

// [MQTT-3.2.2-19], [MQTT-3.2.2-20] and the like of every reply.
TEST(Diagnostics, AreLeftOutAsFarAsTheReceiversMaximumDemands) {
  const Puback puback{{.packet_id = PacketId(10),
                       .reason = ReasonCode::quota_exceeded,
                       .reason_string = "no room",
                       .user_properties = {{"a", ""}}}};
  const auto encoded = [&](uint32_t maximum) {
    std::string out;
    return encode(out, puback, Version::v5, maximum) ? to_hex(out) : "does not fit";
  };
  const std::string whole = to_hex(hex("40 14 000A 97 10 1F 0007 6E6F20726F6F6D 26 0001 61 0000"));
  const std::string without_user = to_hex(hex("40 0E 000A 97 0A 1F 0007 6E6F20726F6F6D"));
  const std::string bare = to_hex(hex("40 03 000A 97"));
  EXPECT_EQ(encoded(0xFFFFFFFF), whole);
  EXPECT_EQ(encoded(22), whole);
  EXPECT_EQ(encoded(21), without_user);
  EXPECT_EQ(encoded(16), without_user);
  EXPECT_EQ(encoded(15), bare);
  EXPECT_EQ(encoded(5), bare);
  EXPECT_EQ(encoded(4), "does not fit");
}

// [MQTT-3.1.2-24]
TEST(Encoding, AppendsNothingThatDoesNotFit) {
  const Packet packets[] = {Connack{}, Suback{.packet_id = PacketId(1), .reasons = {ReasonCode::success}},
                            Publish{.topic = "a"}, Pingresp{}, Disconnect{.reason = ReasonCode::server_busy}};
  for (const Packet& packet : packets) {
    std::string out = "before";
    EXPECT_FALSE(encode(out, packet, Version::v5, 1));
    EXPECT_EQ(out, "before");
  }
}

TEST(Encoding, NeverShortensWhatAClientAsksFor) {
  const Packet subscribe =
      Subscribe{.packet_id = PacketId(1), .entries = {{"a", {}}}, .user_properties = {{"name", "value"}}};
  std::string out;
  EXPECT_FALSE(encode(out, subscribe, Version::v5, 12));
  EXPECT_TRUE(encode(out, subscribe, Version::v5));
}

// A length of more than one byte moves what was written behind it.
TEST(Encoding, OpensLongLengthsRightly) {
  const std::string text(300, 'x');
  const Packet packet = Connack{.reason = ReasonCode::banned, .reason_string = text};
  std::string out;
  ASSERT_TRUE(encode(out, packet, Version::v5));
  const DecodeResult result = decode_one(out, Version::v5, Side::client, false, DecodeLimits{});
  ASSERT_TRUE(std::holds_alternative<Decoded>(result));
  EXPECT_TRUE(std::get<Decoded>(result).packet == packet);
  EXPECT_EQ(std::get<Decoded>(result).size, out.size());
}

// [MQTT-3.2.2-6]
TEST(Encoding, SendsNoSessionPresentWithARefusal) {
  std::string out;
  ASSERT_TRUE(
      encode(out, Connack{.session_present = true, .reason = ReasonCode::not_authorized}, Version::v3_1_1));
  EXPECT_EQ(to_hex(out), "20020005");
}

TEST(Encoding, MapsEveryRefusalToAReturnCodeOf3) {
  for (int code = 0x80; code <= 0xA2; ++code) {
    const uint8_t mapped = connack_return_code_v3(static_cast<ReasonCode>(code));
    EXPECT_GE(mapped, 1) << code;
    EXPECT_LE(mapped, 5) << code;
  }
  EXPECT_EQ(connack_return_code_v3(ReasonCode::success), 0);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::unsupported_protocol_version), 1);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::client_identifier_not_valid), 2);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::server_busy), 3);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::bad_user_name_or_password), 4);
  EXPECT_EQ(connack_return_code_v3(ReasonCode::banned), 5);
}

TEST(EncodingDeathTest, StopsAtABugOfOurs) {
  std::string out;
  EXPECT_DEATH(encode(out, Puback{}, Version::v5), "packet_id");
  EXPECT_DEATH(encode(out, Publish{.qos = Qos::at_least_once, .topic = "a"}, Version::v5), "packet_id");
  EXPECT_DEATH(encode(out, Publish{.dup = true, .topic = "a"}, Version::v5), "dup");
  EXPECT_DEATH(encode(out, Auth{}, Version::v3_1_1), "version");
}

TEST(Encoder, SizesOfPacketsAreFoundAgain) {
  std::string bytes;
  std::vector<size_t> sizes;
  for (const size_t payload :
       {size_t{0}, size_t{100}, size_t{127}, size_t{128}, size_t{20'000}, size_t{3'000'000}}) {
    const size_t before = bytes.size();
    const std::string text(payload, 'x');
    ASSERT_TRUE(encode(bytes, Publish{.topic = "a/b", .payload = text}, Version::v5));
    sizes.push_back(bytes.size() - before);
    ASSERT_TRUE(encode(bytes, Pingresp{}, Version::v5));
    sizes.push_back(2);
  }
  std::string_view rest = bytes;
  for (const size_t size : sizes) {
    ASSERT_EQ(encoded_packet_size(rest), size);
    rest.remove_prefix(size);
  }
  EXPECT_TRUE(rest.empty());
}

}  // namespace
}  // namespace courier::mqtt
