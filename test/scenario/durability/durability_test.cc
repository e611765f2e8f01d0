// What was acknowledged survives kill -9 and an orderly restart alike: queues, unacknowledged messages with
// their identifiers, QoS 2 state of both directions, subscriptions, retained messages, wills.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

enum class End { killed, terminated };

class Durability : public testing::TestWithParam<End> {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  Broker& broker() {
    if (!broker_) broker_ = std::make_unique<Broker>();
    return *broker_;
  }
  void restart() {
    if (GetParam() == End::killed) {
      broker().kill();
    } else {
      EXPECT_EQ(broker().terminate(), 0) << broker().log();
    }
    broker().start();
  }
  Client connect(const Connect& connect) { return Client(connect, broker().port()); }

 private:
  std::unique_ptr<Broker> broker_;
};

INSTANTIATE_TEST_SUITE_P(Restart, Durability, testing::Values(End::killed, End::terminated),
                         [](const auto& info) {
                           return info.param == End::killed ? "Killed" : "Terminated";
                         });

}  // namespace

// [MQTT-4.1.0-1], [MQTT3-4.1.0-1], [MQTT-3.1.2-25], [MQTT-4.5.0-1]
TEST_P(Durability, QueuedMessagesAndSubscriptionsSurvive) {
  for (const Version version : kVersions) {
    Client subscriber = connect(persistent(version, "phone" + std::to_string(version)));
    subscriber.subscribe({{"orders/#", 2}});
    subscriber.disconnect();
  }
  Client publisher = connect({.client_id = "backend"});
  for (int i = 0; i < 100; ++i) {
    publisher.publish({.topic = "orders/" + std::to_string(i),
                       .payload = std::to_string(i),
                       .qos = 1 + i % 2,
                       .properties = with(kContentType, "text/plain").user("n", std::to_string(i))});
  }
  restart();
  for (const Version version : kVersions) {
    Client subscriber = connect(persistent(version, "phone" + std::to_string(version)));
    EXPECT_EQ(subscriber.connack().session_present, version != v3_1);
    for (int i = 0; i < 100; ++i) {
      const Packet got = subscriber.message(std::to_string(i));
      EXPECT_EQ(got.topic, "orders/" + std::to_string(i));
      EXPECT_EQ(got.qos, 1 + i % 2);
      EXPECT_FALSE(got.dup);
      if (version == v5) {
        EXPECT_EQ(got.properties.user().at(0).second, std::to_string(i));
      }
    }
    Client again = connect({.client_id = "backend"});
    again.publish("orders/new", "new", 1);
    subscriber.message("new");
  }
}

// [MQTT-4.4.0-1], [MQTT-3.3.1-1]
TEST_P(Durability, UnacknowledgedMessagesKeepTheirIdentifiers) {
  Client subscriber = connect(persistent(v5, "phone"));
  subscriber.subscribe("t", 2);
  Client publisher = connect({.client_id = "backend"});
  for (int i = 0; i < 6; ++i) publisher.publish("t", std::to_string(i), 1 + i % 2);
  std::vector<Packet> sent;
  for (int i = 0; i < 6; ++i) sent.push_back(subscriber.expect(kPublish));
  restart();
  Client back = connect(persistent(v5, "phone"));
  for (int i = 0; i < 6; ++i) {
    const Packet again = back.expect(kPublish);
    EXPECT_EQ(again.payload, sent[static_cast<size_t>(i)].payload);
    EXPECT_EQ(again.id, sent[static_cast<size_t>(i)].id);
    // Whether it had been sent is known for QoS 2; for QoS 1 a redelivery may look like the first.
    if (again.qos == 2) {
      EXPECT_TRUE(again.dup);
    }
  }
}

// [MQTT-4.3.3-10]: the identifier that a publisher has in use is remembered.
TEST_P(Durability, InboundQos2IsNotDoubled) {
  Client subscriber = connect(persistent(v5, "phone"));
  subscriber.subscribe("t", 2);
  Client publisher = connect(persistent(v5, "backend"));
  Publish publish{.topic = "t", .payload = "once", .qos = 2, .id = 77};
  publisher.send(publish_packet(v5, publish));
  EXPECT_EQ(publisher.expect(kPubrec).reason, 0);
  restart();
  Client back = connect(persistent(v5, "backend"));
  publish.dup = true;
  back.send(publish_packet(v5, publish));
  EXPECT_EQ(back.expect(kPubrec).id, 77);
  back.send(reply_packet(v5, kPubrel, 77));
  EXPECT_EQ(back.expect(kPubcomp).reason, 0);
  Client phone = connect(persistent(v5, "phone"));
  phone.message("once");
  phone.expect_nothing_but_marker(back);
}

// [MQTT-4.3.3-6], [MQTT-4.3.3-5]: after PUBREC it is the PUBREL that is resent; after PUBCOMP nothing is.
TEST_P(Durability, OutboundQos2ContinuesWhereItWas) {
  Client subscriber = connect(persistent(v5, "phone"));
  subscriber.subscribe("t", 2);
  Client publisher = connect({.client_id = "backend"});
  publisher.publish("t", "released", 2);
  publisher.publish("t", "completed", 2);
  const uint16_t released = subscriber.expect(kPublish).id;
  const Packet completed = subscriber.expect(kPublish);
  subscriber.send(reply_packet(v5, kPubrec, released));
  EXPECT_EQ(subscriber.expect(kPubrel).id, released);
  subscriber.acknowledge(completed);
  subscriber.disconnect();  // orderly: what it acknowledged has been read
  restart();
  Client back = connect(persistent(v5, "phone"));
  EXPECT_EQ(back.expect(kPubrel).id, released);
  back.send(reply_packet(v5, kPubcomp, released));
  // A PUBCOMP that was not yet on disk may show as one more PUBREL; never as a PUBLISH.
  const std::string end = "end";
  back.subscribe(end, 1);
  Client again = connect({.client_id = "backend"});
  again.publish(end, "end", 1);
  EXPECT_EQ(back.await(kPublish).payload, "end");
}

// [MQTT-3.3.1-5], [MQTT-3.3.1-7]
TEST_P(Durability, RetainedMessagesSurviveAndDeletedOnesStayDeleted) {
  Client publisher = connect({.client_id = "backend"});
  for (const char* topic : {"r/a", "r/b", "r/c"}) publisher.publish(topic, topic, 1, true);
  publisher.publish("r/b", "", 1, true);
  publisher.publish("r/c", "replaced", 2, true);
  restart();
  Client subscriber = connect({.client_id = "phone"});
  subscriber.subscribe("r/#", 2);
  std::map<std::string, std::string> found;
  for (int i = 0; i < 2; ++i) {
    const Packet got = subscriber.message();
    EXPECT_TRUE(got.retain);
    found[got.topic] = got.payload;
  }
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"r/a", "r/a"}, {"r/c", "replaced"}}));
  Client again = connect({.client_id = "backend"});
  subscriber.expect_nothing_but_marker(again);
}

// [MQTT-3.10.4-2], [MQTT-4.1.0-2]: what ended before stays ended.
TEST_P(Durability, WhatWasEndedStaysEnded) {
  Client leaving = connect(persistent(v5, "leaving"));
  leaving.subscribe("t", 1);
  leaving.disconnect(0, with(kSessionExpiry, 0u));
  Client unsubscribed = connect(persistent(v5, "unsubscribed"));
  unsubscribed.subscribe("t", 1);
  unsubscribed.unsubscribe({"t"});
  unsubscribed.disconnect();
  Client clean = connect({.client_id = "clean"});
  clean.subscribe("t", 1);
  restart();
  Client publisher = connect({.client_id = "backend"});
  publisher.publish("t", "x", 1);
  EXPECT_FALSE(connect(persistent(v5, "leaving")).connack().session_present);
  EXPECT_FALSE(connect(persistent(v5, "clean")).connack().session_present);
  Client still = connect(persistent(v5, "unsubscribed"));
  EXPECT_TRUE(still.connack().session_present);
  still.expect_nothing_but_marker(publisher);
}

// [MQTT-3.1.2-8]: the end of the broker is the end of its connections: wills of stored sessions go out,
// delays run.
TEST_P(Durability, WillsOfStoredSessionsAreNotForgotten) {
  Client watcher = connect(persistent(v5, "watcher"));
  watcher.subscribe("wills/#", 1);
  Connect now = persistent(v5, "now"), delayed = persistent(v5, "delayed"), later = persistent(v5, "later");
  now.will = Will{.topic = "wills/now", .payload = "now", .qos = 1};
  delayed.will =
      Will{.topic = "wills/delayed", .payload = "delayed", .qos = 1, .properties = with(kWillDelay, 2u)};
  later.will =
      Will{.topic = "wills/later", .payload = "later", .qos = 1, .properties = with(kWillDelay, 3600u)};
  Client a = connect(now), b = connect(delayed), c = connect(later);
  restart();
  Client back = connect(persistent(v5, "watcher"));
  back.message("now");
  back.message("delayed");
  Client publisher = connect({.client_id = "backend"});
  back.expect_nothing_but_marker(publisher);
}

TEST_P(Durability, SharedGroupKeepsItsMessages) {
  Client member = connect(persistent(v5, "member"));
  member.subscribe("$share/g/t", 1);
  member.disconnect();
  Client publisher = connect({.client_id = "backend"});
  for (int i = 0; i < 5; ++i) publisher.publish("t", std::to_string(i), 1);
  restart();
  Client back = connect(persistent(v5, "member"));
  for (int i = 0; i < 5; ++i) back.message(std::to_string(i));
}

// [MQTT-3.3.2-5]: time passes while the broker is away.
TEST_P(Durability, MessagesExpireWhileTheBrokerIsAway) {
  Client subscriber = connect(persistent(v5, "phone"));
  subscriber.subscribe("t", 1);
  subscriber.disconnect();
  Client publisher = connect({.client_id = "backend"});
  publisher.publish({.topic = "t", .payload = "short", .qos = 1, .properties = with(kMessageExpiry, 1u)});
  publisher.publish({.topic = "t", .payload = "long", .qos = 1, .properties = with(kMessageExpiry, 1000u)});
  std::this_thread::sleep_for(2100ms);
  restart();
  Client back = connect(persistent(v5, "phone"));
  const auto left = back.message("long").properties.number(kMessageExpiry);
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 998u);
}

TEST_P(Durability, ManyRestartsInARow) {
  Client(persistent(v5, "phone"), broker().port()).subscribe("t", 1);
  for (int round = 0; round < 5; ++round) {
    Client publisher = connect({.client_id = "backend"});
    publisher.publish("t", std::to_string(round), 1);
    restart();
  }
  Client back = connect(persistent(v5, "phone"));
  for (int round = 0; round < 5; ++round) back.message(std::to_string(round));
}

// SIGTERM drains: 5.0 clients are told 0x8B, others are closed, new ones are not accepted, the exit status is
// 0.
TEST(Drain, ClientsAreToldAndTheExitStatusIsZero) {
  COURIER_ONLY();
  Broker broker;
  Client young({.client_id = "young"}, broker.port()),
      old({.version = v3_1_1, .client_id = "old"}, broker.port());
  EXPECT_EQ(broker.terminate(), 0);
  young.expect_end({0x8B});
  old.expect_end();
}

}  // namespace courier::scenario
