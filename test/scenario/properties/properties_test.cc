// What a 5.0 message carries beside its payload: passed on unaltered, counted down, or shortened to an alias.
// Section 3.3.2.3.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;
using Pairs = std::vector<std::pair<std::string, std::string>>;

Properties everything() {
  return with(kPayloadFormat, 1u)
      .text(kContentType, "application/json")
      .text(kResponseTopic, "replies/to/me")
      .text(kCorrelationData, std::string("\0\xFF\x01 any bytes", 14))
      .user("key", "2")
      .user("key", "1")
      .user("", "empty name")
      .user("key", "2");
}

void expect_everything(const Packet& got) {
  EXPECT_EQ(got.properties.number(kPayloadFormat), 1u);
  EXPECT_EQ(got.properties.text(kContentType), "application/json");
  EXPECT_EQ(got.properties.text(kResponseTopic), "replies/to/me");
  EXPECT_EQ(got.properties.text(kCorrelationData), std::string("\0\xFF\x01 any bytes", 14));
  EXPECT_EQ(got.properties.user(), (Pairs{{"key", "2"}, {"key", "1"}, {"", "empty name"}, {"key", "2"}}));
}

}  // namespace

// [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20]
TEST(Properties, ArePassedOnUnalteredAndInOrder) {
  const std::string topic = unique("props/"), id = unique("props");
  Client online, publisher, offline(persistent(v5, id));
  online.subscribe(topic, 2);
  offline.subscribe(topic, 2);
  offline.disconnect();
  for (const int qos : {0, 1, 2}) {
    publisher.publish({.topic = topic, .payload = "x", .qos = qos, .properties = everything()});
    expect_everything(online.message("x"));
  }
  Client back(persistent(v5, id));
  for (int queued = 0; queued < 2; ++queued) expect_everything(back.message("x"));
}

TEST(Properties, OfAWillArePassedOnUnaltered) {
  const std::string topic = unique("will-props/");
  Client watcher;
  watcher.subscribe(topic, 1);
  Client dying({.will = Will{.topic = topic, .payload = "x", .qos = 1, .properties = everything()}});
  dying.drop();
  expect_everything(watcher.message("x"));
}

TEST(Properties, ThatWereNotSentAreNotInvented) {
  const std::string topic = unique("bare/");
  Client subscriber, publisher, old({.version = v3_1_1});
  subscriber.subscribe(topic, 1);
  publisher.publish(topic, "x", 1);
  EXPECT_TRUE(subscriber.message("x").properties.entries().empty());
  old.publish(topic, "y", 1);
  EXPECT_TRUE(subscriber.message("y").properties.entries().empty());
}

// [MQTT-3.3.2-13], [MQTT-3.3.2-14], [MQTT-3.3.2-19], [MQTT-1.5.7-1], [MQTT-1.5.4-1], [MQTT-1.5.4-2]
TEST(Properties, IllFormedTextsEndTheConnection) {
  const std::string surrogate = "\xED\xA0\x80", null("a\0b", 3), broken = "\xC3\x28";
  for (const Properties& properties :
       {with(kResponseTopic, "a/#"), with(kResponseTopic, "+/b"), with(kResponseTopic, surrogate),
        with(kResponseTopic, null), with(kContentType, broken), with(kContentType, null),
        Properties().user(broken, "v"), Properties().user("n", surrogate), Properties().user(null, "v"),
        Properties().user("n", null)}) {
    Client client;
    client.send(
        publish_packet(v5, {.topic = "t", .payload = "x", .qos = 1, .id = 1, .properties = properties}));
    client.expect_end({0x81, 0x82, 0x90});
  }
}

// [MQTT-3.3.2-5]
TEST(Properties, ExpiredMessageIsNotDelivered) {
  const std::string topic = unique("expiry/"), id = unique("expiry");
  Client publisher, first(persistent(v5, id));
  first.subscribe(topic, 2);
  first.disconnect();
  for (const int qos : {1, 2}) {
    publisher.publish(
        {.topic = topic, .payload = "late", .qos = qos, .properties = with(kMessageExpiry, 1u)});
  }
  publisher.publish(
      {.topic = topic, .payload = "lasting", .qos = 1, .properties = with(kMessageExpiry, 1000u)});
  publisher.publish(topic, "forever", 1);
  std::this_thread::sleep_for(2100ms);
  Client second(persistent(v5, id));
  // [MQTT-3.3.2-6]: what is left of the interval is passed on.
  const auto left = second.message("lasting").properties.number(kMessageExpiry);
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 998u);
  EXPECT_GE(*left, 960u);
  EXPECT_FALSE(second.message("forever").properties.has(kMessageExpiry));
}

// [MQTT-3.3.2-6]
TEST(Properties, ExpiryOfAMessagePassedOnAtOnceIsKept) {
  const std::string topic = unique("at-once/");
  Client subscriber, publisher;
  subscriber.subscribe(topic, 1);
  for (const int qos : {0, 1}) {
    publisher.publish({.topic = topic, .payload = "x", .qos = qos, .properties = with(kMessageExpiry, 500u)});
    const auto left = subscriber.message("x").properties.number(kMessageExpiry);
    ASSERT_TRUE(left);
    EXPECT_LE(*left, 500u);
    EXPECT_GE(*left, 490u);
  }
}

// [MQTT-3.3.2-12]
TEST(Properties, EveryInboundAliasUpToTheMaximumIsAccepted) {
  Client publisher, subscriber;
  const uint32_t maximum = publisher.connack().properties.number(kTopicAliasMaximum).value_or(0);
  ASSERT_GT(maximum, 0u);
  const std::string base = unique("alias");
  subscriber.subscribe(base + "/#", 1);
  for (uint32_t alias = 1; alias <= maximum; ++alias) {
    const std::string topic = base + "/" + std::to_string(alias);
    publisher.publish({.topic = topic, .payload = "set", .qos = 1, .properties = with(kTopicAlias, alias)});
    EXPECT_EQ(subscriber.message("set").topic, topic);
  }
  for (uint32_t alias = 1; alias <= maximum; ++alias) {
    publisher.publish({.topic = "", .payload = "used", .qos = 1, .properties = with(kTopicAlias, alias)});
    EXPECT_EQ(subscriber.message("used").topic, base + "/" + std::to_string(alias));
  }
  // An alias may be given another topic.
  publisher.publish(
      {.topic = base + "/new", .payload = "moved", .qos = 1, .properties = with(kTopicAlias, 1u)});
  publisher.publish({.topic = "", .payload = "moved", .qos = 1, .properties = with(kTopicAlias, 1u)});
  EXPECT_EQ(subscriber.message("moved").topic, base + "/new");
  EXPECT_EQ(subscriber.message("moved").topic, base + "/new");
}

// [MQTT-3.3.2-8], [MQTT-3.3.2-9], [MQTT-3.2.2-17]
TEST(Properties, InboundAliasOutOfRangeOrUnknownEndsTheConnection) {
  const auto use = [](const std::string& topic, uint32_t alias, std::initializer_list<uint8_t> reasons) {
    Client client;
    client.send(publish_packet(v5, {.topic = topic, .payload = "x", .properties = with(kTopicAlias, alias)}));
    client.expect_end(reasons);
  };
  Client asking;
  const uint32_t maximum = asking.connack().properties.number(kTopicAliasMaximum).value_or(0);
  use("t", 0, {0x94, 0x82});
  use("t", maximum + 1, {0x94});
  use("", 1, {0x82, 0x94});
}

// [MQTT-3.3.2-7]
TEST(Properties, AliasDoesNotOutliveItsConnection) {
  const std::string id = unique("alias-life"), topic = unique("alias-life/");
  Client watcher, first(persistent(v5, id));
  watcher.subscribe(topic, 1);
  first.publish({.topic = topic, .payload = "set", .qos = 1, .properties = with(kTopicAlias, 1u)});
  watcher.message("set");
  first.disconnect();
  Client second(persistent(v5, id));
  second.send(publish_packet(v5, {.topic = "", .payload = "x", .properties = with(kTopicAlias, 1u)}));
  second.expect_end({0x82, 0x94});
}

// [MQTT-3.1.2-29], [MQTT-3.1.2-30], [MQTT-3.3.2-11], [MQTT-3.3.2-8]
TEST(Properties, OutboundAliasesStayWithinTheClientsMaximumAndMeanTheirTopic) {
  const std::string base = unique("outbound");
  Client publisher, none, two({.properties = with(kTopicAliasMaximum, 2u)});
  none.subscribe(base + "/#", 1);
  two.subscribe(base + "/#", 1);
  std::map<uint32_t, std::string> known;
  for (int i = 0; i < 24; ++i) {
    const std::string topic = base + "/" + std::to_string(i % 4);
    publisher.publish(topic, topic, 1);
    const Packet plain = none.message(topic);
    EXPECT_FALSE(plain.properties.has(kTopicAlias));
    EXPECT_EQ(plain.topic, topic);

    const Packet shortened = two.message(topic);
    const uint32_t alias = shortened.properties.number(kTopicAlias).value_or(0);
    EXPECT_LE(alias, 2u);
    if (alias > 0 && !shortened.topic.empty()) known[alias] = shortened.topic;
    EXPECT_EQ(shortened.topic.empty() ? known[alias] : shortened.topic, topic);
  }
}

// Topic aliases both ways: a client that allows them gets some.
TEST(Properties, OutboundAliasesAreUsed) {
  COURIER_ONLY();
  const std::string topic = unique("used/");
  Client publisher, subscriber({.properties = with(kTopicAliasMaximum, 5u)});
  subscriber.subscribe(topic, 1);
  bool without_topic = false;
  for (int i = 0; i < 5; ++i) {
    publisher.publish(topic, "x", 1);
    without_topic |= subscriber.message("x").topic.empty();
  }
  EXPECT_TRUE(without_topic);
}

// Request and response, by properties alone: section 4.10.
TEST(Properties, RequestReachesTheResponderAndTheResponseComesBack) {
  const std::string requests = unique("requests/"), replies = unique("replies/");
  Client requester, responder;
  requester.subscribe(replies, 1);
  responder.subscribe(requests, 1);
  requester.publish({.topic = requests,
                     .payload = "ask",
                     .qos = 1,
                     .properties = with(kResponseTopic, replies).text(kCorrelationData, "42")});
  const Packet request = responder.message("ask");
  ASSERT_TRUE(request.properties.text(kResponseTopic));
  responder.publish({.topic = *request.properties.text(kResponseTopic),
                     .payload = "answer",
                     .qos = 1,
                     .properties = with(kCorrelationData, *request.properties.text(kCorrelationData))});
  EXPECT_EQ(requester.message("answer").properties.text(kCorrelationData), "42");
}

}  // namespace courier::scenario
