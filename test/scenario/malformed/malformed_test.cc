// Bytes that are no MQTT: each closes its own connection with the right code and disturbs nobody.
// Sections 1.5, 2 and 4.13.
#include <gtest/gtest.h>

#include <random>

#include "harness/client.h"

namespace courier::scenario {
namespace {

// Somebody else's connection that must not notice anything.
class Malformed : public testing::Test {
 protected:
  void TearDown() override {
    bystander_.publish(topic_, "still here", 1);
    bystander_.message("still here");
  }
  void expect_end_of(const std::string& bytes, Version version, std::initializer_list<uint8_t> reasons) {
    Client client({.version = version});
    client.send(bytes);
    client.expect_end(reasons);
  }

  Client bystander_;
  std::string topic_ = [this] {
    const std::string topic = unique("bystander/");
    bystander_.subscribe(topic, 1);
    return topic;
  }();
};

}  // namespace

// [MQTT-1.5.5-1], section 2.1.4: Remaining Length has at most four bytes.
TEST_F(Malformed, RemainingLengthOfFiveBytes) {
  for (const Version version : kVersions) {
    expect_end_of(std::string("\x30\xFF\xFF\xFF\xFF\x01", 6), version, {0x81, 0x82});
    expect_end_of(std::string("\xC0\x80\x80\x80\x80\x00", 6), version, {0x81, 0x82});
  }
}

// [MQTT-1.5.5-1]: a length in more bytes than it needs.
TEST_F(Malformed, VariableByteIntegerThatIsNotMinimal) {
  COURIER_ONLY();
  expect_end_of(std::string("\xC0\x80\x00", 3), v5, {0x81, 0x82});
  // A property length of zero in two bytes.
  expect_end_of(frame(0x30, text("t") + std::string("\x80\x00", 2) + "x"), v5, {0x81, 0x82});
}

// [MQTT3-4.8.0-1], [MQTT-2.1.3-1], [MQTT-4.13.1-1], [MQTT3-2.2.2-1], [MQTT3-2.2.2-2], [MQTT-3.6.1-1],
// [MQTT3-3.6.1-1], [MQTT-3.15.1-1]
TEST_F(Malformed, ReservedFlagBits) {
  struct Case {
    unsigned type, right;
    std::string body;
  };
  for (const Version version : kVersions) {
    for (const Case& c : {Case{0x40, 0, u16(1)}, Case{0x50, 0, u16(1)}, Case{0x60, 2, u16(1)},
                          Case{0x70, 0, u16(1)}, Case{0xC0, 0, ""}, Case{0xE0, 0, ""}}) {
      for (const unsigned flags : {0u, 1u, 2u, 4u, 8u}) {
        if (flags == c.right) continue;
        expect_end_of(frame(static_cast<uint8_t>(c.type | flags), c.body), version, {0x81, 0x82});
      }
    }
  }
  expect_end_of(frame(0xF1, u8(0) + u8(0)), v5, {0x81, 0x82});
  expect_end_of(frame(0xF8, ""), v5, {0x81, 0x82});
}

// Packet types that only a server sends, and those that do not exist. Section 2.1.2.
TEST_F(Malformed, PacketTypesThatAClientMayNotSend) {
  for (const Version version : kVersions) {
    for (const std::string& packet :
         {frame(0x00, ""), frame(0x0F, "x"), frame(0x20, u16(0)), frame(0x20, u16(0) + u8(0)),
          frame(0x90, u16(1) + u8(0)), frame(0x90, u16(1) + u8(0) + u8(0)), frame(0xB0, u16(1)),
          frame(0xB0, u16(1) + u8(0) + u8(0)), frame(0xD0, "")}) {
      expect_end_of(packet, version, {0x81, 0x82});
    }
  }
  for (const Version version : {v3_1, v3_1_1}) expect_end_of(frame(0xF0, ""), version, {});
}

// Bodies that are too short or too long for their packet.
TEST_F(Malformed, BodiesOfTheWrongLength) {
  for (const Version version : kVersions) {
    for (const unsigned type : {0x40u, 0x50u, 0x62u, 0x70u}) {
      expect_end_of(frame(static_cast<uint8_t>(type), ""), version, {0x81, 0x82});
      expect_end_of(frame(static_cast<uint8_t>(type), u8(0)), version, {0x81, 0x82});
      expect_end_of(frame(static_cast<uint8_t>(type), u16(0)), version, {0x81, 0x82});  // identifier 0
    }
    expect_end_of(frame(0xC0, "x"), version, {0x81, 0x82});
  }
  for (const Version version : {v3_1, v3_1_1}) {
    expect_end_of(frame(0x40, u16(1) + u8(0)), version, {});
    expect_end_of(frame(0xE0, u8(0)), version, {});
  }
  // A property length that is larger than what is left, and one that leaves bytes over.
  expect_end_of(frame(0x40, u16(1) + u8(0) + u8(5)), v5, {0x81, 0x82});
  expect_end_of(frame(0x40, u16(1) + u8(0) + u8(0) + "x"), v5, {0x81, 0x82});
  expect_end_of(frame(0x82, u16(1) + u8(99) + text("a") + u8(0)), v5, {0x81, 0x82});
  expect_end_of(frame(0x82, u16(1) + u8(0) + text("a")), v5, {0x81, 0x82});  // options are missing
}

// [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1]: codes that the packet does not have.
TEST_F(Malformed, ReasonCodesOfOtherPackets) {
  COURIER_ONLY();
  for (const unsigned type : {0x40u, 0x50u, 0x62u, 0x70u}) {
    for (const uint8_t reason : {0x01, 0x8E, 0xFF}) {
      expect_end_of(frame(static_cast<uint8_t>(type), u16(1) + u8(reason)), v5, {0x81, 0x82});
    }
  }
}

// Sections 2.2.2 and 3: each property in packets where it has no place, twice, or unknown.
TEST_F(Malformed, PropertiesWithoutAPlace) {
  for (const unsigned type : {0x40u, 0x50u, 0x62u, 0x70u}) {
    for (const Properties& properties : {with(kTopicAlias, 1u), with(kSessionExpiry, 1u),
                                         with(kReasonString, "a").text(kReasonString, "b")}) {
      expect_end_of(frame(static_cast<uint8_t>(type), u16(1) + u8(0) + properties.with_length()), v5,
                    {0x81, 0x82});
    }
    expect_end_of(frame(static_cast<uint8_t>(type), u16(1) + u8(0) + u8(2) + u8(0x7F) + u8(1)), v5,
                  {0x81, 0x82});
  }
}

// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT3-1.5.3-1], [MQTT3-1.5.3-2]
TEST_F(Malformed, TextsThatAreNotUtf8) {
  for (const Version version : kVersions) {
    for (const std::string& bad :
         {std::string("\xED\xA0\x80"), std::string("\xED\xBF\xBF"), std::string("\xC0\x80"),
          std::string("\xF5\x80\x80\x80"), std::string("\xE2\x82"), std::string("\x80"),
          std::string("\xF8\x88\x80\x80\x80"), std::string("a\0", 2)}) {
      expect_end_of(publish_packet(version, {.topic = bad, .payload = "x"}), version, {0x81, 0x82, 0x90});
      expect_end_of(subscribe_packet(version, 1, {{bad, 0}}), version, {0x81, 0x82, 0x8F});
    }
  }
}

// [MQTT-1.5.4-3], [MQTT3-1.5.3-3]: every other character passes, U+FEFF too, unaltered.
TEST_F(Malformed, UnusualButWellFormedTextsPass) {
  Client subscriber, publisher;
  for (const char* character :
       {"\xEF\xBB\xBF", "\xF0\x9F\x9A\xB4", "\xF4\x8F\xBF\xBD", "\xE2\x80\xA8", " "}) {
    const std::string topic = unique("unusual/") + character;
    subscriber.subscribe(topic, 1);
    publisher.publish(
        {.topic = topic, .payload = "x", .qos = 1, .properties = Properties().user(character, character)});
    const Packet got = subscriber.message("x");
    EXPECT_EQ(got.topic, topic);
    EXPECT_EQ(got.properties.user().at(0).second, character);
  }
}

// [MQTT-4.13.2-1]: whatever the code, the connection is closed. A megabyte of noise in many shapes.
TEST_F(Malformed, NoiseEndsItsOwnConnectionOnly) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::string noise(1 + random() % 3000, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    // From the first byte on, and behind a good CONNECT.
    Client stranger = Client::open();
    stranger.send(noise + std::string(70000, '\xFF'));
    stranger.finish_sending();  // a length that is still to come would be waited for
    stranger.read_to_end();
    Client client({.version = kVersions[round % 3]});
    client.send(std::string(1, '\x00') + noise);
    client.finish_sending();
    client.read_to_end();
  }
}

// A client that announces much and sends little costs little, and is not waited for by others.
TEST_F(Malformed, AnnouncedButUnsentBytesHoldNobodyUp) {
  std::vector<Client> liars;
  for (int i = 0; i < 50; ++i) {
    liars.emplace_back(Connect{});
    liars.back().send(u8(0x30) + varint(500'000) + text("t"));
  }
  bystander_.ping();
}

// A client that ends in the middle of a packet has sent nothing.
TEST_F(Malformed, HalfAPacketIsNotProcessed) {
  const std::string topic = unique("half/");
  Client watcher, publisher, half;
  watcher.subscribe(topic, 1);
  const std::string packet =
      publish_packet(v5, {.topic = topic, .payload = "half of this", .qos = 1, .id = 1});
  half.send(packet.substr(0, packet.size() - 3));
  half.drop();
  watcher.expect_nothing_but_marker(publisher);
}

}  // namespace courier::scenario
