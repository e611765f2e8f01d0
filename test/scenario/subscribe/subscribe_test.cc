// SUBSCRIBE and UNSUBSCRIBE: which filters, which answers, which copies. Sections 3.8 to 3.11 and 4.7.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/client.h"

namespace courier::scenario {

// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-2.2.1-6], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7],
// [MQTT-3.9.3-1], [MQTT3-3.8.4-1], [MQTT3-3.8.4-2], [MQTT3-3.8.4-4], [MQTT3-3.8.4-5], [MQTT3-3.9.3-1],
// [MQTT3-2.3.1-7], [MQTT3-3.8.3-2]
TEST(Subscribe, ManyFiltersGetOneAnswerInTheirOrder) {
  for (const Version version : kVersions) {
    const std::string base = unique("many");
    Client client({.version = version}), publisher;
    client.send(subscribe_packet(
        version, 4711, {{base + "/two", 2}, {base + "/none/#", 0}, {base + "/one/+", 1}, {base + "/2", 2}}));
    const Packet answer = client.expect(kSuback);
    EXPECT_EQ(answer.id, 4711);
    EXPECT_EQ(answer.reasons, (std::vector<uint8_t>{2, 0, 1, 2}));
    publisher.publish(base + "/none/x", "a", 2);
    EXPECT_EQ(client.message("a").qos, 0);
    publisher.publish(base + "/one/x", "b", 2);
    EXPECT_EQ(client.message("b").qos, 1);
    publisher.publish(base + "/2", "c", 2);
    EXPECT_EQ(client.message("c").qos, 2);
  }
}

// [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT3-3.8.1-1], [MQTT3-3.10.1-1], [MQTT-2.1.3-1]
TEST(Subscribe, ReservedFixedHeaderBitsMustBeAsListed) {
  for (const Version version : kVersions) {
    for (const unsigned type : {0x80u, 0xA0u}) {
      for (unsigned flags = 0; flags < 16; ++flags) {
        // 3.1 has a DUP flag here.
        if (flags == 2 || (version == v3_1 && flags == 0x0A)) continue;
        std::string packet =
            type == 0x80 ? subscribe_packet(version, 1, {{"a", 0}}) : unsubscribe_packet(version, 1, {"a"});
        packet[0] = static_cast<char>(type | flags);
        Client client({.version = version});
        client.send(packet);
        client.expect_end({0x81, 0x82});
      }
    }
  }
}

// [MQTT-3.8.3-2], [MQTT-3.10.3-2], [MQTT3-3.8.3-3], [MQTT3-3.10.3-2], [MQTT-2.2.1-3], [MQTT3-2.3.1-1]
TEST(Subscribe, EmptyListsAndIdentifierZeroAreErrors) {
  for (const Version version : kVersions) {
    for (const std::string& packet :
         {subscribe_packet(version, 1, {}), unsubscribe_packet(version, 1, {}),
          subscribe_packet(version, 0, {{"a", 0}}), unsubscribe_packet(version, 0, {"a"}), frame(0x82, ""),
          frame(0xA2, ""), frame(0x82, u8(0))}) {
      Client client({.version = version});
      client.send(packet);
      client.expect_end({0x81, 0x82});
    }
  }
}

// [MQTT-3.8.3-5], [MQTT3-3.8.3-4]
TEST(Subscribe, ReservedOptionBitsAndQos3AreMalformed) {
  for (const uint8_t options : {0x03, 0x40, 0x80, 0xC1, 0x30}) {
    Client client;
    client.send(subscribe_packet(v5, 1, {{"a", options}}));
    client.expect_end({0x81, 0x82});
  }
  for (const Version version : {v3_1, v3_1_1}) {
    for (const uint8_t options : {0x03, 0x10, 0x40, 0x80}) {
      Client client({.version = version});
      client.send(subscribe_packet(version, 1, {{"a", options}}));
      client.expect_end();
    }
  }
}

// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-3.8.3-1], [MQTT-3.10.3-1],
// [MQTT3-4.7.1-2], [MQTT3-4.7.1-3], [MQTT3-3.8.3-1], [MQTT3-3.10.3-1]: the connection ends, or, for a filter
// that is only ill-formed, its reason code says so.
TEST(Subscribe, FiltersThatAreNoneAreNeverGranted) {
  const std::string null("a\0b", 3);
  for (const Version version : kVersions) {
    for (const std::string& filter :
         {std::string("#/a"), std::string("a/#/b"), std::string("a#"), std::string("a/b#"), std::string("##"),
          std::string("a+"), std::string("a/+b"), std::string("++/a"), std::string(), null,
          std::string("\xC3\x28"), std::string("\xED\xA0\x80/x")}) {
      Client client({.version = version});
      client.send(subscribe_packet(version, 1, {{filter, 1}}) + pingreq_packet());
      const std::vector<Packet> answers = [&] {
        try {
          return std::vector<Packet>{client.expect(kSuback)};
        } catch (const Broken&) {
          return std::vector<Packet>{};
        }
      }();
      for (const Packet& answer : answers) {
        ASSERT_EQ(answer.reasons.size(), 1u);
        EXPECT_GE(answer.reasons[0], 0x80) << "granted: " << filter;
      }
    }
    for (const std::string& filter : {std::string(), null, std::string("\xC3\x28")}) {
      Client client({.version = version});
      client.send(unsubscribe_packet(version, 1, {filter}));
      client.expect_end({0x81, 0x82, 0x8F});
    }
  }
}

// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-3.3.2-3], [MQTT3-4.7.1-2], [MQTT3-4.7.1-3]
TEST(Subscribe, WildcardsMatchAsTheSpecificationSays) {
  struct Case {
    const char* filter;
    std::vector<const char*> topics;
  };
  const std::vector<const char*> topics = {"",   "/a", "/a/b", "/a/b/c", "/",  "//",
                                           "/b", "/A", "/a/",  "/a//c",  "/aa"};
  for (const Case& c :
       {Case{"/#", {"", "/a", "/a/b", "/a/b/c", "/", "//", "/b", "/A", "/a/", "/a//c", "/aa"}},
        Case{"/+", {"/a", "/", "/b", "/A", "/aa"}}, Case{"/a/#", {"/a", "/a/b", "/a/b/c", "/a/", "/a//c"}},
        Case{"/a/+", {"/a/b", "/a/"}}, Case{"/+/b/#", {"/a/b", "/a/b/c"}},
        Case{"/+/+/c", {"/a/b/c", "/a//c"}}, Case{"/+/+", {"/a/b", "//", "/a/"}}, Case{"/a", {"/a"}},
        Case{"", {""}}, Case{"//", {"//"}}}) {
    const std::string base = unique("match");
    Client subscriber, publisher;
    subscriber.subscribe(base + c.filter, 1);
    for (const char* topic : topics) publisher.publish(base + topic, topic, 1);
    for (const char* topic : topics) {
      if (std::find(c.topics.begin(), c.topics.end(), std::string_view(topic)) == c.topics.end()) continue;
      EXPECT_EQ(subscriber.message(topic).topic, base + topic) << c.filter;
    }
    subscriber.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-4.7.2-1], [MQTT3-4.7.2-1]
TEST(Subscribe, LeadingWildcardDoesNotMatchDollar) {
  Client watcher, sys;
  watcher.subscribe({{"#", 0}, {"+/#", 0}, {"+/broker/#", 0}});
  sys.subscribe("$SYS/#", 0);
  EXPECT_EQ(sys.message().topic.substr(0, 5), "$SYS/");
  const std::string topic = unique("plain/");
  Client publisher;
  publisher.publish(topic, "seen", 1);
  while (true) {
    const Packet got = watcher.message();
    ASSERT_NE(got.topic[0], '$') << got.topic;
    if (got.topic == topic) break;
  }
}

// [MQTT-3.8.4-3], [MQTT3-3.8.4-3]
TEST(Subscribe, SameFilterReplacesTheSubscription) {
  for (const Version version : kVersions) {
    const std::string topic = unique("replace/");
    Client subscriber({.version = version}), publisher;
    for (const int qos : {2, 0, 1}) {
      subscriber.subscribe(topic, qos);
      publisher.publish(topic, "x", 2);
      EXPECT_EQ(subscriber.message("x").qos, qos);
      subscriber.expect_nothing_but_marker(publisher);
    }
    subscriber.unsubscribe({topic});
    publisher.publish(topic, "x", 2);
    subscriber.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-3.8.4-4], [MQTT3-3.8.4-3]: no message is lost while a subscription is being replaced.
TEST(Subscribe, NoMessageIsLostWhileReplacing) {
  const std::string topic = unique("replacing/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 1);
  constexpr int kCount = 60;
  for (int i = 0; i < kCount; ++i) {
    publisher.send(publish_packet(
        v5, {.topic = topic, .payload = std::to_string(i), .qos = 1, .id = publisher.next_id()}));
    if (i % 3 == 0)
      subscriber.send(subscribe_packet(v5, subscriber.next_id(), {{topic, uint8_t(1 + i % 2)}}));
  }
  for (int i = 0; i < kCount; ++i) subscriber.message(std::to_string(i));
}

// [MQTT-3.3.4-2], [MQTT3-3.3.5-1]
TEST(Subscribe, OverlappingSubscriptionsDeliverAtTheirHighestQos) {
  for (const Version version : kVersions) {
    const std::string base = unique("overlap");
    Client subscriber({.version = version}), publisher;
    subscriber.subscribe({{base + "/#", 0}, {base + "/a", 2}, {base + "/+", 1}});
    publisher.publish(base + "/a", "x", 2);
    int best = subscriber.message("x").qos;
    // Further copies are allowed.
    const std::string end = unique("end/");
    subscriber.subscribe(end, 1);
    publisher.publish(end, "end", 1);
    for (Packet got = subscriber.message(); got.topic != end; got = subscriber.message())
      best = std::max(best, got.qos);
    EXPECT_EQ(best, 2);
  }
}

// [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]
TEST(Subscribe, IdentifiersOfAllMatchingSubscriptionsAreSent) {
  const std::string base = unique("identified");
  Client subscriber, publisher;
  subscriber.subscribe({{base + "/#", 1}}, with(kSubscriptionId, 1u));
  subscriber.subscribe({{base + "/a", 1}}, with(kSubscriptionId, 268'435'455u));
  subscriber.subscribe({{base + "/+", 0}});
  subscriber.subscribe({{base + "/b", 1}}, with(kSubscriptionId, 128u));
  publisher.publish(base + "/a", "x", 1);
  const std::string end = unique("end/");
  subscriber.subscribe(end, 1);
  publisher.publish(end, "end", 1);
  std::vector<uint32_t> all;
  for (Packet got = subscriber.message(); got.topic != end; got = subscriber.message()) {
    for (const uint32_t id : got.properties.numbers(kSubscriptionId)) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (std::vector<uint32_t>{1, 268'435'455}));
}

// Section 3.8.2.1.2 and 3.8.4: a new SUBSCRIBE replaces the identifier, and without one it is gone.
TEST(Subscribe, IdentifierIsReplacedWithTheSubscription) {
  const std::string topic = unique("identifier/");
  Client subscriber, publisher;
  for (const uint32_t id : {5u, 6u, 0u}) {
    subscriber.subscribe({{topic, 1}}, id == 0 ? Properties() : with(kSubscriptionId, id));
    publisher.publish(topic, "x", 1);
    EXPECT_EQ(subscriber.message("x").properties.number(kSubscriptionId),
              id == 0 ? std::nullopt : std::optional(id));
  }
}

// Section 3.8.2.1.2: the identifier is not 0 and stands once.
TEST(Subscribe, IllegalPropertiesEndTheConnection) {
  for (const Properties& properties :
       {with(kSubscriptionId, 0u), with(kSubscriptionId, 1u).number(kSubscriptionId, 2),
        with(kTopicAlias, 1u), with(kReasonString, "x")}) {
    Client client;
    client.send(subscribe_packet(v5, 1, {{"a", 0}}, properties));
    client.expect_end({0x81, 0x82});
  }
  Client client;
  client.send(unsubscribe_packet(v5, 1, {"a"}, with(kSubscriptionId, 1u)));
  client.expect_end({0x81, 0x82});
}

// [MQTT-3.8.3-3]
TEST(Subscribe, NoLocalKeepsOwnMessagesAway) {
  const std::string topic = unique("local/");
  Client client, other;
  client.subscribe({{topic, 2 | kNoLocal}});
  for (const int qos : {0, 1, 2}) {
    client.publish(topic, "own", qos);
    other.publish(topic, "foreign", qos);
    client.message("foreign");
  }
  client.expect_nothing_but_marker(other);
  // Without it, one hears oneself.
  client.subscribe({{topic, 2}});
  client.publish(topic, "own", 1);
  client.message("own");
}

// [MQTT-3.8.3-3]: by client id, so it holds for messages published before the client came back.
TEST(Subscribe, NoLocalGoesByClientIdAcrossConnections) {
  const std::string topic = unique("local/"), id = unique("local");
  Client first(persistent(v5, id)), other;
  first.subscribe({{topic, 1 | kNoLocal}});
  first.publish(topic, "own", 1);
  first.disconnect();
  Client second(persistent(v5, id));
  second.publish(topic, "own", 1);
  second.expect_nothing_but_marker(other);
}

// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1], [MQTT-2.2.1-6], [MQTT3-3.10.4-4],
// [MQTT3-3.10.4-5], [MQTT3-3.10.4-6]
TEST(Unsubscribe, IsAnsweredForEveryFilterInOrderWhetherItExistedOrNot) {
  for (const Version version : kVersions) {
    const std::string base = unique("gone");
    Client client({.version = version}), publisher;
    client.subscribe({{base + "/a", 1}, {base + "/b", 1}});
    client.send(unsubscribe_packet(version, 99, {base + "/a", base + "/never", base + "/b"}));
    const Packet answer = client.expect(kUnsuback);
    EXPECT_EQ(answer.id, 99);
    if (version == v5) {
      EXPECT_EQ(answer.reasons, (std::vector<uint8_t>{0, 0x11, 0}));
    }
    publisher.publish(base + "/a", "x", 1);
    publisher.publish(base + "/b", "x", 1);
    client.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT3-3.10.4-1], [MQTT3-3.10.4-2]
TEST(Unsubscribe, FiltersAreComparedCharacterByCharacter) {
  for (const Version version : kVersions) {
    const std::string base = unique("exact");
    Client client({.version = version}), publisher;
    client.subscribe({{base + "/+/x", 1}, {base + "/a/#", 1}});
    client.unsubscribe({base + "/a/x", base + "/#", base + "/+/+", base + "/A/#"});
    publisher.publish(base + "/b/x", "one", 1);
    client.message("one");
    client.unsubscribe({base + "/+/x"});
    publisher.publish(base + "/b/x", "two", 1);
    publisher.publish(base + "/a/y", "three", 1);
    client.message("three");
    client.unsubscribe({base + "/a/#"});
    publisher.publish(base + "/a/y", "four", 1);
    client.expect_nothing_but_marker(publisher);
  }
}

// [MQTT-3.10.4-3], [MQTT3-3.10.4-3]
TEST(Unsubscribe, DeliveryThatHasStartedIsCompleted) {
  for (const Version version : kVersions) {
    const std::string topic = unique("started/"), id = unique("started");
    Client first(persistent(version, id)), publisher;
    first.subscribe(topic, 2);
    publisher.publish(topic, "one", 1);
    publisher.publish(topic, "two", 2);
    first.expect(kPublish);
    const uint16_t two = first.expect(kPublish).id;
    first.unsubscribe({topic});
    first.send(reply_packet(version, kPubrec, two));
    EXPECT_EQ(first.expect(kPubrel).id, two);
    first.drop();
    Client second(persistent(version, id));
    EXPECT_EQ(second.await(kPublish).payload, "one");
    EXPECT_EQ(second.await(kPubrel).id, two);
  }
}

// [MQTT-3.9.3-2], [MQTT3-3.9.3-2]: codes come from the table; checked by the harness for every SUBACK.
// More than one SUBSCRIBE may be under way.
TEST(Subscribe, ManySubscribesInOneWriteAreAllAnswered) {
  Client client;
  std::string batch;
  for (uint16_t id = 1; id <= 50; ++id) batch += subscribe_packet(v5, id, {{unique("batch/"), 1}});
  client.send(batch);
  for (uint16_t id = 1; id <= 50; ++id) EXPECT_EQ(client.expect(kSuback).id, id);
}

// What is acknowledged is routable: the first PUBLISH after SUBACK, from anybody, arrives.
TEST(Subscribe, SubackMeansRoutable) {
  Client publisher;
  for (int i = 0; i < 50; ++i) {
    const std::string topic = unique("routable/");
    Client subscriber({.version = kVersions[i % 3]});
    subscriber.subscribe(topic, i % 3);
    publisher.publish(topic, "x", 0);
    subscriber.message("x");
  }
}

}  // namespace courier::scenario
