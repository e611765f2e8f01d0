// PUBLISH: what is accepted, what is answered, and what reaches whom in which order. Sections 3.3 and 4.6.
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {

// [MQTT3-4.3.1-1], [MQTT-3.3.4-1], [MQTT-3.8.4-8], [MQTT-4.3.1-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8],
// [MQTT-2.2.1-5], [MQTT3-3.3.4-1], [MQTT3-3.8.4-6], [MQTT3-2.3.1-6]
TEST(Publish, EveryQosIsAnsweredByItsTableAndDeliveredAtTheLowerOfBoth) {
  for (const Version version : kVersions) {
    for (int subscribed = 0; subscribed <= 2; ++subscribed) {
      const std::string topic = unique("matrix/");
      Client subscriber({.version = version}), publisher({.version = version});
      EXPECT_EQ(subscriber.subscribe(topic, subscribed).reasons, std::vector<uint8_t>{uint8_t(subscribed)});
      for (int published = 0; published <= 2; ++published) {
        publisher.publish(topic, "payload", published);
        const Packet got = subscriber.message();
        EXPECT_EQ(got.topic, topic);
        EXPECT_EQ(got.payload, "payload");
        EXPECT_EQ(got.qos, std::min(subscribed, published));
        EXPECT_FALSE(got.retain);
        EXPECT_FALSE(got.dup);
      }
    }
  }
}

// [MQTT-3.3.1-3], [MQTT-4.3.2-2], [MQTT-4.3.3-2], [MQTT3-3.3.1-3]
TEST(Publish, DupOfThePublisherIsNotPassedOn) {
  for (const Version version : kVersions) {
    const std::string topic = unique("dup/");
    Client subscriber({.version = version}), publisher({.version = version});
    subscriber.subscribe(topic, 2);
    for (const int qos : {1, 2}) {
      publisher.publish({.topic = topic, .payload = "again", .qos = qos, .dup = true});
      EXPECT_FALSE(subscriber.message("again").dup);
    }
  }
}

// [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT3-3.3.1-2], [MQTT3-3.3.1-4], [MQTT-2.2.1-3], [MQTT3-2.3.1-1]
TEST(Publish, IllegalFixedHeadersAndIdentifiersEndTheConnection) {
  for (const Version version : kVersions) {
    const std::string properties = version == v5 ? u8(0) : "";
    const std::string bodies[] = {
        frame(0x36, text("t") + u16(1) + properties + "both QoS bits"),
        frame(0x37, text("t") + u16(1) + properties + "both QoS bits"),
        frame(0x38, text("t") + properties + "DUP at QoS 0"),
        frame(0x32, text("t") + u16(0) + properties + "identifier 0"),
        frame(0x34, text("t") + u16(0) + properties + "identifier 0"),
        frame(0x32, text("t")),     // no identifier
        frame(0x30, u16(5) + "t"),  // topic ends early
        frame(0x30, ""),            // nothing at all
    };
    for (const std::string& body : bodies) {
      Client client({.version = version});
      client.send(body);
      client.expect_end({0x81, 0x82});
    }
  }
}

// [MQTT-3.3.2-1], [MQTT-3.3.2-2], [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT3-3.3.2-1],
// [MQTT3-3.3.2-2], [MQTT3-4.7.1-1], [MQTT3-4.7.3-1], [MQTT3-4.7.3-2]
TEST(Publish, TopicThatIsNoTopicNameEndsTheConnection) {
  for (const Version version : kVersions) {
    for (const std::string& topic :
         {std::string("a/#"), std::string("a/+/b"), std::string("#"), std::string("a+"), std::string(),
          std::string("a\0b", 3), std::string("\xED\xA0\x80")}) {
      Client client({.version = version});
      client.send(publish_packet(version, {.topic = topic, .payload = "x", .qos = 1, .id = 1}));
      client.expect_end({0x81, 0x82, 0x90});
    }
  }
}

// [MQTT-3.3.4-6]
TEST(Publish, SubscriptionIdentifierFromAClientIsAProtocolError) {
  Client client;
  client.send(publish_packet(v5, {.topic = "t", .payload = "x", .properties = with(kSubscriptionId, 1u)}));
  client.expect_end({0x82});
}

// [MQTT-4.13.1-1]
TEST(Publish, IllegalPropertiesEndTheConnection) {
  for (const Properties& properties :
       {with(kPayloadFormat, 2u), with(kSessionExpiry, 1u), with(kReasonString, "x"),
        with(kMessageExpiry, 1u).number(kMessageExpiry, 2), with(kContentType, "a").text(kContentType, "b"),
        with(kWillDelay, 1u), with(kReceiveMaximum, 10u)}) {
    Client client;
    client.send(publish_packet(v5, {.topic = "t", .payload = "x", .properties = properties}));
    client.expect_end({0x81, 0x82});
  }
}

TEST(Publish, PayloadsArePassedOnUnaltered) {
  const std::string topic = unique("payload/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 1);
  std::string binary(256 * 1024, '\0');
  for (size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i * 7 + i / 251);
  for (const std::string& payload : {std::string(), std::string(1, '\0'), binary}) {
    for (const int qos : {0, 1}) {
      publisher.publish(topic, payload, qos);
      EXPECT_TRUE(subscriber.message().payload == payload);
    }
  }
}

// [MQTT-4.6.0-5], [MQTT-4.6.0-6], [MQTT3-4.6.0-5], [MQTT3-4.6.0-6]
TEST(Publish, MessagesOfOnePublisherArriveInOrder) {
  for (const Version version : kVersions) {
    const std::string topic = unique("order/");
    Client subscriber({.version = version}), publisher({.version = version});
    constexpr int kAtOnce = 10;  // below any server's Receive Maximum
    subscriber.subscribe(topic + "/#", 2);
    for (const int qos : {0, 1, 2}) {
      for (int first = 0; first < 100; first += kAtOnce) {
        std::string batch;
        for (int i = first; i < first + kAtOnce; ++i) {
          batch += publish_packet(version, {.topic = topic + (i % 2 ? "/odd" : "/even"),
                                            .payload = std::to_string(i),
                                            .qos = qos,
                                            .id = static_cast<uint16_t>(qos == 0 ? 0 : publisher.next_id())});
        }
        publisher.send(batch);
        for (int i = first; i < first + kAtOnce && qos == 1; ++i) publisher.expect(kPuback);
        for (int i = first; i < first + kAtOnce && qos == 2; ++i) {
          const uint16_t id = publisher.await(kPubrec).id;
          publisher.send(reply_packet(version, kPubrel, id));
          publisher.await(kPubcomp, id);
        }
      }
      for (int i = 0; i < 100; ++i) subscriber.message(std::to_string(i));
    }
  }
}

// [MQTT3-4.6.0-2], [MQTT-4.3.2-4]: one PUBACK for each, in the order of the PUBLISHes.
TEST(Publish, PubacksComeInOrderWithTheirIdentifiers) {
  Client publisher;
  std::string batch;
  for (const uint16_t id : {5, 3, 65535, 1}) {
    batch += publish_packet(v5, {.topic = unique("acks/"), .payload = "x", .qos = 1, .id = id});
  }
  publisher.send(batch);
  for (const uint16_t id : {5, 3, 65535, 1}) EXPECT_EQ(publisher.expect(kPuback).id, id);
}

// [MQTT-3.3.2-3], [MQTT-4.7.3-4], [MQTT3-3.3.2-3], [MQTT3-4.7.3-4], [MQTT-1.5.4-3], [MQTT3-1.5.3-3]
TEST(Publish, TopicsAreComparedByteByByteAndNeverNormalised) {
  const std::string base = unique("exact");
  const std::string composed = base + "/\xC3\xA9", decomposed = base + "/e\xCC\x81";
  const std::string topics[] = {base + "/a",          base + "/A", base + "//a", base + "/a/", "/" + base,
                                base + "/a b",        composed,    decomposed,   base + "/. ", base + "/..",
                                "\xEF\xBB\xBF" + base};
  for (const std::string& topic : topics) {
    Client subscriber, publisher;
    subscriber.subscribe(topic, 1);
    for (const std::string& other : topics) {
      if (other != topic) publisher.publish(other, "not for you", 1);
    }
    publisher.publish(topic, "for you", 1);
    EXPECT_EQ(subscriber.message("for you").topic, topic);
  }
}

// [MQTT-4.7.3-3], [MQTT3-4.7.3-3]: a topic may have as many bytes as a string can have, unless the limits say
// less.
TEST(Publish, TopicAtTheLimitIsServedAndBeyondItIsRefused) {
  COURIER_ONLY();
  Client subscriber, publisher;
  const std::string topic = unique("long/") + std::string(900, 't');
  subscriber.subscribe(topic, 1);
  publisher.publish(topic, "long", 1);
  subscriber.message("long");
  Client beyond;
  beyond.send(publish_packet(v5, {.topic = std::string(65535, 't'), .payload = "x", .qos = 1, .id = 9}));
  EXPECT_EQ(beyond.expect(kPuback).reason, 0x90);
}

// A publisher is told that nobody listens only when it is so. Section 3.4.2.1.
TEST(Publish, NoMatchingSubscribersIsSaidOnlyWhenThereAreNone) {
  const std::string topic = unique("nobody/");
  Client publisher, subscriber;
  EXPECT_TRUE((publisher.publish(topic, "x", 1).reason | 0x10) == 0x10);
  EXPECT_TRUE((publisher.publish(topic, "x", 2).reason | 0x10) == 0x10);
  subscriber.subscribe(topic, 1);
  EXPECT_EQ(publisher.publish(topic, "x", 1).reason, 0);
  EXPECT_EQ(publisher.publish(topic, "x", 2).reason, 0);
}

TEST(Publish, VersionsReachEachOther) {
  for (const Version from : kVersions) {
    for (const Version to : kVersions) {
      const std::string topic = unique("across/");
      Client subscriber({.version = to}), publisher({.version = from});
      subscriber.subscribe(topic, 2);
      Publish publish{.topic = topic, .payload = "across", .qos = 2};
      if (from == v5) publish.properties.user("a", "b").number(kMessageExpiry, 100);
      publisher.publish(publish);
      const Packet got = subscriber.message("across");
      EXPECT_EQ(got.properties.user().size(), from == v5 && to == v5 ? 1u : 0u);
    }
  }
}

}  // namespace courier::scenario
