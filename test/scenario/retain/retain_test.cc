// Retained messages: what is kept, who gets it, when, and with which RETAIN flag. Section 3.3.1.3.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

// What a new subscription to this filter is given as retained: topic -> payload.
std::map<std::string, std::string> retained(const std::string& filter, Version version = v5) {
  Client subscriber({.version = version}), publisher;
  subscriber.subscribe(filter, 2);
  const std::string marker = unique("retained-marker/");
  subscriber.subscribe(marker, 1);
  publisher.publish(marker, "end", 1);
  std::map<std::string, std::string> found;
  while (true) {
    const Packet packet = subscriber.message();
    if (packet.topic == marker) return found;
    EXPECT_TRUE(packet.retain) << packet.topic;
    EXPECT_TRUE(found.emplace(packet.topic, packet.payload).second) << "twice: " << packet.topic;
  }
}

using Found = std::map<std::string, std::string>;

}  // namespace

// [MQTT3-3.3.1-7], [MQTT-3.3.1-5], [MQTT-3.3.1-9], [MQTT3-3.3.1-5], [MQTT3-3.3.1-6], [MQTT3-3.3.1-8]
TEST(Retain, LastMessageIsKeptWithItsQosForNewSubscriptions) {
  for (const Version version : kVersions) {
    for (const int qos : {0, 1, 2}) {
      const std::string topic = unique("kept/");
      Client publisher({.version = version});
      publisher.publish(topic, "first", 2, true);
      publisher.publish(topic, "second", qos, true);
      publisher.publish(unique("after/"), "", 1);  // once this is answered, what was sent before is kept
      Client subscriber({.version = version});
      subscriber.subscribe(topic, 2);
      const Packet got = subscriber.message("second");
      EXPECT_TRUE(got.retain);
      EXPECT_FALSE(got.dup);
      EXPECT_EQ(got.qos, qos);
      publisher.publish(topic, "", 1, true);
    }
  }
}

// [MQTT3-3.1.2-7]: they belong to nobody's session and stay when their publisher's ends.
TEST(Retain, MessagesOutliveTheSessionOfTheirPublisher) {
  for (const Version version : kVersions) {
    const std::string topic = unique("outlives/"), id = unique("outlives");
    Client publisher({.version = version, .client_id = id});
    publisher.publish(topic, "kept", 1, true);
    publisher.disconnect();
    Client anew({.version = version, .client_id = id});
    EXPECT_EQ(retained(topic, version), (Found{{topic, "kept"}}));
    anew.publish(topic, "", 1, true);
  }
}

// [MQTT-3.8.4-8]: the granted QoS bounds a retained message too.
TEST(Retain, SubscriptionQosBoundsARetainedMessage) {
  const std::string topic = unique("bounded/");
  Client publisher;
  publisher.publish(topic, "x", 2, true);
  for (const int qos : {0, 1, 2}) {
    Client subscriber;
    subscriber.subscribe(topic, qos);
    EXPECT_EQ(subscriber.message("x").qos, qos);
  }
  publisher.publish(topic, "", 1, true);
}

// [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT3-3.3.1-10], [MQTT3-3.3.1-11]
TEST(Retain, EmptyPayloadRemovesAndIsNotKeptButIsDelivered) {
  for (const Version version : kVersions) {
    const std::string topic = unique("removed/");
    Client publisher({.version = version}), subscriber({.version = version});
    publisher.publish(topic, "kept", 1, true);
    EXPECT_EQ(retained(topic, version), (Found{{topic, "kept"}}));
    subscriber.subscribe(topic, 1);
    subscriber.message("kept");
    publisher.publish(topic, "", 1, true);
    EXPECT_FALSE(subscriber.message("").retain);
    EXPECT_EQ(retained(topic, version), Found{});
    publisher.publish(topic, "", 1, true);  // of a topic that has none
    subscriber.message("");
    EXPECT_EQ(retained(topic, version), Found{});
  }
}

// [MQTT-3.3.1-8], [MQTT3-3.3.1-12]
TEST(Retain, MessageWithoutRetainNeitherKeepsNorReplacesNorRemoves) {
  for (const Version version : kVersions) {
    const std::string kept = unique("kept/"), never = unique("never/");
    Client publisher({.version = version});
    publisher.publish(kept, "kept", 1, true);
    for (const int qos : {0, 1, 2}) {
      publisher.publish(kept, "passing", qos);
      publisher.publish(kept, "", qos);
      publisher.publish(never, "passing", qos);
    }
    publisher.ping();
    EXPECT_EQ(retained(kept, version), (Found{{kept, "kept"}}));
    EXPECT_EQ(retained(never, version), Found{});
    publisher.publish(kept, "", 1, true);
  }
}

// [MQTT-3.3.1-9], [MQTT3-3.3.1-6]
TEST(Retain, WildcardSubscriptionGetsEveryMatchingMessage) {
  const std::string base = unique("tree");
  Client publisher;
  Found all;
  for (const char* leaf : {"/a", "/b", "/a/x", "/b/x", "/c/x/y"}) {
    publisher.publish(base + leaf, leaf, 1, true);
    all[base + leaf] = leaf;
  }
  publisher.publish(base, "root", 1, true);
  all[base] = "root";
  publisher.publish(unique("other/"), "elsewhere", 1, true);
  EXPECT_EQ(retained(base + "/#"), all);
  EXPECT_EQ(retained(base + "/+"), (Found{{base + "/a", "/a"}, {base + "/b", "/b"}}));
  EXPECT_EQ(retained(base + "/+/x"), (Found{{base + "/a/x", "/a/x"}, {base + "/b/x", "/b/x"}}));
  EXPECT_EQ(retained(base), (Found{{base, "root"}}));
  for (const auto& [topic, payload] : all) publisher.publish(topic, "", 1, true);
}

// [MQTT-4.7.2-1]: the rule about $ holds for retained messages, too.
TEST(Retain, LeadingWildcardDoesNotFindDollarTopics) {
  for (const auto& [topic, payload] : retained("#")) EXPECT_NE(topic[0], '$') << topic;
  for (const auto& [topic, payload] : retained("+/#")) EXPECT_NE(topic[0], '$') << topic;
}

// [MQTT-3.3.1-9], [MQTT-3.8.4-4], [MQTT3-3.8.4-3]: Retain Handling 0 sends at every SUBSCRIBE.
// [MQTT-3.3.1-10]: 1 only if the subscription is new. [MQTT-3.3.1-11]: 2 never.
TEST(Retain, RetainHandlingDecidesWhenRetainedMessagesAreSent) {
  struct Case {
    uint8_t handling;
    bool first, again;
  };
  for (const Case& c :
       {Case{0, true, true}, Case{kRetainIfNew, true, false}, Case{kRetainNever, false, false}}) {
    const std::string topic = unique("handling/");
    Client publisher, subscriber;
    publisher.publish(topic, "kept", 1, true);
    for (const bool expected : {c.first, c.again}) {
      subscriber.subscribe({{topic, static_cast<uint8_t>(1 | c.handling)}});
      if (expected) subscriber.message("kept");
      subscriber.expect_nothing_but_marker(publisher);
    }
    // After UNSUBSCRIBE it is new again.
    subscriber.unsubscribe({topic});
    subscriber.subscribe({{topic, static_cast<uint8_t>(1 | c.handling)}});
    if (c.first) subscriber.message("kept");
    subscriber.expect_nothing_but_marker(publisher);
    publisher.publish(topic, "", 1, true);
  }
}

// [MQTT-3.3.1-10]: "did not already exist" counts the session, not the connection.
TEST(Retain, ResumedSubscriptionIsNotNew) {
  const std::string topic = unique("resumed/"), id = unique("resumed");
  Client publisher;
  publisher.publish(topic, "kept", 1, true);
  Client first(persistent(v5, id));
  first.subscribe({{topic, uint8_t{1} | kRetainIfNew}});
  first.message("kept");
  first.disconnect();
  Client second(persistent(v5, id));
  second.expect_nothing_but_marker(publisher);
  second.subscribe({{topic, uint8_t{1} | kRetainIfNew}});
  second.expect_nothing_but_marker(publisher);
  publisher.publish(topic, "", 1, true);
}

// [MQTT-3.3.1-12], [MQTT-3.3.1-13], [MQTT3-3.3.1-9]
TEST(Retain, RetainAsPublishedDecidesTheFlagOfPassingMessages) {
  const std::string topic = unique("flag/");
  Client plain, as_published, old({.version = v3_1_1}), publisher;
  plain.subscribe({{topic, 1}});
  as_published.subscribe({{topic, 1 | kRetainAsPublished}});
  old.subscribe(topic, 1);
  for (const bool retain : {true, false}) {
    for (const int qos : {0, 1, 2}) {
      publisher.publish(topic, "x", qos, retain);
      EXPECT_FALSE(plain.message("x").retain);
      EXPECT_FALSE(old.message("x").retain);
      EXPECT_EQ(as_published.message("x").retain, retain);
    }
  }
  publisher.publish(topic, "", 1, true);
}

// [MQTT-3.3.2-5], [MQTT-3.3.2-6]: a retained message expires, too, and says how long it has left.
TEST(Retain, RetainedMessageExpires) {
  const std::string topic = unique("expiring/"), lasting = unique("lasting/");
  Client publisher;
  publisher.publish(
      {.topic = topic, .payload = "x", .qos = 1, .retain = true, .properties = with(kMessageExpiry, 1u)});
  publisher.publish(
      {.topic = lasting, .payload = "y", .qos = 1, .retain = true, .properties = with(kMessageExpiry, 100u)});
  EXPECT_EQ(retained(topic), (Found{{topic, "x"}}));
  std::this_thread::sleep_for(2100ms);
  EXPECT_EQ(retained(topic), Found{});
  Client late;
  late.subscribe(lasting, 1);
  const auto left = late.message("y").properties.number(kMessageExpiry);
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 98u);
  EXPECT_GE(*left, 60u);
  publisher.publish(lasting, "", 1, true);
}

TEST(Retain, PropertiesAreKeptWithTheMessage) {
  const std::string topic = unique("properties/");
  Client publisher;
  publisher.publish(
      {.topic = topic,
       .payload = "x",
       .qos = 1,
       .retain = true,
       .properties =
           with(kContentType, "text/plain").user("a", "1").user("a", "2").text(kResponseTopic, "r")});
  Client subscriber;
  subscriber.subscribe({{topic, 1}}, with(kSubscriptionId, 77u));
  const Packet got = subscriber.message("x");
  EXPECT_EQ(got.properties.text(kContentType), "text/plain");
  EXPECT_EQ(got.properties.text(kResponseTopic), "r");
  EXPECT_EQ(got.properties.user(),
            (std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"a", "2"}}));
  EXPECT_EQ(got.properties.numbers(kSubscriptionId), std::vector<uint32_t>{77});  // [MQTT-3.3.4-3]
  publisher.publish(topic, "", 1, true);
}

// A shared subscription gets no retained messages at SUBSCRIBE: section 4.8.2.
TEST(Retain, SharedSubscriptionGetsNoRetainedMessages) {
  const std::string topic = unique("not-shared/");
  Client publisher, member;
  publisher.publish(topic, "kept", 1, true);
  member.subscribe("$share/group/" + topic, 1);
  member.expect_nothing_but_marker(publisher);
  publisher.publish(topic, "", 1, true);
}

}  // namespace courier::scenario
