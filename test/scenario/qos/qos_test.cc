// The delivery protocols in both directions, across connections: nothing lost at QoS 1, nothing doubled at
// QoS 2. Sections 2.2.1, 4.3 and 4.4.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

}  // namespace

// [MQTT-4.3.2-5], [MQTT3-4.3.2-2]
TEST(Qos, Qos1IdentifierIsFreeAgainAfterPuback) {
  for (const Version version : kVersions) {
    const std::string topic = unique("again/");
    Client subscriber({.version = version}), publisher({.version = version});
    subscriber.subscribe(topic, 1);
    for (const char* payload : {"one", "two"}) {
      publisher.publish({.topic = topic, .payload = payload, .qos = 1, .dup = payload[0] == 't', .id = 5});
      subscriber.message(payload);
    }
  }
}

// [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12], [MQTT-4.3.3-8], [MQTT3-4.3.3-2], [MQTT-2.2.1-5]
TEST(Qos, DuplicateQos2IsAcknowledgedButNotRoutedTwice) {
  for (const Version version : kVersions) {
    const std::string topic = unique("once/");
    Client subscriber({.version = version}), publisher({.version = version});
    subscriber.subscribe(topic, 2);
    Publish publish{.topic = topic, .payload = "once", .qos = 2, .id = 9};
    publisher.send(publish_packet(version, publish));
    EXPECT_EQ(publisher.expect(kPubrec).id, 9);
    publish.dup = true;
    publisher.send(publish_packet(version, publish));
    EXPECT_EQ(publisher.expect(kPubrec).id, 9);
    publisher.send(reply_packet(version, kPubrel, 9));
    EXPECT_EQ(publisher.expect(kPubcomp).id, 9);
    subscriber.message("once");
    subscriber.expect_nothing_but_marker(publisher);
    // After PUBCOMP the identifier is free: the same bytes are a new message.
    publisher.send(publish_packet(version, publish));
    EXPECT_EQ(publisher.expect(kPubrec).id, 9);
    publisher.send(reply_packet(version, kPubrel, 9));
    EXPECT_EQ(publisher.expect(kPubcomp).id, 9);
    subscriber.message("once");
  }
}

// [MQTT-4.3.3-10], [MQTT-4.1.0-1], [MQTT3-4.1.0-1]: the identifiers taken are part of the session.
TEST(Qos, DuplicateQos2AfterAReconnectIsNotRoutedTwice) {
  for (const Version version : kVersions) {
    const std::string topic = unique("reconnect/"), id = unique("reconnect");
    Client subscriber({.version = version}), publisher(persistent(version, id)), other;
    subscriber.subscribe(topic, 2);
    const Publish publish{.topic = topic, .payload = "once", .qos = 2, .id = 9};
    publisher.send(publish_packet(version, publish));
    publisher.expect(kPubrec);
    publisher.drop();
    Client again(persistent(version, id));
    Publish resent = publish;
    resent.dup = true;
    again.send(publish_packet(version, resent));
    EXPECT_EQ(again.expect(kPubrec).reason, 0);
    again.send(reply_packet(version, kPubrel, 9));
    EXPECT_EQ(again.expect(kPubcomp).reason, 0);
    subscriber.message("once");
    subscriber.expect_nothing_but_marker(other);
    // The session remembers what is done: a PUBREL that is repeated is answered again. [MQTT-4.3.3-11]
    again.send(reply_packet(version, kPubrel, 9));
    EXPECT_EQ(again.expect(kPubcomp).id, 9);
  }
}

// [MQTT-4.3.3-11]; 5.0 says that the identifier is not known.
TEST(Qos, PubrelOfAnUnknownIdentifierIsAnswered) {
  for (const Version version : kVersions) {
    Client client({.version = version});
    client.send(reply_packet(version, kPubrel, 77));
    const Packet answer = client.expect(kPubcomp);
    EXPECT_EQ(answer.id, 77);
    if (version == v5 && Broker::is_courier()) {
      EXPECT_EQ(answer.reason, 0x92);
    }
  }
}

// [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.3.2-3], [MQTT-4.3.3-3], [MQTT3-4.4.0-1], [MQTT3-3.3.1-1],
// [MQTT3-2.3.1-4], [MQTT3-4.3.2-1], [MQTT3-4.3.3-1], [MQTT3-4.6.0-1]
TEST(Qos, UnacknowledgedMessagesAreResentWithTheirIdentifiersInOrder) {
  for (const Version version : kVersions) {
    for (const int qos : {1, 2}) {
      const std::string topic = unique("resend/"), id = unique("resend");
      Client publisher, first(persistent(version, id));
      first.subscribe(topic, qos);
      std::vector<uint16_t> ids;
      for (const char* payload : {"a", "b", "c"}) publisher.publish(topic, payload, qos);
      for (const char* payload : {"a", "b", "c"}) {
        const Packet got = first.expect(kPublish);
        EXPECT_EQ(got.payload, payload);
        EXPECT_FALSE(got.dup);
        ids.push_back(got.id);
      }
      // The second alone is acknowledged; and the server has read that before the connection ends.
      first.send(reply_packet(version, qos == 1 ? kPuback : kPubrec, ids[1]));
      if (qos == 2) {
        EXPECT_EQ(first.expect(kPubrel).id, ids[1]);
        first.send(reply_packet(version, kPubcomp, ids[1]));
      }
      first.ping();
      first.drop();
      publisher.publish(topic, "d", qos);

      Client second(persistent(version, id));
      for (const auto& [payload, i] : {std::pair{"a", 0}, {"c", 2}}) {
        const Packet got = second.expect(kPublish);
        EXPECT_EQ(got.payload, payload);
        EXPECT_EQ(got.id, ids[static_cast<size_t>(i)]);
        EXPECT_TRUE(got.dup);
        EXPECT_EQ(got.qos, qos);
      }
      const Packet fresh = second.expect(kPublish);
      EXPECT_EQ(fresh.payload, "d");
      EXPECT_FALSE(fresh.dup);
    }
  }
}

// [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT-4.4.0-1], [MQTT-2.2.1-5], [MQTT3-4.3.3-1]
TEST(Qos, PubrelIsResentAndThePublishIsNot) {
  for (const Version version : kVersions) {
    const std::string topic = unique("release/"), id = unique("release");
    Client publisher, first(persistent(version, id));
    first.subscribe(topic, 2);
    publisher.publish(topic, "x", 2);
    const uint16_t packet_id = first.expect(kPublish).id;
    first.send(reply_packet(version, kPubrec, packet_id));
    EXPECT_EQ(first.expect(kPubrel).id, packet_id);
    first.drop();
    Client second(persistent(version, id));
    EXPECT_EQ(second.expect(kPubrel).id, packet_id);
    second.send(reply_packet(version, kPubcomp, packet_id));
    second.expect_nothing_but_marker(publisher);
    second.disconnect();
    Client third(persistent(version, id));
    third.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-4.4.0-1]: at no other time.
TEST(Qos, NothingIsResentOnALiveConnection) {
  const std::string topic = unique("quiet/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 2);
  publisher.publish(topic, "one", 1);
  publisher.publish(topic, "two", 2);
  subscriber.expect(kPublish);
  const uint16_t id = subscriber.expect(kPublish).id;
  subscriber.send(reply_packet(v5, kPubrec, id));
  subscriber.expect(kPubrel);
  subscriber.ping();
  subscriber.expect_silence(1500ms);
}

// [MQTT-4.4.0-2], [MQTT-4.8.2-6]
TEST(Qos, RefusedMessageIsNotSentAgain) {
  for (const int qos : {1, 2}) {
    const std::string topic = unique("refused/"), id = unique("refused");
    Client publisher, first(persistent(v5, id));
    first.subscribe(topic, qos);
    publisher.publish(topic, "unwanted", qos);
    const uint16_t packet_id = first.expect(kPublish).id;
    first.send(reply_packet(v5, qos == 1 ? kPuback : kPubrec, packet_id, 0x83));
    first.expect_nothing_but_marker(publisher);  // no PUBREL either
    first.drop();
    Client second(persistent(v5, id));
    second.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT3-2.3.1-4], [MQTT3-2.3.1-2]
TEST(Qos, IdentifiersInUseAreNotUsedAgain) {
  const std::string topic = unique("ids/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 2);
  std::set<uint16_t> in_use;
  const int count = Broker::is_courier() ? 30 : 15;
  for (int i = 0; i < count; ++i) {
    publisher.publish(topic, "x", 1 + i % 2);
    const uint16_t id = subscriber.await(kPublish).id;
    EXPECT_NE(id, 0);
    EXPECT_TRUE(in_use.insert(id).second) << id;
  }
}

// [MQTT-2.2.1-3]: both sides number for themselves: a client may use an identifier that the server uses, too.
TEST(Qos, ClientAndServerIdentifiersAreIndependent) {
  const std::string topic = unique("both/");
  Client client;
  client.subscribe(topic, 2);
  client.send(publish_packet(v5, {.topic = topic, .payload = "x", .qos = 2, .id = 1}));
  client.await(kPubrec, 1);
  client.send(reply_packet(v5, kPubrel, 1));
  client.await(kPubcomp, 1);
  const Packet got = client.await(kPublish);
  client.send(publish_packet(v5, {.topic = unique("elsewhere/"), .payload = "y", .qos = 1, .id = got.id}));
  client.await(kPuback, got.id);
  client.send(reply_packet(v5, kPubrec, got.id));
  client.await(kPubrel, got.id);
  client.send(reply_packet(v5, kPubcomp, got.id));
  client.ping();
}

// [MQTT-4.3.3-7]: a QoS 2 message that was sent does not expire.
TEST(Qos, SentQos2MessageDoesNotExpire) {
  const std::string topic = unique("sent/"), id = unique("sent");
  Client publisher, first(persistent(v5, id));
  first.subscribe(topic, 2);
  publisher.publish({.topic = topic, .payload = "sent", .qos = 2, .properties = with(kMessageExpiry, 1u)});
  const uint16_t packet_id = first.expect(kPublish).id;
  first.drop();
  std::this_thread::sleep_for(2100ms);
  Client second(persistent(v5, id));
  EXPECT_EQ(second.expect(kPublish).id, packet_id);
}

// [MQTT-4.3.3-13]
TEST(Qos, ReleaseOfAnExpiredMessageIsCompleted) {
  Client publisher;
  publisher.send(publish_packet(v5, {.topic = unique("expired/"),
                                     .payload = "x",
                                     .qos = 2,
                                     .id = 3,
                                     .properties = with(kMessageExpiry, 1u)}));
  publisher.expect(kPubrec);
  std::this_thread::sleep_for(1500ms);
  publisher.send(reply_packet(v5, kPubrel, 3));
  EXPECT_EQ(publisher.expect(kPubcomp).reason, 0);
}

// [MQTT-4.3.3-9]: after a PUBREC that refused, the identifier is free: the next PUBLISH is a new message. A
// topic beyond the limits is refused so.
TEST(Qos, IdentifierOfARefusedQos2PublishIsFree) {
  COURIER_ONLY();
  const std::string topic = unique("free/");
  Client publisher, subscriber;
  subscriber.subscribe(topic, 2);
  publisher.send(publish_packet(v5, {.topic = std::string(65535, 't'), .payload = "x", .qos = 2, .id = 4}));
  EXPECT_GE(publisher.expect(kPubrec).reason, 0x80);
  publisher.send(publish_packet(v5, {.topic = topic, .payload = "new", .qos = 2, .id = 4}));
  EXPECT_EQ(publisher.expect(kPubrec).reason, 0);
  publisher.send(reply_packet(v5, kPubrel, 4));
  publisher.expect(kPubcomp);
  subscriber.message("new");
}

// Acknowledgements of nothing are noticed and forgotten: sections 3.4 to 3.7. PUBREC of an unknown identifier
// is answered by PUBREL 0x92.
TEST(Qos, AcknowledgementsOfUnknownIdentifiersHarmNobody) {
  for (const Version version : kVersions) {
    Client client({.version = version});
    client.send(reply_packet(version, kPuback, 500));
    client.send(reply_packet(version, kPubcomp, 501));
    client.ping();
    client.send(reply_packet(version, kPubrec, 502));
    if (version == v5 && Broker::is_courier()) {
      EXPECT_EQ(client.await(kPubrel, 502).reason, 0x92);
    }
    client.send(pingreq_packet());
    client.await(kPingresp);
  }
}

// [MQTT3-4.6.0-4]
TEST(Qos, PubrelsComeInTheOrderOfTheirPubrecs) {
  for (const Version version : kVersions) {
    const std::string topic = unique("pubrels/");
    Client subscriber({.version = version}), publisher;
    subscriber.subscribe(topic, 2);
    std::vector<uint16_t> ids;
    for (int i = 0; i < 8; ++i) publisher.publish(topic, "x", 2);
    for (int i = 0; i < 8; ++i) ids.push_back(subscriber.expect(kPublish).id);
    std::string batch;
    for (const uint16_t id : ids) batch += reply_packet(version, kPubrec, id);
    subscriber.send(batch);
    for (const uint16_t id : ids) EXPECT_EQ(subscriber.expect(kPubrel).id, id);
  }
}

// [MQTT3-4.6.0-3], [MQTT-4.1.0-1]: a QoS 2 exchange goes on while other packets pass.
TEST(Qos, ManyQos2ExchangesInterleave) {
  const std::string topic = unique("interleave/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 2);
  constexpr uint16_t kCount = 16;
  for (uint16_t id = 1; id <= kCount; ++id) {
    publisher.send(publish_packet(v5, {.topic = topic, .payload = std::to_string(id), .qos = 2, .id = id}));
  }
  for (uint16_t id = 1; id <= kCount; ++id) EXPECT_EQ(publisher.expect(kPubrec).id, id);
  for (uint16_t id = kCount; id >= 1; --id) publisher.send(reply_packet(v5, kPubrel, id));
  for (uint16_t id = kCount; id >= 1; --id) EXPECT_EQ(publisher.expect(kPubcomp).id, id);
  for (uint16_t id = 1; id <= kCount; ++id) subscriber.message(std::to_string(id));
  subscriber.expect_nothing_but_marker(publisher);
}

}  // namespace courier::scenario
