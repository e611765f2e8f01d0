// How long a session lives, and what DISCONNECT changes. Sections 3.1.2.11.2, 3.14 and 4.1.
#include <gtest/gtest.h>

#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

bool session_is_present(const std::string& id, Version version = v5) {
  Client client({.version = version,
                 .client_id = id,
                 .clean = false,
                 .properties = version == v5 ? with(kSessionExpiry, 600u) : Properties()});
  const bool present = client.connack().session_present;
  client.disconnect();
  return present;
}

}  // namespace

// [MQTT-3.1.2-25], [MQTT-4.1.0-2], [MQTT-3.1.2-5], [MQTT3-3.1.2-5]
TEST(Session, LivesAsLongAsItsExpiryInterval) {
  const std::string none = unique("none"), zero = unique("zero"), second = unique("second"),
                    long_lived = unique("long"), forever = unique("forever");
  for (const auto& [id, expiry] :
       {std::pair{none, 0u}, {second, 1u}, {long_lived, 600u}, {forever, 0xFFFFFFFFu}}) {
    Client client({.client_id = id, .clean = true, .properties = with(kSessionExpiry, expiry)});
    client.disconnect();
  }
  Client({.client_id = zero, .clean = true}).disconnect();
  std::this_thread::sleep_for(2200ms);
  EXPECT_FALSE(session_is_present(none));
  EXPECT_FALSE(session_is_present(zero));
  EXPECT_FALSE(session_is_present(second));
  EXPECT_TRUE(session_is_present(long_lived));
  EXPECT_TRUE(session_is_present(forever));
}

// [MQTT-4.1.0-2]: with the session go its subscriptions and messages.
TEST(Session, ExpiryDiscardsSubscriptionsAndMessages) {
  const std::string topic = unique("discard/"), id = unique("discard");
  Client publisher, first({.client_id = id, .properties = with(kSessionExpiry, 1u)});
  first.subscribe(topic, 1);
  first.disconnect();
  publisher.publish(topic, "queued", 1);
  std::this_thread::sleep_for(2200ms);
  Client second(persistent(v5, id));
  EXPECT_FALSE(second.connack().session_present);
  publisher.publish(topic, "later", 1);
  second.expect_nothing_but_marker(publisher);
}

// [MQTT-4.1.0-1], [MQTT3-4.1.0-1]: the interval starts when the connection ends, however long that lives.
TEST(Session, DoesNotExpireWhileConnected) {
  const std::string topic = unique("open/");
  Client publisher, client({.properties = with(kSessionExpiry, 1u)});
  client.subscribe(topic, 1);
  client.expect_silence(2200ms);
  publisher.publish(topic, "x", 1);
  client.message("x");
}

// 3.x: a clean session ends with its connection, another never. [MQTT3-3.1.2-6], [MQTT3-4.1.0-2]
TEST(Session, CleanSessionOf3xDecidesAlone) {
  for (const Version version : {v3_1, v3_1_1}) {
    const std::string clean = unique("clean"), stays = unique("stays"), topic = unique("clean/");
    Client publisher;
    for (const bool is_clean : {true, false}) {
      Client client({.version = version, .client_id = is_clean ? clean : stays, .clean = is_clean});
      client.subscribe(topic, 1);
      client.disconnect();
    }
    publisher.publish(topic, "x", 1);
    Client gone({.version = version, .client_id = clean, .clean = false});
    gone.expect_nothing_but_marker(publisher);
    Client there({.version = version, .client_id = stays, .clean = false});
    there.message("x");
  }
}

// Session state is the client's in whichever version it speaks next: section 4.1.
TEST(Session, VersionMayChangeBetweenConnections) {
  const std::string topic = unique("change/"), id = unique("change");
  Client publisher, old(persistent(v3_1_1, id));
  old.subscribe(topic, 1);
  old.disconnect();
  publisher.publish({.topic = topic, .payload = "x", .qos = 1, .properties = with(kContentType, "c")});
  Client young(persistent(v5, id));
  EXPECT_TRUE(young.connack().session_present);
  EXPECT_EQ(young.message("x").properties.text(kContentType), "c");
}

// Section 3.14.2.2.2: DISCONNECT may shorten or lengthen the interval.
TEST(Session, DisconnectMaySetTheExpiryInterval) {
  const std::string shortened = unique("shortened"), lengthened = unique("lengthened");
  Client(persistent(v5, shortened)).disconnect(0, with(kSessionExpiry, 0u));
  Client({.client_id = lengthened, .properties = with(kSessionExpiry, 1u)})
      .disconnect(0, with(kSessionExpiry, 600u));
  std::this_thread::sleep_for(2200ms);
  EXPECT_FALSE(session_is_present(shortened));
  EXPECT_TRUE(session_is_present(lengthened));
}

// Section 3.14.2.2.2: an interval that was 0 in CONNECT stays 0; trying otherwise is a Protocol Error.
TEST(Session, DisconnectMayNotSetAnExpiryWhereConnectHadNone) {
  const std::string id = unique("late");
  Client client({.client_id = id});
  client.send(disconnect_packet(v5, 0, with(kSessionExpiry, 600u)));
  client.expect_end({0x82});
  EXPECT_FALSE(session_is_present(id));
}

// [MQTT-3.14.4-1], [MQTT-3.14.4-2]: after a client's DISCONNECT the connection is closed and nothing more is
// read.
TEST(Session, NothingAfterDisconnectIsProcessed) {
  for (const Version version : kVersions) {
    const std::string topic = unique("after/");
    Client watcher, client({.version = version}), publisher;
    watcher.subscribe(topic, 1);
    client.send(disconnect_packet(version) +
                publish_packet(version, {.topic = topic, .payload = "x", .qos = 1, .id = 1}));
    EXPECT_TRUE(client.read_until_end().empty());
    watcher.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-3.14.1-1], [MQTT3-3.14.1-1], [MQTT-2.1.3-1]
TEST(Session, DisconnectWithReservedBitsIsMalformed) {
  for (const Version version : kVersions) {
    for (const unsigned flags : {1u, 2u, 8u, 15u}) {
      Client client({.version = version});
      client.send(frame(static_cast<uint8_t>(0xE0 | flags), ""));
      client.expect_end({0x81});
    }
  }
}

// [MQTT-3.14.2-1]: the codes that a client may not use, or that nobody knows, are errors.
TEST(Session, DisconnectWithAReasonOfAServerIsAnError) {
  for (const uint8_t reason : {0x01, 0x8B, 0x8E, 0xFF}) {
    Client client;
    client.send(frame(0xE0, u8(reason) + u8(0)));
    client.expect_end({0x81, 0x82});
  }
}

// Section 2.2.2.2: what a client may not put into DISCONNECT.
TEST(Session, DisconnectWithIllegalPropertiesIsAnError) {
  for (const Properties& properties :
       {with(kTopicAlias, 1u), with(kSessionExpiry, 1u).number(kSessionExpiry, 2)}) {
    Client client({.properties = with(kSessionExpiry, 10u)});
    client.send(disconnect_packet(v5, 0, properties));
    client.expect_end({0x81, 0x82});
  }
}

// [MQTT-3.14.2-1]: every reason code that a client may use is understood, with its text and user properties.
TEST(Session, DisconnectIsUnderstoodWithEveryClientReason) {
  for (const uint8_t reason :
       {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}) {
    Client client;
    client.send(disconnect_packet(v5, reason, with(kReasonString, "because").user("a", "b")));
    EXPECT_TRUE(client.read_until_end().empty()) << int(reason);
  }
}

// [MQTT-4.5.0-1]: QoS 1 and 2 messages for an absent client are kept in order; QoS 0 may be.
TEST(Session, MessagesForAnAbsentClientAreKeptInOrder) {
  for (const Version version : kVersions) {
    const std::string topic = unique("absent/"), id = unique("absent");
    Client publisher, first(persistent(version, id));
    first.subscribe(topic, 2);
    first.disconnect();
    for (int i = 0; i < 50; ++i) publisher.publish(topic, std::to_string(i), 1 + i % 2);
    Client second(persistent(version, id));
    for (int i = 0; i < 50; ++i) {
      const Packet got = second.message(std::to_string(i));
      EXPECT_EQ(got.qos, 1 + i % 2);
      EXPECT_FALSE(got.dup);
    }
  }
}

// [MQTT-3.1.2-4]: a session that is left to its end once is as if it had never been.
TEST(Session, CleanStartOverAnOpenSessionStartsAnew) {
  const std::string topic = unique("anew/"), id = unique("anew");
  Client publisher, first(persistent(v5, id));
  first.subscribe(topic, 1);
  Client second({.client_id = id, .clean = true, .properties = with(kSessionExpiry, 600u)});
  EXPECT_FALSE(second.connack().session_present);
  publisher.publish(topic, "x", 1);
  second.expect_nothing_but_marker(publisher);
  second.disconnect();
  EXPECT_TRUE(session_is_present(id));
}

}  // namespace courier::scenario
