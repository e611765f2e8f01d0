#include "client/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "client/errc.h"
#include "client/properties.h"

namespace courier::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr MonoNs kSecond = 1'000'000'000;

std::string hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  return text;
}

// "30 05 'a/b' ff": bytes in hex and characters in quotes.
std::string bytes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
    } else if (text[i] == '\'') {
      const size_t end = text.find('\'', i + 1);
      out += text.substr(i + 1, end - i - 1);
      i = end + 1;
    } else {
      out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
      i += 2;
    }
  }
  return out;
}

// An engine with everything it said, as text.
class Peer : public EngineHandler {
 public:
  explicit Peer(ConnectOptions options, std::string client_id = "c")
      : engine(std::move(client_id), std::make_shared<const ConnectOptions>(std::move(options)), *this) {}

  void on_connected(const mqtt::Connack&, bool present) override {
    said.push_back(present ? "connected present" : "connected");
  }
  void on_message(const mqtt::Publish& publish) override {
    said.push_back(fmt::format("message {} {} qos{}", publish.topic, publish.payload, int(publish.qos)));
    last_properties = properties_of(publish);
  }
  void on_published(const Completion& c) override { completed("published", c); }
  void on_subscribed(const Completion& c) override { completed("subscribed", c); }
  void on_unsubscribed(const Completion& c) override { completed("unsubscribed", c); }
  void on_authentication(const mqtt::Auth& auth) override {
    said.push_back(fmt::format("auth {}", auth.authentication_data.value_or("")));
  }
  void on_ended(const Ending& e) override {
    ending = e;
    said.push_back(fmt::format("ended {}", e.code.message()));
  }

  // What the engine has written since the last call, in hex.
  std::string wrote() { return hex(std::exchange(engine.output(), {})); }
  size_t hears(std::string_view text) { return engine.receive(bytes(text), now); }
  // Through CONNECT and CONNACK.
  void connect(std::string_view connack) {
    engine.start(now);
    wrote();
    hears(connack);
  }
  void reconnect(std::string_view connack) {
    engine.transport_closed();
    connect(connack);
  }
  std::vector<std::string> hear_said() { return std::exchange(said, {}); }
  RequestId publish(std::string topic, std::string payload, Qos qos) {
    auto id = engine.publish({.topic = std::move(topic), .payload = std::move(payload), .qos = qos}, now);
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or(RequestId{});
  }

  MonoNs now = 1'000 * kSecond;
  std::vector<std::string> said;
  std::optional<Ending> ending;
  MessageProperties last_properties;
  Engine engine;

 private:
  void completed(std::string_view what, const Completion& c) {
    std::string text = fmt::format("{} {}", what, c.request.value);
    if (c.error) text += " " + c.error.message();
    if (c.reason != ReasonCode::success) text += fmt::format(" {}", mqtt::name(c.reason));
    for (ReasonCode reason : c.reasons) text += fmt::format(" {:02x}", int(reason));
    said.push_back(text);
  }
};

constexpr const char* kConnack = "20 03 00 00 00";
constexpr const char* kConnackPresent = "20 03 01 00 00";

ConnectOptions resuming() {
  return {.clean_start = false, .session_expiry_seconds = 3600};
}

TEST(Connect, BytesOfAMinimalV5Connect) {
  Peer peer({.keep_alive_seconds = 30});
  peer.engine.start(peer.now);
  EXPECT_EQ(peer.wrote(), hex(bytes("10 0e 00 04 'MQTT' 05 02 00 1e 00 00 01 'c'")));
  EXPECT_EQ(peer.engine.state(), Engine::State::connecting);
}

TEST(Connect, V311CarriesWillUserAndPassword) {
  Peer peer({.version = Version::v3_1_1,
             .clean_start = false,
             .username = "u",
             .password = "p",
             .will = WillMessage{.topic = "w", .payload = "x", .qos = Qos::at_least_once, .retain = true}});
  peer.engine.start(peer.now);
  EXPECT_EQ(peer.wrote(),
            hex(bytes("10 19 00 04 'MQTT' 04 ec 00 3c 00 01 'c' 00 01 'w' 00 01 'x' 00 01 'u' 00 01 'p'")));
}

TEST(Connect, LimitsOfTheServerAreTaken) {
  Peer peer({});
  peer.engine.start(peer.now);
  peer.wrote();
  // Receive Maximum 5, Maximum QoS 1, Retain Available 0, Maximum Packet Size 100, Topic Alias Maximum 3,
  // Server Keep Alive 7, Assigned Client Identifier "srv".
  peer.hears("20 1b 00 00 18 21 00 05 24 01 25 00 27 00 00 00 64 22 00 03 13 00 07 12 00 03 'srv'");
  EXPECT_THAT(peer.said, ElementsAre("connected"));
  const ServerLimits& server = peer.engine.server();
  EXPECT_EQ(server.receive_maximum, 5);
  EXPECT_EQ(server.maximum_qos, Qos::at_least_once);
  EXPECT_FALSE(server.retain_available);
  EXPECT_EQ(server.maximum_packet_size, 100u);
  EXPECT_EQ(server.topic_alias_maximum, 3);
  EXPECT_EQ(server.keep_alive_seconds, 7);
  EXPECT_EQ(peer.engine.client_id(), "srv");

  EXPECT_EQ(peer.engine.publish({.topic = "t", .qos = Qos::exactly_once}, peer.now).error().code,
            errc::not_supported);
  EXPECT_EQ(peer.engine.publish({.topic = "t", .retain = true}, peer.now).error().code, errc::not_supported);
  EXPECT_EQ(peer.engine.publish({.topic = "t", .payload = std::string(95, 'x')}, peer.now).error().code,
            errc::message_too_large);
  EXPECT_EQ(peer.engine
                .publish({.topic = "t", .payload = std::string(95, 'x'), .qos = Qos::at_least_once}, peer.now)
                .error()
                .code,
            errc::message_too_large);
  EXPECT_EQ(peer.wrote(), "");
  EXPECT_EQ(peer.engine.inflight(), 0u);
  EXPECT_EQ(peer.engine.unfinished(), 0u);
}

TEST(Connect, RefusalCarriesTheReason) {
  Peer peer({});
  peer.engine.start(peer.now);
  peer.hears("20 09 00 87 06 1f 00 03 'why'");
  ASSERT_TRUE(peer.ending);
  EXPECT_EQ(peer.ending->code, errc::refused);
  EXPECT_EQ(peer.ending->reason, ReasonCode::not_authorized);
  EXPECT_EQ(peer.ending->reason_string, "why");
  EXPECT_TRUE(peer.ending->refused_at_connect);
  EXPECT_EQ(peer.engine.state(), Engine::State::ended);
}

TEST(Connect, RefusalOfV311IsTranslated) {
  Peer peer({.version = Version::v3_1_1});
  peer.engine.start(peer.now);
  peer.hears("20 02 00 04");
  ASSERT_TRUE(peer.ending);
  EXPECT_EQ(peer.ending->reason, ReasonCode::bad_user_name_or_password);
}

TEST(Connect, PacketBeforeConnackIsAViolation) {
  Peer peer({});
  peer.engine.start(peer.now);
  peer.hears("d0 00");
  EXPECT_THAT(peer.said, ElementsAre("ended the server broke the protocol"));
}

TEST(Connect, SessionPresentAfterACleanStartIsAViolation) {
  Peer peer({});
  peer.connect(kConnackPresent);
  EXPECT_THAT(peer.said, ElementsAre("ended the server broke the protocol"));
}

TEST(Connect, ASplitPacketIsTakenOnceWhole) {
  Peer peer({});
  peer.engine.start(peer.now);
  EXPECT_EQ(peer.hears("20 03 00"), 0u);
  EXPECT_EQ(peer.hears("20 03 00 00 00 d0"), 5u);
  EXPECT_THAT(peer.said, ElementsAre("connected"));
}

TEST(Connect, SecondConnectionOfAV5SessionIsNotAnotherCleanStart) {
  Peer peer({.session_expiry_seconds = 60});
  peer.connect(kConnack);
  peer.engine.transport_closed();
  peer.engine.start(peer.now);
  EXPECT_EQ(peer.wrote(), hex(bytes("10 13 00 04 'MQTT' 05 00 00 3c 05 11 00 00 00 3c 00 01 'c'")));
}

TEST(Connect, OptionsThatNoServerTakesAreRefused) {
  EXPECT_EQ(Engine::check("", {.version = Version::v3_1_1, .clean_start = false}).error().code,
            errc::invalid_argument);
  EXPECT_EQ(Engine::check("", {.version = Version::v3_1}).error().code, errc::invalid_argument);
  EXPECT_EQ(Engine::check("c", {.version = Version::v3_1_1, .password = "p"}).error().code,
            errc::invalid_argument);
  EXPECT_EQ(Engine::check("c", {.receive_maximum = 0}).error().code, errc::invalid_argument);
  EXPECT_EQ(Engine::check("c", {.will = WillMessage{.topic = "a/+"}}).error().code, errc::invalid_argument);
  EXPECT_EQ(Engine::check("c", {.authentication_data = "x"}).error().code, errc::invalid_argument);
  EXPECT_TRUE(Engine::check("", {}));
}

TEST(KeepAlive, PingsAfterAnIdleIntervalAndGivesUpWithoutAnAnswer) {
  Peer peer({.keep_alive_seconds = 30, .ping_timeout_ms = 5'000});
  peer.connect(kConnack);
  peer.hear_said();
  EXPECT_EQ(peer.engine.next_deadline(), peer.now + 30 * kSecond);
  peer.now += 30 * kSecond;
  peer.engine.tick(peer.now);
  EXPECT_EQ(peer.wrote(), "c0 00");
  EXPECT_EQ(peer.engine.next_deadline(), peer.now + 5 * kSecond);
  peer.now += kSecond;
  peer.hears("d0 00");
  EXPECT_EQ(peer.engine.next_deadline(), peer.now + 29 * kSecond);
  peer.now += 29 * kSecond;
  peer.engine.tick(peer.now);
  EXPECT_EQ(peer.wrote(), "c0 00");
  peer.now += 5 * kSecond;
  peer.engine.tick(peer.now);
  EXPECT_THAT(peer.said, ElementsAre("ended timed out"));
}

TEST(KeepAlive, SendingAloneIsNoSignOfLifeOfTheServer) {
  Peer peer({.keep_alive_seconds = 30});
  peer.connect(kConnack);
  peer.now += 20 * kSecond;
  peer.publish("t", "", Qos::at_most_once);
  peer.wrote();
  peer.now += 10 * kSecond;
  peer.engine.tick(peer.now);
  EXPECT_EQ(peer.wrote(), "c0 00");
}

TEST(KeepAlive, ServersIntervalReplacesOurs) {
  Peer peer({.keep_alive_seconds = 30});
  peer.connect("20 06 00 00 03 13 00 07");
  EXPECT_EQ(peer.engine.next_deadline(), peer.now + 7 * kSecond);
}

TEST(KeepAlive, ZeroMeansNone) {
  Peer peer({.keep_alive_seconds = 0});
  peer.connect(kConnack);
  EXPECT_EQ(peer.engine.next_deadline(), kNever);
}

TEST(KeepAlive, NoConnackInTimeEndsTheConnection) {
  Peer peer({.connect_timeout_ms = 3'000});
  peer.engine.start(peer.now);
  EXPECT_EQ(peer.engine.next_deadline(), peer.now + 3 * kSecond);
  peer.engine.tick(peer.now + 3 * kSecond);
  EXPECT_THAT(peer.said, ElementsAre("ended timed out"));
}

TEST(Outbound, Qos0IsWrittenAndForgotten) {
  Peer peer({});
  peer.connect(kConnack);
  EXPECT_EQ(peer.publish("a", "b", Qos::at_most_once), RequestId{});
  EXPECT_EQ(peer.wrote(), hex(bytes("30 05 00 01 'a' 00 'b'")));
  EXPECT_EQ(peer.engine.unfinished(), 0u);
}

TEST(Outbound, Qos0WithoutAConnectionIsRefused) {
  Peer peer({});
  EXPECT_EQ(peer.engine.publish({.topic = "t"}, peer.now).error().code, errc::not_connected);
}

TEST(Outbound, Qos1IsCompletedByPuback) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  peer.publish("a", "b", Qos::at_least_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("32 07 00 01 'a' 00 01 00 'b'")));
  peer.hears("40 02 00 01");
  peer.publish("a", "c", Qos::at_least_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("32 07 00 01 'a' 00 02 00 'c'")));
  peer.hears("40 03 00 02 97");
  EXPECT_THAT(peer.said, ElementsAre("published 1", "published 2 quota_exceeded"));
}

TEST(Outbound, Qos2GoesThroughPubrelToPubcomp) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  peer.publish("a", "b", Qos::exactly_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("34 07 00 01 'a' 00 01 00 'b'")));
  peer.hears("50 02 00 01");
  EXPECT_EQ(peer.wrote(), "62 02 00 01");
  EXPECT_THAT(peer.said, IsEmpty());
  peer.hears("70 02 00 01");
  EXPECT_THAT(peer.said, ElementsAre("published 1"));
}

TEST(Outbound, PubrecWithAnErrorEndsTheMessageAndFreesItsSlot) {
  Peer peer({});
  peer.connect("20 06 00 00 03 21 00 01");
  peer.hear_said();
  peer.publish("a", "1", Qos::exactly_once);
  peer.publish("a", "2", Qos::exactly_once);
  peer.wrote();
  peer.hears("50 03 00 01 97");
  EXPECT_EQ(peer.wrote(), hex(bytes("34 07 00 01 'a' 00 02 00 '2'")));
  EXPECT_THAT(peer.said, ElementsAre("published 1 quota_exceeded"));
}

TEST(Outbound, UnknownPubrecIsAnsweredWithPacketIdentifierNotFound) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hears("50 02 00 09");
  EXPECT_EQ(peer.wrote(), "62 03 00 09 92");
}

TEST(Outbound, PubackForAQos2PublishIsAViolation) {
  Peer peer({});
  peer.connect(kConnack);
  peer.publish("a", "b", Qos::exactly_once);
  peer.wrote();
  peer.hears("40 02 00 01");
  EXPECT_EQ(peer.wrote(), "e0 01 82");
  EXPECT_EQ(peer.ending->code, errc::protocol_violation);
}

TEST(Outbound, ReceiveMaximumHoldsPublishesBack) {
  Peer peer({});
  peer.connect("20 06 00 00 03 21 00 02");
  for (int i = 0; i < 4; ++i) peer.publish("a", "b", Qos::at_least_once);
  EXPECT_EQ(peer.engine.inflight(), 2u);
  EXPECT_EQ(peer.engine.queued(), 2u);
  peer.wrote();
  // Out of order: the second first.
  peer.hears("40 02 00 02");
  EXPECT_EQ(peer.wrote(), hex(bytes("32 07 00 01 'a' 00 03 00 'b'")));
  peer.hears("40 02 00 01 40 02 00 03");
  EXPECT_EQ(peer.wrote(), hex(bytes("32 07 00 01 'a' 00 04 00 'b'")));
}

TEST(Outbound, PacketIdsWrapAroundAndSkipZero) {
  Peer peer({});
  peer.connect(kConnack);
  for (uint32_t i = 1; i <= 65'535; ++i) {
    peer.publish("a", "", Qos::at_least_once);
    ASSERT_THAT(peer.wrote(),
                testing::EndsWith(hex(bytes(fmt::format("{:02x} {:02x} 00", i >> 8, i & 255)))));
    peer.hears(fmt::format("40 02 {:02x} {:02x}", i >> 8, i & 255));
  }
  peer.publish("a", "", Qos::at_least_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("32 06 00 01 'a' 00 01 00")));
}

TEST(Outbound, AMessageThatNeverEndsDoesNotMixUpIdsWhenTheWindowIsFull) {
  Peer peer({});
  peer.connect(kConnack);
  peer.publish("a", "", Qos::exactly_once);  // id 1 is never acknowledged
  peer.hear_said();
  peer.wrote();
  for (size_t id = 2; id <= kSlotsMax; ++id) {
    peer.publish("a", "", Qos::at_least_once);
    peer.hears(fmt::format("40 02 {:02x} {:02x}", id >> 8, id & 255));
  }
  EXPECT_EQ(peer.engine.queued(), 0u);
  peer.wrote();
  peer.publish("b", "", Qos::at_least_once);
  EXPECT_EQ(peer.engine.queued(), 1u);
  EXPECT_EQ(peer.wrote(), "");
  peer.hears("50 03 00 01 80");
  EXPECT_EQ(peer.engine.queued(), 0u);
  EXPECT_EQ(peer.wrote(), hex(bytes("32 06 00 01 'b' ff ff 00")));
}

TEST(Outbound, QueueIsBounded) {
  Peer peer({.queue_messages_max = 2});
  peer.publish("a", "", Qos::at_least_once);
  peer.publish("a", "", Qos::at_least_once);
  EXPECT_EQ(peer.engine.publish({.topic = "a", .qos = Qos::at_least_once}, peer.now).error().code,
            errc::queue_full);
  Peer small({.queue_bytes_max = 1'000});
  EXPECT_EQ(
      small.engine
          .publish({.topic = "a", .payload = std::string(1'000, 'x'), .qos = Qos::at_least_once}, small.now)
          .error()
          .code,
      errc::queue_full);
}

TEST(Outbound, PropertiesAreOnTheWireInV5AndLeftOutBefore) {
  const OutgoingMessage message{.topic = "a",
                                .payload = "b",
                                .retain = true,
                                .properties = {.message_expiry_seconds = 9,
                                               .payload_is_utf8 = true,
                                               .content_type = "t",
                                               .response_topic = "r",
                                               .correlation_data = "d",
                                               .user_properties = {{"k", "1"}, {"k", "2"}}}};
  Peer peer({});
  peer.connect(kConnack);
  ASSERT_TRUE(peer.engine.publish(message, peer.now));
  const std::string wire = peer.wrote();
  EXPECT_THAT(wire, testing::HasSubstr(hex(bytes("02 00 00 00 09"))));
  EXPECT_THAT(wire, testing::HasSubstr(hex(bytes("26 00 01 'k' 00 01 '1' 26 00 01 'k' 00 01 '2'"))));

  Peer old({.version = Version::v3_1_1});
  old.connect("20 02 00 00");
  ASSERT_TRUE(old.engine.publish(message, old.now));
  EXPECT_EQ(old.wrote(), hex(bytes("31 04 00 01 'a' 'b'")));
}

TEST(Outbound, IllegalTopicsAreRefusedBeforeTheWire) {
  Peer peer({});
  peer.connect(kConnack);
  for (const char* topic : {"", "a/+", "#", "\xff"}) {
    EXPECT_EQ(peer.engine.publish({.topic = topic}, peer.now).error().code, errc::invalid_argument) << topic;
  }
  EXPECT_EQ(peer.engine.subscribe({{.filter = "a/#/b", .options = {}}}, peer.now).error().code,
            errc::invalid_argument);
  EXPECT_EQ(peer.engine.subscribe({{.filter = "$share/g", .options = {}}}, peer.now).error().code,
            errc::invalid_argument);
  EXPECT_EQ(peer.wrote(), "");
}

TEST(Alias, FirstTopicsGetTheServersAliases) {
  Peer peer({.assign_topic_aliases = true});
  peer.connect("20 06 00 00 03 22 00 01");
  peer.publish("one", "", Qos::at_most_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("30 09 00 03 'one' 03 23 00 01")));
  peer.publish("one", "", Qos::at_most_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("30 06 00 00 03 23 00 01")));
  peer.publish("two", "", Qos::at_most_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("30 06 00 03 'two' 00")));
  // Aliases end with the connection. [MQTT-3.3.2-7]
  peer.reconnect("20 06 00 00 03 22 00 01");
  peer.publish("one", "", Qos::at_most_once);
  EXPECT_EQ(peer.wrote(), hex(bytes("30 09 00 03 'one' 03 23 00 01")));
}

TEST(Alias, CallersOwnAliasIsKeptWithinTheServersMaximum) {
  Peer peer({});
  peer.connect("20 06 00 00 03 22 00 05");
  ASSERT_TRUE(peer.engine.publish({.topic = "t", .topic_alias = 5}, peer.now));
  EXPECT_EQ(peer.wrote(), hex(bytes("30 07 00 01 't' 03 23 00 05")));
  ASSERT_TRUE(peer.engine.publish({.topic = "t", .topic_alias = 5}, peer.now));
  EXPECT_EQ(peer.wrote(), hex(bytes("30 06 00 00 03 23 00 05")));
  EXPECT_EQ(peer.engine.publish({.topic = "t", .topic_alias = 6}, peer.now).error().code,
            errc::not_supported);
}

TEST(Alias, IncomingAliasesAreResolved) {
  Peer peer({.topic_alias_maximum = 2});
  peer.connect(kConnack);
  peer.hear_said();
  peer.hears("30 08 00 01 't' 03 23 00 02 'x' 30 07 00 00 03 23 00 02 'y'");
  EXPECT_THAT(peer.said, ElementsAre("message t x qos0", "message t y qos0"));
}

TEST(Alias, UnknownOrTooHighIncomingAliasIsAViolation) {
  Peer unknown({.topic_alias_maximum = 2});
  unknown.connect(kConnack);
  unknown.hears("30 07 00 00 03 23 00 02 'y'");
  EXPECT_EQ(unknown.wrote(), "e0 01 82");
  Peer high({.topic_alias_maximum = 2});
  high.connect(kConnack);
  high.hears("30 08 00 01 't' 03 23 00 03 'x'");
  EXPECT_EQ(high.wrote(), "e0 01 94");
}

TEST(Inbound, Qos1IsAcknowledgedAfterDelivery) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  peer.hears("32 07 00 01 'a' 00 07 00 'b'");
  EXPECT_THAT(peer.said, ElementsAre("message a b qos1"));
  EXPECT_EQ(peer.wrote(), "40 02 00 07");
}

TEST(Inbound, DuplicateQos2IsAcknowledgedButNotDeliveredTwice) {
  Peer peer(resuming());
  peer.connect(kConnack);
  peer.hear_said();
  peer.hears("34 07 00 01 'a' 00 07 00 'b'");
  EXPECT_EQ(peer.wrote(), "50 02 00 07");
  peer.reconnect(kConnackPresent);
  peer.hears("3c 07 00 01 'a' 00 07 00 'b'");  // [MQTT-4.3.3-10]
  EXPECT_EQ(peer.wrote(), "50 02 00 07");
  peer.hears("62 02 00 07");
  EXPECT_EQ(peer.wrote(), "70 02 00 07");
  EXPECT_THAT(peer.hear_said(), ElementsAre("message a b qos2", "connected present"));
  // Released: the id means a new message now. [MQTT-4.3.3-12]
  peer.hears("34 07 00 01 'a' 00 07 00 'c'");
  EXPECT_THAT(peer.said, ElementsAre("message a c qos2"));
}

TEST(Inbound, Qos2IdsEndWithTheSession) {
  Peer peer(resuming());
  peer.connect(kConnack);
  peer.hears("34 07 00 01 'a' 00 07 00 'b'");
  peer.reconnect(kConnack);
  peer.hear_said();
  peer.hears("34 07 00 01 'a' 00 07 00 'b'");
  EXPECT_THAT(peer.said, ElementsAre("message a b qos2"));
}

TEST(Inbound, UnknownPubrelIsAnswered) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hears("62 02 00 07");
  EXPECT_EQ(peer.wrote(), "70 03 00 07 92");
}

TEST(Inbound, PropertiesOfAMessageAreReadInOrder) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hears(
      "30 1d 00 01 'a' 19 01 01 02 00 00 00 05 03 00 01 't' 26 00 01 'k' 00 01 '1' 26 00 01 'j' 00 01 '2'"
      " 'b'");
  // The last property list is 25 bytes: 2 + 5 + 4 + 7 + 7.
  const MessageProperties expected{.message_expiry_seconds = 5,
                                   .payload_is_utf8 = true,
                                   .content_type = "t",
                                   .user_properties = {{"k", "1"}, {"j", "2"}}};
  EXPECT_EQ(peer.last_properties, expected);
}

TEST(Inbound, ManualAcknowledgementsLeaveInTheOrderOfTheMessages) {
  Peer peer({.acknowledge_manually = true});
  peer.connect(kConnack);
  peer.hears("32 06 00 01 'a' 00 01 00 34 06 00 01 'a' 00 02 00 32 06 00 01 'a' 00 03 00");
  EXPECT_EQ(peer.wrote(), "");
  peer.engine.acknowledge(PacketId(2), peer.now);
  EXPECT_EQ(peer.wrote(), "");
  peer.engine.acknowledge(PacketId(1), peer.now);
  EXPECT_EQ(peer.wrote(), "40 02 00 01 50 02 00 02");
  peer.engine.acknowledge(PacketId(3), peer.now);
  EXPECT_EQ(peer.wrote(), "40 02 00 03");
}

TEST(Inbound, UnacknowledgedByTheApplicationComesAgain) {
  ConnectOptions options = resuming();
  options.acknowledge_manually = true;
  Peer peer(options);
  peer.connect(kConnack);
  peer.hears("34 07 00 01 'a' 00 07 00 'b'");
  peer.reconnect(kConnackPresent);
  peer.hear_said();
  peer.hears("3c 07 00 01 'a' 00 07 00 'b'");
  EXPECT_THAT(peer.said, ElementsAre("message a b qos2"));
  peer.engine.acknowledge(PacketId(7), peer.now);
  EXPECT_EQ(peer.wrote(), "50 02 00 07");
}

TEST(Inbound, MoreThanOurReceiveMaximumIsAViolation) {
  Peer peer({.receive_maximum = 2, .acknowledge_manually = true});
  peer.connect(kConnack);
  peer.hears("32 06 00 01 'a' 00 01 00 34 06 00 01 'a' 00 02 00");
  EXPECT_FALSE(peer.ending);
  peer.hears("32 06 00 01 'a' 00 03 00");
  EXPECT_EQ(peer.wrote(), "e0 01 93");
}

TEST(Inbound, PacketLargerThanOurMaximumIsAViolation) {
  Peer peer({.maximum_packet_size = 20});
  peer.connect(kConnack);
  peer.hears("30 40 00 01 'a' 00");
  ASSERT_TRUE(peer.ending);
  EXPECT_EQ(peer.wrote(), "e0 01 95");
}

TEST(Session, UnfinishedPublishesAreSentAgainInOrder) {
  Peer peer(resuming());
  peer.connect(kConnack);
  peer.publish("a", "1", Qos::at_least_once);
  peer.publish("a", "2", Qos::exactly_once);
  peer.publish("a", "3", Qos::exactly_once);
  peer.publish("a", "4", Qos::at_least_once);
  peer.hears("50 02 00 02 40 02 00 04");
  peer.engine.transport_closed();
  peer.publish("a", "5", Qos::at_least_once);  // waits for the connection
  peer.hear_said();
  peer.connect(kConnackPresent);
  // [MQTT-4.4.0-1], [MQTT-4.4.0-2]: DUP set, the same ids, PUBREL for what was released.
  EXPECT_EQ(peer.wrote(), hex(bytes("3a 07 00 01 'a' 00 01 00 '1' 62 02 00 02 3c 07 00 01 'a' 00 03 00 '3'"
                                    "32 07 00 01 'a' 00 05 00 '5'")));
  peer.hears("40 02 00 01 70 02 00 02 50 02 00 03 70 02 00 03 40 02 00 05");
  EXPECT_THAT(peer.said,
              ElementsAre("connected present", "published 1", "published 2", "published 3", "published 5"));
  EXPECT_EQ(peer.engine.unfinished(), 0u);
  EXPECT_EQ(peer.engine.inflight(), 0u);
}

TEST(Session, ResendingKeepsToANewReceiveMaximum) {
  Peer peer(resuming());
  peer.connect(kConnack);
  for (int i = 0; i < 3; ++i) peer.publish("a", "", Qos::at_least_once);
  peer.reconnect("20 06 01 00 03 21 00 01");
  EXPECT_EQ(peer.wrote(), hex(bytes("3a 06 00 01 'a' 00 01 00")));
  peer.publish("b", "", Qos::at_least_once);  // goes behind those that are sent again
  EXPECT_EQ(peer.wrote(), "");
  peer.hears("40 02 00 01");
  EXPECT_EQ(peer.wrote(), hex(bytes("3a 06 00 01 'a' 00 02 00")));
  peer.hears("40 02 00 02 40 02 00 03");
  EXPECT_EQ(peer.wrote(), hex(bytes("3a 06 00 01 'a' 00 03 00 32 06 00 01 'b' 00 04 00")));
}

TEST(Session, LostSessionRepublishesQos1AndFailsQos2) {
  Peer peer(resuming());
  peer.connect(kConnack);
  peer.publish("a", "1", Qos::at_least_once);
  peer.publish("a", "2", Qos::exactly_once);
  peer.publish("a", "3", Qos::exactly_once);
  peer.publish("a", "4", Qos::at_least_once);
  peer.hears("50 02 00 03");  // the server has taken it over
  peer.hear_said();
  peer.reconnect(kConnack);
  EXPECT_EQ(peer.wrote(), hex(bytes("32 07 00 01 'a' 00 05 00 '1' 32 07 00 01 'a' 00 06 00 '4'")));
  EXPECT_THAT(peer.said,
              ElementsAre("published 2 the server has lost the session", "published 3", "connected"));
}

TEST(Session, V31HasNoFlagAndIsTakenForPresent) {
  Peer peer({.version = Version::v3_1, .clean_start = false});
  peer.connect("20 02 00 00");
  peer.publish("a", "1", Qos::exactly_once);
  peer.reconnect("20 02 00 00");
  EXPECT_EQ(peer.wrote(), hex(bytes("3c 06 00 01 'a' 00 01 '1'")));
}

TEST(Session, MessageTooLargeForTheNextServerFailsThenAndTheOthersGo) {
  Peer peer(resuming());
  peer.connect(kConnack);
  peer.publish("a", "1", Qos::at_least_once);
  peer.publish("a", std::string(40, 'x'), Qos::at_least_once);
  peer.publish("a", "3", Qos::at_least_once);
  peer.engine.transport_closed();
  peer.publish("a", std::string(40, 'y'), Qos::at_least_once);
  peer.publish("a", "5", Qos::at_least_once);
  peer.hear_said();
  peer.connect("20 08 01 00 05 27 00 00 00 20");
  EXPECT_EQ(peer.wrote(), hex(bytes("3a 07 00 01 'a' 00 01 00 '1' 3a 07 00 01 'a' 00 03 00 '3'"
                                    "32 07 00 01 'a' 00 05 00 '5'")));
  EXPECT_THAT(peer.said,
              ElementsAre("published 2 message is larger than the server accepts",
                          "published 4 message is larger than the server accepts", "connected present"));
}

TEST(Session, FailAllCompletesEverythingOnce) {
  Peer peer({});
  peer.connect("20 06 00 00 03 21 00 01");
  peer.publish("a", "1", Qos::at_least_once);
  peer.publish("a", "2", Qos::at_least_once);
  ASSERT_TRUE(peer.engine.subscribe({{.filter = "f", .options = {}}}, peer.now));
  peer.hear_said();
  peer.engine.disconnect(peer.now);
  peer.engine.transport_closed();
  peer.engine.fail_all(make_error_code(errc::closed));
  EXPECT_THAT(peer.said, ElementsAre("published 1 closed", "published 2 closed", "subscribed 3 closed"));
  EXPECT_EQ(peer.engine.unfinished(), 0u);
}

TEST(Subscribe, GrantsAreReported) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  ASSERT_TRUE(peer.engine.subscribe({{.filter = "a", .options = {.qos = Qos::exactly_once, .no_local = true}},
                                     {.filter = "b", .options = {}}},
                                    peer.now, 9));
  EXPECT_EQ(peer.wrote(), hex(bytes("82 0d 00 01 02 0b 09 00 01 'a' 06 00 01 'b' 00")));
  peer.hears("90 05 00 01 00 01 87");
  EXPECT_THAT(peer.said, ElementsAre("subscribed 1 01 87"));
}

TEST(Subscribe, UnsubscribeIsReported) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  ASSERT_TRUE(peer.engine.unsubscribe({"a"}, peer.now));
  EXPECT_EQ(peer.wrote(), hex(bytes("a2 06 00 01 00 00 01 'a'")));
  peer.hears("b0 04 00 01 00 11");
  EXPECT_THAT(peer.said, ElementsAre("unsubscribed 1 11"));
}

TEST(Subscribe, SubackThatDoesNotAnswerEachFilterIsAViolation) {
  Peer peer({});
  peer.connect(kConnack);
  ASSERT_TRUE(peer.engine.subscribe({{.filter = "a", .options = {}}}, peer.now));
  peer.wrote();
  peer.hears("90 05 00 01 00 01 01");
  EXPECT_EQ(peer.wrote(), "e0 01 82");
}

TEST(Subscribe, UnansweredRequestIsAskedAgainOnTheNextConnection) {
  Peer peer(resuming());
  ASSERT_TRUE(peer.engine.subscribe({{.filter = "a", .options = {}}}, peer.now));  // not yet connected
  peer.connect(kConnack);
  EXPECT_EQ(peer.wrote(), hex(bytes("82 07 00 01 00 00 01 'a' 00")));
  peer.reconnect(kConnackPresent);
  EXPECT_EQ(peer.wrote(), hex(bytes("82 07 00 02 00 00 01 'a' 00")));
  peer.hears("90 04 00 02 00 00");
  EXPECT_EQ(peer.said.back(), "subscribed 1 00");
}

TEST(Subscribe, LostSessionRestoresWhatWasGrantedAndNotUnsubscribed) {
  Peer peer(resuming());
  peer.connect(kConnack);
  ASSERT_TRUE(peer.engine.subscribe(
      {{.filter = "a", .options = {}}, {.filter = "b", .options = {}}, {.filter = "c", .options = {}}},
      peer.now));
  peer.hears("90 06 00 01 00 00 87 00");
  ASSERT_TRUE(peer.engine.unsubscribe({"c"}, peer.now));
  peer.hears("b0 04 00 02 00 00");
  peer.reconnect(kConnackPresent);
  EXPECT_EQ(peer.wrote(), "");  // the server has them
  peer.reconnect(kConnack);
  EXPECT_EQ(peer.wrote(), hex(bytes("82 07 00 03 00 00 01 'a' 00")));
  peer.hear_said();
  peer.hears("90 04 00 03 00 00");
  EXPECT_THAT(peer.said, IsEmpty());  // the application was told at the first time
  peer.reconnect(kConnack);
  EXPECT_EQ(peer.wrote(), hex(bytes("82 07 00 04 00 00 01 'a' 00")));
}

TEST(Disconnect, GracefulEndSendsDisconnect) {
  Peer peer({});
  peer.connect(kConnack);
  peer.engine.disconnect(peer.now);
  EXPECT_EQ(peer.wrote(), "e0 00");
  EXPECT_EQ(peer.engine.state(), Engine::State::ended);
  EXPECT_EQ(peer.engine.publish({.topic = "t"}, peer.now).error().code, errc::not_connected);
}

TEST(Disconnect, WithWillAndAnotherExpiry) {
  Peer peer({.session_expiry_seconds = 5});
  peer.connect(kConnack);
  peer.engine.disconnect(peer.now, ReasonCode::disconnect_with_will, 60);
  EXPECT_EQ(peer.wrote(), "e0 07 04 05 11 00 00 00 3c");
}

TEST(Disconnect, ByTheServerCarriesItsReason) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hears("e0 01 8e");
  ASSERT_TRUE(peer.ending);
  EXPECT_EQ(peer.ending->reason, ReasonCode::session_taken_over);
  EXPECT_FALSE(peer.ending->refused_at_connect);
}

TEST(Disconnect, NothingIsHandledAfterIt) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hear_said();
  peer.hears("e0 01 8e 30 05 00 01 'a' 00 'b'");
  EXPECT_THAT(peer.said, ElementsAre("ended refused by the server"));
}

TEST(Authentication, IsPassedThroughBothWays) {
  Peer peer({.authentication_method = "m", .authentication_data = "1"});
  peer.engine.start(peer.now);
  peer.wrote();
  peer.hears("f0 0a 18 08 15 00 01 'm' 16 00 01 '2'");
  EXPECT_THAT(peer.said, ElementsAre("auth 2"));
  ASSERT_TRUE(peer.engine.authenticate({.reason = ReasonCode::continue_authentication,
                                        .authentication_method = "m",
                                        .authentication_data = "3"},
                                       peer.now));
  EXPECT_EQ(peer.wrote(), hex(bytes("f0 0a 18 08 15 00 01 'm' 16 00 01 '3'")));
  EXPECT_EQ(peer.engine
                .authenticate({.reason = ReasonCode::re_authenticate, .authentication_method = "m"}, peer.now)
                .error()
                .code,
            errc::not_connected);
}

TEST(Authentication, WithoutAMethodInConnectIsAViolation) {
  Peer peer({});
  peer.connect(kConnack);
  peer.hears("f0 06 18 04 15 00 01 'm'");
  EXPECT_EQ(peer.wrote(), "e0 01 82");
}

TEST(Engine, AnIdleClientIsSmall) {
  // Tens of thousands of them run in one load tester.
  EXPECT_LE(sizeof(Engine), 384u);
}

}  // namespace
}  // namespace courier::client
