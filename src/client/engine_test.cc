#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/engine.h"
#include "client/errc.h"
#include "client/scripted_peer.h"

namespace courier::client {
namespace {

using testing::ElementsAre;

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
  peer.engine.disconnect(peer.now, {ReasonCode::disconnect_with_will, 60, {}});
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
