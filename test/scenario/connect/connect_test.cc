// CONNECT and CONNACK: who may come in, with which name, and what it is told. Sections 3.1 and 3.2.
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {
namespace {

// The body of a CONNECT, taken apart so that tests can spoil one piece.
std::string raw_connect(std::string_view name, unsigned level, unsigned flags, std::string_view payload,
                        std::string_view properties = std::string_view("\0", 1)) {
  std::string body = text(name) + u8(level) + u8(flags) + u16(0);
  if (level == 5) body += properties;
  return frame(0x10, body + std::string(payload));
}

// The server may say no by a CONNACK, or simply close; nothing else, and others are served on.
// [MQTT-3.14.0-1], [MQTT-3.2.2-7], [MQTT-3.2.2-6]
void expect_refused_connect(const std::string& packet) {
  Client client = Client::open();
  client.send(packet);
  const std::string answer = client.read_to_end();
  if (!answer.empty()) {
    ASSERT_GE(answer.size(), 4u);
    EXPECT_EQ(answer[0], 0x20);
    EXPECT_EQ(answer[2], 0) << "session present in a refusal";
    EXPECT_NE(answer[3], 0) << "accepted";
  }
  Client alive;
  alive.ping();
}

}  // namespace

// [MQTT3-3.1.4-4], [MQTT3-3.2.2-3], [MQTT3-4.2.0-1], [MQTT3-7.1.1-1], [MQTT-3.1.4-5], [MQTT-3.2.0-1],
// [MQTT-3.1.2-6], [MQTT3-3.2.0-1], [MQTT-4.2-1]
TEST(Connect, EveryVersionIsAcceptedAndAnsweredByConnackFirst) {
  for (const Version version : kVersions) {
    Client client({.version = version, .client_id = unique("plain")});
    EXPECT_EQ(client.connack().reason, 0);
    EXPECT_FALSE(client.connack().session_present);
    client.ping();
  }
}

// [MQTT-3.1.0-1]
TEST(Connect, FirstPacketMustBeConnect) {
  for (const std::string& packet :
       {pingreq_packet(), publish_packet(v5, {.topic = "a", .payload = "b"}), disconnect_packet(v5),
        subscribe_packet(v5, 1, {{"a", 0}}), auth_packet(0x18, with(kAuthMethod, "x"))}) {
    Client client = Client::open();
    client.send(packet);
    EXPECT_TRUE(client.read_until_end().empty());
  }
}

// [MQTT-3.1.0-2], [MQTT3-3.1.0-2], [MQTT-3.2.0-2], [MQTT-4.13.2-1]
TEST(Connect, SecondConnectIsAProtocolError) {
  for (const Version version : kVersions) {
    Client client({.version = version, .client_id = unique("twice")});
    client.send(connect_packet({.version = version, .client_id = client.id()}));
    client.expect_end({0x82});
  }
}

// [MQTT-3.1.2-1], [MQTT3-3.1.2-1]
TEST(Connect, WrongProtocolNameIsRefused) {
  expect_refused_connect(raw_connect("MQTTX", 5, 2, text("wrong-name")));
  expect_refused_connect(raw_connect("mqtt", 4, 2, text("wrong-name")));
  expect_refused_connect(raw_connect("MQTT", 3, 2, text("wrong-name")));
  expect_refused_connect(raw_connect("MQIsdp", 4, 2, text("wrong-name")));
}

// [MQTT-3.1.2-2], [MQTT3-3.1.2-2]
TEST(Connect, UnknownProtocolLevelIsRefusedWithItsReason) {
  for (const unsigned level : {0u, 2u, 6u, 0x7Fu, 0xFFu}) {
    Client client = Client::open();
    client.send(frame(0x10, text("MQTT") + u8(level) + u8(2) + u16(0) + text("level")));
    // Nobody knows how such a client reads: the answer has the shape of 3.1.1, return code 1, or of 5.0,
    // 0x84.
    const std::string answer = client.read_to_end();
    if (Broker::is_courier()) {
      ASSERT_GE(answer.size(), 4u);
      EXPECT_EQ(answer[0], 0x20);
      EXPECT_TRUE(answer[3] == 1 || static_cast<uint8_t>(answer[3]) == 0x84);
    }
  }
}

// [MQTT-3.1.2-3], [MQTT3-3.1.2-3], [MQTT-3.14.0-1], [MQTT-3.2.2-7]
TEST(Connect, ReservedConnectFlagMustBeZero) {
  expect_refused_connect(raw_connect("MQTT", 5, 3, text("reserved")));
  expect_refused_connect(raw_connect("MQTT", 4, 3, text("reserved")));
}

// [MQTT3-3.1.4-3], [MQTT-3.1.2-4], [MQTT-3.2.2-2], [MQTT-3.1.4-4], [MQTT3-3.1.2-6], [MQTT3-3.2.2-1]
TEST(Connect, CleanStartDiscardsTheSession) {
  for (const Version version : {v3_1_1, v5}) {
    const std::string id = unique("clean"), topic = unique("clean/");
    Client first(persistent(version, id));
    first.subscribe(topic, 1);
    first.disconnect();
    Client second({.version = version, .client_id = id, .clean = true});
    EXPECT_FALSE(second.connack().session_present);
    Client publisher;
    publisher.publish(topic, "for nobody", 1);
    second.expect_nothing_but_marker(publisher);
  }
}

// [MQTT3-3.1.3-2], [MQTT3-4.5.0-1], [MQTT-3.1.2-5], [MQTT-3.2.2-3], [MQTT3-3.1.2-4], [MQTT3-3.2.2-2],
// [MQTT-4.5.0-1], [MQTT3-3.1.2-5]
TEST(Connect, SessionIsResumedWithWhatWasQueued) {
  for (const Version version : kVersions) {
    const std::string id = unique("resume"), topic = unique("resume/");
    Client first(persistent(version, id));
    EXPECT_FALSE(first.connack().session_present);
    first.subscribe(topic, 2);
    first.disconnect();
    Client publisher;
    publisher.publish(topic, "one", 1);
    publisher.publish(topic, "two", 2);
    Client second(persistent(version, id));
    EXPECT_EQ(second.connack().session_present, version != v3_1);
    second.message("one");
    second.message("two");
    publisher.publish(topic, "three", 1);
    second.message("three");
  }
}

// [MQTT-3.1.3-5], [MQTT3-3.1.3-5], [MQTT-3.1.3-2]
TEST(Connect, TwentyThreeLettersAndDigitsAreAllowedAsClientId) {
  for (const Version version : kVersions) {
    for (const char* id : {"0123456789ABCDEFGHIJKLM", "NOPQRSTUVWXYZabcdefghij", "klmnopqrstuvwxyz", "7"}) {
      Client client({.version = version, .client_id = id});
      client.disconnect();
    }
  }
}

// [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16], [MQTT3-3.1.3-6]
TEST(Connect, EmptyClientIdIsReplacedByAUniqueOne) {
  Client one = Client::open(), two = Client::open();
  const Packet first = one.handshake({.client_id = ""}), second = two.handshake({.client_id = ""});
  EXPECT_EQ(first.reason, 0);
  ASSERT_TRUE(first.properties.text(kAssignedClientId));
  ASSERT_TRUE(second.properties.text(kAssignedClientId));
  EXPECT_NE(first.properties.text(kAssignedClientId), second.properties.text(kAssignedClientId));
  one.ping();
  two.ping();

  Client old = Client::open();
  EXPECT_EQ(old.handshake({.version = v3_1_1, .client_id = ""}).reason, 0);
  old.ping();
}

// [MQTT-3.1.3-7]
TEST(Connect, AssignedClientIdNamesTheSession) {
  Client one = Client::open();
  const auto id = one.handshake({.client_id = "", .properties = with(kSessionExpiry, 600)})
                      .properties.text(kAssignedClientId);
  ASSERT_TRUE(id);
  one.disconnect();
  Client again({.client_id = *id, .clean = false});
  EXPECT_TRUE(again.connack().session_present);
}

// [MQTT3-3.1.3-7], [MQTT3-3.1.3-8], [MQTT3-3.2.2-4], [MQTT3-3.2.2-5]
TEST(Connect, EmptyClientIdThatWantsASessionIsRejectedIn311) {
  Client client = Client::open();
  const Packet answer = client.handshake({.version = v3_1_1, .client_id = "", .clean = false});
  EXPECT_EQ(answer.reason, 2);
  EXPECT_FALSE(answer.session_present);
  EXPECT_TRUE(client.read_until_end().empty());
}

// [MQTT-3.1.3-8], [MQTT3-3.1.3-9], [MQTT-3.2.2-7]
TEST(Connect, ClientIdBeyondTheLimitIsRejected) {
  COURIER_ONLY();
  Client client = Client::open();
  EXPECT_EQ(client.handshake({.client_id = std::string(2000, 'x')}).reason, 0x85);  // [MQTT-3.2.2-8]
  EXPECT_TRUE(client.read_until_end().empty());
  Client old = Client::open();
  EXPECT_EQ(old.handshake({.version = v3_1_1, .client_id = std::string(2000, 'x')}).reason, 2);
  EXPECT_TRUE(old.read_until_end().empty());
}

// [MQTT-3.1.3-4], [MQTT-3.1.3-3], [MQTT-3.1.4-1], [MQTT3-3.1.4-1], [MQTT3-3.1.3-4]
TEST(Connect, PayloadThatDoesNotMatchItsFlagsIsRefused) {
  const std::string id = text("payload");
  for (const unsigned level : {4u, 5u}) {
    const std::string will_properties = level == 5 ? u8(0) : "";
    // No client id at all; a client id that is not UTF-8; one that ends early.
    expect_refused_connect(raw_connect("MQTT", level, 2, ""));
    expect_refused_connect(raw_connect("MQTT", level, 2, text("\xC3\x28")));
    expect_refused_connect(raw_connect("MQTT", level, 2, u16(10) + "short"));
    // Will flag without will; will fields without flag. [MQTT-3.1.2-9], [MQTT-3.1.2-11], [MQTT3-3.1.2-9]
    expect_refused_connect(raw_connect("MQTT", level, 0x06, id));
    expect_refused_connect(raw_connect("MQTT", level, 0x06, id + will_properties + text("topic")));
    expect_refused_connect(
        raw_connect("MQTT", level, 0x02, id + will_properties + text("topic") + text("will")));
    // User name and password flags without their fields, and the fields without flags.
    // [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.2-20], [MQTT-3.1.2-21]
    expect_refused_connect(raw_connect("MQTT", level, 0x82, id));
    expect_refused_connect(raw_connect("MQTT", level, 0xC2, id + text("user")));
    expect_refused_connect(raw_connect("MQTT", level, 0x02, id + text("user")));
    expect_refused_connect(raw_connect("MQTT", level, 0x82, id + text("user") + text("password")));
    // A user name that is not UTF-8. [MQTT-3.1.3-10], [MQTT3-3.1.3-11]
    expect_refused_connect(raw_connect("MQTT", level, 0x82, id + text("\xFF\xFE")));
  }
  // 3.1.1 has no password without a user name. [MQTT3-3.1.2-22]
  expect_refused_connect(raw_connect("MQTT", 4, 0x42, id + text("password")));
}

// 5.0 allows a password without a user name: a token. [MQTT-3.1.2-20]
TEST(Connect, PasswordWithoutUserNameIsLegalIn5) {
  Client client({.password = "token"});
  client.ping();
}

// [MQTT-3.1.2-13], [MQTT-3.1.2-14], [MQTT-3.1.2-15], [MQTT-3.1.2-11], [MQTT3-3.1.2-13], [MQTT3-3.1.2-14],
// [MQTT3-3.1.2-15], [MQTT3-3.1.2-11]
TEST(Connect, WillFlagsWithoutWillAndWillQos3AreRefused) {
  for (const unsigned level : {4u, 5u}) {
    const std::string will_properties = level == 5 ? u8(0) : "";
    for (const unsigned flags : {0x08u, 0x10u, 0x18u, 0x20u}) {
      expect_refused_connect(raw_connect("MQTT", level, 2 | flags, text("will-flags")));
    }
    expect_refused_connect(raw_connect("MQTT", level, 0x1E,
                                       text("will-flags") + will_properties + text("topic") + text("will")));
  }
}

// [MQTT-3.1.3-9], [MQTT3-3.1.3-10], [MQTT-3.3.2-14], [MQTT-3.1.4-1]
TEST(Connect, WillTopicMustBeATopicName) {
  for (const std::string& topic : {std::string("a/#"), std::string("+/b"), std::string(),
                                   std::string("a\0b", 3), std::string("\xC3\x28")}) {
    for (const unsigned level : {4u, 5u}) {
      const std::string will_properties = level == 5 ? u8(0) : "";
      expect_refused_connect(raw_connect("MQTT", level, 0x06,
                                         text("will-topic") + will_properties + text(topic) + text("will")));
    }
  }
}

// [MQTT-3.1.4-1], [MQTT-4.13.1-1]: illegal, doubled or ill-valued properties are errors of the packet.
TEST(Connect, IllegalPropertiesAreRefused) {
  const auto list = [](const std::string& bytes) {
    return varint(static_cast<uint32_t>(bytes.size())) + bytes;
  };
  for (const Properties& properties :
       {with(kReceiveMaximum, 0u), with(kMaximumPacketSize, 0u), with(kRequestProblem, 2u),
        with(kRequestResponse, 2u), with(kSessionExpiry, 1u).number(kSessionExpiry, 1),
        with(kReceiveMaximum, 5u).number(kReceiveMaximum, 5), with(kTopicAlias, 1u),
        with(kAssignedClientId, "x"), with(kWillDelay, 1u), with(kReasonString, "x"),
        with(kAuthData, "data without a method"), with(kServerKeepAlive, 1u)}) {
    expect_refused_connect(raw_connect("MQTT", 5, 2, text("properties"), properties.with_length()));
  }
  expect_refused_connect(raw_connect("MQTT", 5, 2, text("properties"), list(u8(0x7E) + u8(1))));
  // Lengths that lie. [MQTT-2.2.2-1]
  expect_refused_connect(raw_connect("MQTT", 5, 2, text("properties"), u8(200)));
  expect_refused_connect(raw_connect("MQTT", 5, 2, text("properties"), list(u8(kSessionExpiry) + u16(1))));
  expect_refused_connect(raw_connect("MQTT", 5, 2, "", ""));
  // Will properties are not CONNECT properties.
  expect_refused_connect(raw_connect(
      "MQTT", 5, 0x06, text("properties") + with(kSessionExpiry, 1u).with_length() + text("t") + text("p")));
  expect_refused_connect(raw_connect(
      "MQTT", 5, 0x06, text("properties") + with(kPayloadFormat, 2u).with_length() + text("t") + text("p")));
}

// [MQTT-3.1.4-6], [MQTT3-3.1.4-5]: what follows a refused CONNECT is not processed.
TEST(Connect, NothingAfterARefusedConnectIsProcessed) {
  const std::string topic = unique("refused/");
  Client watcher;
  watcher.subscribe(topic, 1);
  Client refused = Client::open();
  refused.send(raw_connect("MQTT", 5, 3, text("refused")) +
               publish_packet(v5, {.topic = topic, .payload = "x"}));
  refused.read_until_end();
  Client publisher;
  watcher.expect_nothing_but_marker(publisher);
}

// What a 5.0 client sends together with CONNECT is processed after it was accepted: section 3.1.4.
TEST(Connect, PacketsMayFollowConnectAtOnce) {
  const std::string topic = unique("at-once/");
  Client watcher;
  watcher.subscribe(topic, 1);
  Client hasty = Client::open();
  hasty.send(connect_packet({.client_id = unique("hasty")}) +
             publish_packet(v5, {.topic = topic, .payload = "first", .qos = 1, .id = 7}) + pingreq_packet());
  EXPECT_EQ(hasty.expect(kConnack).reason, 0);
  EXPECT_EQ(hasty.await(kPuback).id, 7);
  hasty.await(kPingresp);
  watcher.message("first");
}

// A packet may arrive byte by byte.
TEST(Connect, BytesMayArriveOneByOne) {
  Client slow = Client::open();
  for (const char byte : connect_packet({.client_id = unique("slow")})) slow.send(std::string(1, byte));
  EXPECT_EQ(slow.expect(kConnack).reason, 0);
  slow.ping();
}

// [MQTT-3.2.2-9], [MQTT-3.2.2-10], [MQTT-3.2.2-12], [MQTT-3.2.2-13]: everything is supported, so nothing is
// announced as missing, and a QoS 2 retained will is welcome.
TEST(Connect, NoFeatureIsAnnouncedAsMissing) {
  Client client({.will = Will{.topic = unique("w/"), .payload = "w", .qos = 2, .retain = true}});
  const Properties& told = client.connack().properties;
  EXPECT_FALSE(told.has(kMaximumQos));
  EXPECT_NE(told.number(kRetainAvailable), 0u);
  EXPECT_NE(told.number(kWildcardAvailable), 0u);
  EXPECT_NE(told.number(kSubscriptionIdAvailable), 0u);
  EXPECT_NE(told.number(kSharedAvailable), 0u);
  client.disconnect();
}

// A connection that says nothing is closed after 5 s, and one that starts a CONNECT and stops, too.
TEST(Connect, ASilentConnectionIsClosedAfterFiveSeconds) {
  COURIER_ONLY();
  const auto started = std::chrono::steady_clock::now();
  Client silent = Client::open(), stuck = Client::open();
  stuck.send(connect_packet({.client_id = unique("stuck")}).substr(0, 9));
  EXPECT_TRUE(silent.read_until_end().empty());
  const auto waited = std::chrono::steady_clock::now() - started;
  EXPECT_GE(waited, std::chrono::milliseconds(4500));
  EXPECT_LT(waited, std::chrono::seconds(9));
  EXPECT_TRUE(stuck.read_until_end().empty());
}

// [MQTT-3.1.2-31]: without the request there is no Response Information.
TEST(Connect, ResponseInformationIsNotSentUnasked) {
  Client plain, refusing({.properties = with(kRequestResponse, 0u)});
  EXPECT_FALSE(plain.connack().properties.has(kResponseInformation));
  EXPECT_FALSE(refusing.connack().properties.has(kResponseInformation));
}

}  // namespace courier::scenario
