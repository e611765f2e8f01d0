#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/engine.h"
#include "client/errc.h"
#include "client/scripted_peer.h"

namespace courier::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

TEST(Subscribe, RequestsThatWaitForAConnectionAreBounded) {
  Peer peer({});
  for (size_t i = 0; i < kRequestsMax; ++i) {
    ASSERT_TRUE(peer.engine.subscribe({{.filter = "a", .options = {}}}, peer.now));
  }
  EXPECT_EQ(peer.engine.subscribe({{.filter = "a", .options = {}}}, peer.now).error().code, errc::queue_full);
  EXPECT_EQ(peer.engine.unsubscribe({"a"}, peer.now).error().code, errc::queue_full);
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

}  // namespace
}  // namespace courier::client
