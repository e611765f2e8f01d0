// Wills: published at every end that is not a DISCONNECT 0x00, at once or after their delay, once.
// Section 3.1.2.5.
#include <gtest/gtest.h>

#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

}  // namespace

// [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-9], [MQTT-3.1.2-14], [MQTT-3.1.2-16], [MQTT3-3.1.2-8],
// [MQTT3-3.1.2-9], [MQTT3-3.1.2-16]
TEST(Will, LostConnectionPublishesItWithItsQos) {
  for (const Version version : kVersions) {
    for (const int qos : {0, 1, 2}) {
      const std::string topic = unique("lost/");
      Client watcher({.version = version});
      watcher.subscribe(topic, 2);
      Client dying({.version = version, .will = Will{.topic = topic, .payload = "died", .qos = qos}});
      dying.drop();
      const Packet got = watcher.message("died");
      EXPECT_EQ(got.qos, qos);
      EXPECT_FALSE(got.retain);
      Client late;
      late.subscribe(topic, 1);
      late.expect_nothing_but_marker(watcher);  // [MQTT-3.1.2-10]: once, and not retained
    }
  }
}

// [MQTT-3.1.2-17], [MQTT3-3.1.2-17]
TEST(Will, RetainedWillIsRetained) {
  for (const Version version : kVersions) {
    const std::string topic = unique("retained-will/");
    Client watcher;
    watcher.subscribe(topic, 1);
    Client dying(
        {.version = version, .will = Will{.topic = topic, .payload = "died", .qos = 1, .retain = true}});
    dying.drop();
    EXPECT_FALSE(watcher.message("died").retain);
    Client late;
    late.subscribe(topic, 1);
    EXPECT_TRUE(late.message("died").retain);
    late.publish(topic, "", 1, true);
  }
}

// [MQTT-3.14.4-3], [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT3-3.14.4-3], [MQTT3-3.1.2-10]
TEST(Will, NormalDisconnectDeletesIt) {
  for (const Version version : kVersions) {
    const std::string topic = unique("normal/");
    Client watcher, leaving({.version = version, .will = Will{.topic = topic, .payload = "died", .qos = 1}});
    watcher.subscribe(topic, 1);
    leaving.disconnect();
    Client publisher;
    watcher.expect_nothing_but_marker(publisher);
  }
}

// Section 3.14.2.1: DISCONNECT 0x04 asks for it, and every error code is an end that is not normal.
TEST(Will, DisconnectWithAnyOtherReasonPublishesIt) {
  for (const uint8_t reason : {0x04, 0x80, 0x83, 0x98}) {
    const std::string topic = unique("reason/");
    Client watcher, leaving({.will = Will{.topic = topic, .payload = "died", .qos = 1}});
    watcher.subscribe(topic, 1);
    leaving.disconnect(reason);
    watcher.message("died");
  }
}

// [MQTT-3.1.2-8]: a connection that the server closes for an error is not a normal end.
TEST(Will, ProtocolErrorPublishesIt) {
  for (const Version version : kVersions) {
    const std::string topic = unique("error/");
    Client watcher, erring({.version = version, .will = Will{.topic = topic, .payload = "died", .qos = 1}});
    watcher.subscribe(topic, 1);
    erring.send(frame(0x00, ""));
    erring.expect_end({0x81, 0x82});
    watcher.message("died");
  }
}

// [MQTT-3.1.2-12], [MQTT3-3.1.2-12]
TEST(Will, WithoutOneNothingIsPublished) {
  const std::string topic = unique("none/");
  Client watcher, publisher;
  watcher.subscribe({{"none/#", 1}});
  Client dying({.client_id = topic});
  dying.drop();
  Client returning({.client_id = topic});
  watcher.expect_nothing_but_marker(publisher);
}

// Sections 3.1.2.5 and 3.1.3.2.2: after the delay, not before.
TEST(Will, DelayIsKept) {
  const std::string topic = unique("delayed/");
  Client watcher;
  watcher.subscribe(topic, 1);
  Client dying({.will = Will{.topic = topic, .payload = "died", .qos = 1, .properties = with(kWillDelay, 2u)},
                .properties = with(kSessionExpiry, 600u)});
  const auto started = Clock::now();
  dying.drop();
  watcher.message("died");
  EXPECT_GE(Clock::now() - started, 1800ms);
  EXPECT_LT(Clock::now() - started, 9s);
}

// [MQTT-3.1.2-26], [MQTT-3.1.2-8], [MQTT-3.1.2-10]
TEST(Will, ReturnWithinTheDelayCancelsIt) {
  const std::string topic = unique("cancelled/"), id = unique("cancelled");
  Client watcher, publisher;
  watcher.subscribe(topic, 1);
  Connect connect = persistent(v5, id);
  connect.will = Will{.topic = topic, .payload = "died", .qos = 1, .properties = with(kWillDelay, 1u)};
  Client dying(connect);
  dying.drop();
  Client back(persistent(v5, id));
  watcher.expect_silence(2200ms);
  watcher.expect_nothing_but_marker(publisher);
  back.ping();
}

// [MQTT-3.1.2-8]: the end of the session publishes it even before the delay is over.
TEST(Will, EndOfTheSessionPublishesItBeforeItsDelay) {
  const std::string topic = unique("session-end/"), id = unique("session-end");
  Client watcher;
  watcher.subscribe(topic, 1);
  const Will slow{.topic = topic, .payload = "died", .qos = 1, .properties = with(kWillDelay, 3600u)};
  // By expiry 0, by expiry 1 s, by a clean start.
  Client({.will = slow}).drop();
  watcher.message("died");
  Client({.will = slow, .properties = with(kSessionExpiry, 1u)}).drop();
  watcher.message("died");
  Connect connect = persistent(v5, id);
  connect.will = slow;
  Client(connect).drop();
  Client again({.client_id = id, .clean = true});
  watcher.message("died");
}

// Section 3.1.4: a take-over ends the old connection without DISCONNECT 0x00: without a delay its will goes
// out.
TEST(Will, TakeOverPublishesAWillWithoutDelay) {
  for (const Version version : kVersions) {
    const std::string topic = unique("taken/"), id = unique("taken");
    Client watcher;
    watcher.subscribe(topic, 1);
    Connect connect = persistent(version, id);
    connect.will = Will{.topic = topic, .payload = "died", .qos = 1};
    Client old(connect);
    Client fresh(persistent(version, id));
    watcher.message("died");
    fresh.disconnect();
    Client publisher;
    watcher.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-3.1.2-26]: a take-over within the delay is a return in time.
TEST(Will, TakeOverCancelsAWillWithDelay) {
  const std::string topic = unique("taken-delay/"), id = unique("taken-delay");
  Client watcher, publisher;
  watcher.subscribe(topic, 1);
  Connect connect = persistent(v5, id);
  connect.will = Will{.topic = topic, .payload = "died", .qos = 1, .properties = with(kWillDelay, 1u)};
  Client old(connect);
  Client fresh(persistent(v5, id));
  watcher.expect_silence(2200ms);
  watcher.expect_nothing_but_marker(publisher);
}

// [MQTT-3.1.2-10]: the new CONNECT's will replaces the old one, with and without.
TEST(Will, NewConnectReplacesTheWill) {
  const std::string topic = unique("replaced/"), id = unique("replaced");
  Client watcher;
  watcher.subscribe(topic, 1);
  Connect first = persistent(v5, id), second = persistent(v5, id);
  first.will = Will{.topic = topic, .payload = "first", .qos = 1};
  second.will = Will{.topic = topic, .payload = "second", .qos = 1};
  Client(first).disconnect();
  Client(second).drop();
  watcher.message("second");
}

// Section 3.1.3.2.4: the will's message expiry interval counts from its publication.
TEST(Will, MessageExpiryOfTheWillIsKept) {
  const std::string topic = unique("will-expiry/");
  Client watcher;
  watcher.subscribe(topic, 1);
  Client dying(
      {.will = Will{.topic = topic, .payload = "died", .qos = 1, .properties = with(kMessageExpiry, 300u)}});
  dying.drop();
  const auto left = watcher.message("died").properties.number(kMessageExpiry);
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 300u);
  EXPECT_GE(*left, 290u);
}

// A will is a message like others: queued for those who are away. [MQTT-4.5.0-1]
TEST(Will, IsQueuedForAnAbsentSubscriber) {
  const std::string topic = unique("queued-will/"), id = unique("queued-will");
  Client away(persistent(v5, id));
  away.subscribe(topic, 1);
  away.disconnect();
  Client present;
  present.subscribe(topic, 1);
  Client({.will = Will{.topic = topic, .payload = "died", .qos = 1}}).drop();
  present.message("died");
  Client back(persistent(v5, id));
  back.message("died");
}

}  // namespace courier::scenario
