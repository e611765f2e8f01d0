#include "mqtt/properties.h"

#include <gtest/gtest.h>

#include "mqtt/decoder.h"
#include "mqtt/test_bytes.h"
#include "mqtt/wire.h"

namespace courier::mqtt {
namespace {

constexpr PropertyHost kHosts[] = {
    PropertyHost::will,       PropertyHost::connect, PropertyHost::connack,     PropertyHost::publish,
    PropertyHost::puback,     PropertyHost::pubrec,  PropertyHost::pubrel,      PropertyHost::pubcomp,
    PropertyHost::subscribe,  PropertyHost::suback,  PropertyHost::unsubscribe, PropertyHost::unsuback,
    PropertyHost::disconnect, PropertyHost::auth};

// Table 2-4 again, written from the specification and not from the code: identifier, a legal value, packets
// by one letter each in the order of kHosts (W will, C CONNECT, c CONNACK, P PUBLISH, 4 to 7 the replies,
// S SUBSCRIBE, s SUBACK, U UNSUBSCRIBE, u UNSUBACK, D DISCONNECT, A AUTH).
struct Row {
  const char* name;
  const char* bytes;
  std::string_view packets;
};
constexpr std::string_view kLetters = "WCcP4567SsUuDA";
constexpr Row kTable[] = {
    {"payload_format_indicator", "01 01", "WP"},
    {"message_expiry_interval", "02 00000001", "WP"},
    {"content_type", "03 0001 61", "WP"},
    {"response_topic", "08 0001 61", "WP"},
    {"correlation_data", "09 0001 FF", "WP"},
    {"subscription_identifier", "0B 8001", "PS"},
    {"session_expiry_interval", "11 00000001", "CcD"},
    {"assigned_client_identifier", "12 0001 61", "c"},
    {"server_keep_alive", "13 0001", "c"},
    {"authentication_method", "15 0001 61", "CcA"},
    {"authentication_data", "16 0001 FF", "CcA"},
    {"request_problem_information", "17 01", "C"},
    {"will_delay_interval", "18 00000001", "W"},
    {"request_response_information", "19 01", "C"},
    {"response_information", "1A 0001 61", "c"},
    {"server_reference", "1C 0001 61", "cD"},
    {"reason_string", "1F 0001 61", "c4567suDA"},
    {"receive_maximum", "21 0001", "Cc"},
    {"topic_alias_maximum", "22 0001", "Cc"},
    {"topic_alias", "23 0001", "P"},
    {"maximum_qos", "24 01", "c"},
    {"retain_available", "25 01", "c"},
    {"user_property", "26 0001 61 0001 62", "WCcP4567SsUuDA"},
    {"maximum_packet_size", "27 00000001", "Cc"},
    {"wildcard_subscription_available", "28 01", "c"},
    {"subscription_identifier_available", "29 01", "c"},
    {"shared_subscription_available", "2A 01", "c"},
};

// Walks `block` as the properties of `host`; nullopt, or what was wrong.
std::optional<Violation> walk(const std::string& block, PropertyHost host) {
  const std::string bytes = static_cast<char>(block.size()) + block;
  Reader in(bytes);
  PropertyWalk properties(in, host);
  for (Property property; properties.next(property);) {
  }
  if (!in.failed()) return std::nullopt;
  return in.violation();
}

TEST(PropertyTable, IsThatOfTheSpecification) {
  for (const Row& row : kTable) {
    const std::string bytes = hex(row.bytes);
    EXPECT_EQ(name(static_cast<PropertyId>(bytes[0])), row.name);
    for (size_t i = 0; i < std::size(kHosts); ++i) {
      const bool legal = row.packets.find(kLetters[i]) != std::string_view::npos;
      EXPECT_EQ(!walk(bytes, kHosts[i]), legal) << row.name << " in " << kLetters[i];
    }
  }
}

TEST(PropertyTable, HasNoOtherIdentifiers) {
  for (int id = 0; id < 256; ++id) {
    bool listed = false;
    for (const Row& row : kTable) listed |= hex(row.bytes)[0] == static_cast<char>(id);
    EXPECT_EQ(name(static_cast<PropertyId>(id)) != "unknown", listed) << id;
  }
}

TEST(PropertyTable, LetsOnlyUserPropertiesAndSubscriptionIdentifiersOfPublishRepeat) {
  for (const Row& row : kTable) {
    for (size_t i = 0; i < std::size(kHosts); ++i) {
      if (row.packets.find(kLetters[i]) == std::string_view::npos) continue;
      const bool repeats = row.name == std::string_view("user_property") ||
                           (row.name == std::string_view("subscription_identifier") && kLetters[i] == 'P');
      const auto violation = walk(hex(row.bytes) + hex(row.bytes), kHosts[i]);
      EXPECT_EQ(!violation, repeats) << row.name << " in " << kLetters[i];
      if (violation) {
        EXPECT_EQ(violation->reason, ReasonCode::protocol_error) << row.name;
      }
    }
  }
}

const std::string kBlock =
    hex("01 01 03 0004 6A736F6E 08 0003 722F31 09 0002 FF00 26 0001 6B 0001 76 26 0001 6B 0001 77");

TEST(ForwardedProperties, AreBuiltAsTheyStandOnTheWire) {
  ForwardedPropertiesBuilder builder;
  builder.payload_format(1).content_type("json").response_topic("r/1");
  builder.correlation_data(hex("FF00")).user_property("k", "v").user_property("k", "w");
  EXPECT_EQ(to_hex(builder.take()), to_hex(kBlock));
}

TEST(ForwardedProperties, AreReadOneByOne) {
  EXPECT_EQ(payload_format(kBlock), 1);
  EXPECT_EQ(content_type(kBlock), "json");
  EXPECT_EQ(response_topic(kBlock), "r/1");
  EXPECT_EQ(correlation_data(kBlock), hex("FF00"));
  // [MQTT-3.3.2-18]
  EXPECT_EQ(user_properties(kBlock), (UserProperties{{"k", "v"}, {"k", "w"}}));
}

TEST(ForwardedProperties, AreAbsentFromAnEmptyBlock) {
  EXPECT_FALSE(payload_format(""));
  EXPECT_FALSE(content_type(""));
  EXPECT_FALSE(response_topic(""));
  EXPECT_FALSE(correlation_data(""));
  EXPECT_TRUE(user_properties("").empty());
  EXPECT_TRUE(is_forwarded_block(""));
}

TEST(ForwardedProperties, AreToldFromOtherBytes) {
  EXPECT_TRUE(is_forwarded_block(kBlock));
  EXPECT_FALSE(is_forwarded_block(kBlock.substr(1)));
  EXPECT_FALSE(is_forwarded_block(kBlock.substr(0, kBlock.size() - 1)));
  EXPECT_FALSE(is_forwarded_block(hex("01 01 01 01")));  // twice
  EXPECT_FALSE(is_forwarded_block(hex("01 02")));        // out of range
  EXPECT_FALSE(is_forwarded_block(hex("02 00000001")));  // not forwarded
  EXPECT_FALSE(is_forwarded_block(hex("08 0001 23")));   // a wildcard
}

// Section 3.3.2.3.2
TEST(PayloadFormat, IsHeldAgainstThePayload) {
  EXPECT_TRUE(payload_format_valid("", "\xFF"));
  EXPECT_TRUE(payload_format_valid(hex("01 00"), "\xFF"));
  EXPECT_TRUE(payload_format_valid(hex("01 01"), "caf\xC3\xA9"));
  EXPECT_TRUE(payload_format_valid(hex("01 01"), std::string_view("a\0b", 3)));
  EXPECT_FALSE(payload_format_valid(hex("01 01"), "\xFF"));
  EXPECT_FALSE(payload_format_valid(hex("26 0001 6B 0001 76 01 01"), "\xFF"));
}

Publish publish_of(const std::string& bytes) {
  const DecodeResult result = decode_one(bytes, Version::v5, Side::server, false, DecodeLimits{});
  const auto* decoded = std::get_if<Decoded>(&result);
  EXPECT_NE(decoded, nullptr);
  return decoded ? std::get<Publish>(decoded->packet) : Publish{};
}

TEST(ForwardedView, IsAViewOfTheInputWhenTheyStandTogether) {
  const std::string bytes = hex("30 13 0001 61 0E 02 00000005 01 01 26 0001 6B 0001 76 68");
  const Publish publish = publish_of(bytes);
  EXPECT_EQ(to_hex(publish.forwarded_properties), to_hex(hex("01 01 26 0001 6B 0001 76")));
  EXPECT_GE(publish.forwarded_properties.data(), bytes.data());
  EXPECT_LT(publish.forwarded_properties.data(), bytes.data() + bytes.size());
  EXPECT_EQ(publish.gathered.bytes, nullptr);
  EXPECT_EQ(publish.message_expiry_seconds, 5u);
}

// [MQTT-3.3.2-17], [MQTT-3.3.2-18]
TEST(ForwardedView, IsGatheredInOrderWhenOthersStandBetween) {
  Publish copy;
  {
    const std::string bytes =
        hex("30 1D 0001 61 18 26 0001 6B 0001 76 23 0001 01 01 02 00000005 26 0001 6B 0001 77 68");
    copy = publish_of(bytes);
    EXPECT_EQ(copy.topic_alias, 1);
    EXPECT_EQ(copy.message_expiry_seconds, 5u);
    EXPECT_EQ(copy.payload, "h");
  }
  // The gathered bytes belong to the packet and its copies, not to the input.
  EXPECT_EQ(to_hex(copy.forwarded_properties), to_hex(hex("26 0001 6B 0001 76 01 01 26 0001 6B 0001 77")));
}

TEST(ForwardedView, OfAWillIsGatheredToo) {
  const std::string bytes =
      hex("10 26 0004 4D515454 05 06 0000 00 0000 12 26 0001 6B 0001 76 18 00000005 01 01 03 0001 61"
          "  0001 61 0001 62");
  const DecodeResult result = decode_one(bytes, Version::v5, Side::server, true, DecodeLimits{});
  ASSERT_TRUE(std::holds_alternative<Decoded>(result));
  const Will& will = *std::get<Connect>(std::get<Decoded>(result).packet).will;
  EXPECT_EQ(to_hex(will.forwarded_properties), to_hex(hex("26 0001 6B 0001 76 01 01 03 0001 61")));
  EXPECT_EQ(will.delay_seconds, 5u);
}

}  // namespace
}  // namespace courier::mqtt
