// The client against a server that others wrote: mosquitto, started here on a port of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "client/blocking_client.h"
#include "client/errc.h"
#include "client/mosquitto_server.h"

namespace courier::client {
namespace {

using testing::ElementsAre;

class WithMosquitto : public testing::TestWithParam<Version> {
 protected:
  void SetUp() override {
    if (!Mosquitto::instance().running()) {
      GTEST_SKIP() << "*** NOT TESTED: mosquitto is not installed (apt-get install mosquitto) ***";
    }
  }

  ConnectOptions options() const { return {.version = GetParam(), .keep_alive_seconds = 30}; }

  std::unique_ptr<BlockingClient> client(std::string id, const ConnectOptions& options) {
    auto client = BlockingClient::create({.server = Mosquitto::instance().endpoint(),
                                          .connect = std::make_shared<const ConnectOptions>(options),
                                          .client_id = std::move(id)});
    CHECK(client.has_value());
    return std::move(*client);
  }
  std::unique_ptr<BlockingClient> connected(std::string id, const ConnectOptions& options) {
    auto one = client(std::move(id), options);
    const auto present = one->connect();
    EXPECT_TRUE(present) << present.error().message;
    return one;
  }
  std::unique_ptr<BlockingClient> connected(std::string id) { return connected(std::move(id), options()); }
  std::string topic(std::string_view leaf) const {
    return fmt::format("{}/{}/{}", testing::UnitTest::GetInstance()->current_test_info()->name(),
                       static_cast<int>(GetParam()), leaf);
  }
};

TEST_P(WithMosquitto, EveryQosArrivesOnceAndInOrder) {
  auto subscriber = connected("s");
  const auto granted = subscriber->subscribe({{topic("#"), {.qos = Qos::exactly_once}}});
  ASSERT_TRUE(granted);
  EXPECT_THAT(*granted, ElementsAre(ReasonCode::granted_qos_2));
  auto publisher = connected("p");
  for (Qos qos : {Qos::at_most_once, Qos::at_least_once, Qos::exactly_once}) {
    for (int i = 0; i < 30; ++i) {
      const auto reason = publisher->publish(
          {.topic = topic(std::to_string(int(qos))), .payload = std::to_string(i), .qos = qos});
      ASSERT_TRUE(reason) << reason.error().message;
      EXPECT_EQ(*reason, ReasonCode::success);
    }
    for (int i = 0; i < 30; ++i) {
      const auto message = subscriber->receive();
      ASSERT_TRUE(message) << message.error().message;
      EXPECT_EQ(message->topic, topic(std::to_string(int(qos))));
      EXPECT_EQ(message->payload, std::to_string(i));
      EXPECT_EQ(message->qos, qos);
    }
  }
  EXPECT_EQ(subscriber->receive(50).error().code, errc::timed_out);
}

TEST_P(WithMosquitto, ManyInFlightKeepToItsReceiveMaximum) {
  ConnectOptions modest = options();
  if (GetParam() != Version::v5)
    modest.inflight_maximum = 10;  // 3.x servers cannot say it; see the configuration
  auto publisher = connected("p", modest);
  auto subscriber = connected("s");
  ASSERT_TRUE(subscriber->subscribe({{topic("#"), {.qos = Qos::exactly_once}}}));
  constexpr int kCount = 90;  // mosquitto queues at most 100 for a receiver
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(publisher->client().publish({.topic = topic("t"),
                                             .payload = std::to_string(i),
                                             .qos = i % 2 ? Qos::at_least_once : Qos::exactly_once}));
  }
  EXPECT_EQ(*publisher->publish({.topic = topic("last"), .qos = Qos::exactly_once}), ReasonCode::success);
  for (int i = 0; i < kCount; ++i) {
    const auto message = subscriber->receive();
    ASSERT_TRUE(message) << i << ": " << message.error().message;
  }
}

TEST_P(WithMosquitto, RetainedMessageComesToALaterSubscriber) {
  auto publisher = connected("p");
  ASSERT_TRUE(publisher->publish(
      {.topic = topic("t"), .payload = "kept", .qos = Qos::at_least_once, .retain = true}));
  auto subscriber = connected("s");
  ASSERT_TRUE(subscriber->subscribe({{topic("+"), {.qos = Qos::at_least_once}}}));
  const auto message = subscriber->receive();
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_TRUE(message->retain);
  EXPECT_EQ(message->payload, "kept");
  ASSERT_TRUE(publisher->publish({.topic = topic("t"), .qos = Qos::at_least_once, .retain = true}));
}

TEST_P(WithMosquitto, PersistentSessionKeepsMessagesWhileAway) {
  ConnectOptions keeping = options();
  keeping.clean_start = false;
  if (GetParam() == Version::v5) keeping.session_expiry_seconds = 3'600;
  const std::string id = fmt::format("keeper-{}", int(GetParam()));
  auto subscriber = connected(id, keeping);
  ASSERT_TRUE(subscriber->subscribe({{topic("t"), {.qos = Qos::exactly_once}}}));
  subscriber->close();
  auto publisher = connected("p");
  for (const char* payload : {"1", "2"}) {
    ASSERT_TRUE(publisher->publish({.topic = topic("t"), .payload = payload, .qos = Qos::exactly_once}));
  }
  EXPECT_EQ(subscriber->connect(), true);
  EXPECT_EQ(subscriber->receive()->payload, "1");
  EXPECT_EQ(subscriber->receive()->payload, "2");

  // Another process with the same id and a clean start ends the session.
  subscriber->close();
  ConnectOptions clean = options();
  auto cleaner = connected(id, clean);
  cleaner->close();
  // 3.1 has no word for it in CONNACK.
  EXPECT_EQ(subscriber->connect(), GetParam() == Version::v3_1);
}

TEST_P(WithMosquitto, UnacknowledgedComesAgainOnTheNextConnection) {
  ConnectOptions keeping = options();
  keeping.clean_start = false;
  keeping.acknowledge_manually = true;
  if (GetParam() == Version::v5) keeping.session_expiry_seconds = 3'600;
  auto subscriber = connected(fmt::format("manual-{}", int(GetParam())), keeping);
  ASSERT_TRUE(subscriber->subscribe({{topic("t"), {.qos = Qos::at_least_once}}}));
  auto publisher = connected("p");
  ASSERT_TRUE(publisher->publish({.topic = topic("t"), .payload = "x", .qos = Qos::at_least_once}));
  EXPECT_FALSE(subscriber->receive()->dup);
  subscriber->cut();
  ASSERT_TRUE(subscriber->connect());
  const auto again = subscriber->receive();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->dup);
  EXPECT_EQ(again->payload, "x");
  subscriber->client().acknowledge(again->packet_id);
  subscriber->close();
  ASSERT_TRUE(subscriber->connect());
  EXPECT_EQ(subscriber->receive(100).error().code, errc::timed_out);
}

TEST_P(WithMosquitto, WillIsPublishedWhenTheNetworkGoes) {
  auto subscriber = connected("s");
  ASSERT_TRUE(subscriber->subscribe({{topic("will"), {.qos = Qos::at_least_once}}}));
  ConnectOptions mortal = options();
  mortal.will = WillMessage{.topic = topic("will"), .payload = "gone", .qos = Qos::at_least_once};
  auto phone = connected("m", mortal);
  phone->cut();
  EXPECT_EQ(subscriber->receive()->payload, "gone");
  // In good order: no will.
  ASSERT_TRUE(phone->connect());
  phone->close();
  EXPECT_EQ(subscriber->receive(100).error().code, errc::timed_out);
}

TEST_P(WithMosquitto, UnsubscribeEndsDelivery) {
  auto subscriber = connected("s");
  ASSERT_TRUE(subscriber->subscribe(
      {{topic("a"), {.qos = Qos::at_least_once}}, {topic("b"), {.qos = Qos::at_least_once}}}));
  ASSERT_TRUE(subscriber->unsubscribe({topic("a")}));
  ASSERT_TRUE(subscriber->publish({.topic = topic("a"), .payload = "a", .qos = Qos::at_least_once}));
  ASSERT_TRUE(subscriber->publish({.topic = topic("b"), .payload = "b", .qos = Qos::at_least_once}));
  EXPECT_EQ(subscriber->receive()->payload, "b");
}

TEST_P(WithMosquitto, PropertiesTravelInV5) {
  if (GetParam() != Version::v5) GTEST_SKIP() << "5.0 only";
  auto subscriber = connected("s");
  ASSERT_TRUE(subscriber->subscribe({{topic("t"), {.qos = Qos::at_least_once}}}, 42));
  auto publisher = connected("p");
  const MessageProperties properties{.message_expiry_seconds = 100,
                                     .payload_is_utf8 = true,
                                     .content_type = "application/json",
                                     .response_topic = "answers",
                                     .correlation_data = std::string("\0\x01", 2),
                                     .user_properties = {{"b", "1"}, {"a", "2"}, {"b", "3"}}};
  ASSERT_TRUE(publisher->publish(
      {.topic = topic("t"), .payload = "{}", .qos = Qos::at_least_once, .properties = properties}));
  const auto message = subscriber->receive();
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->properties.content_type, properties.content_type);
  EXPECT_EQ(message->properties.response_topic, properties.response_topic);
  EXPECT_EQ(message->properties.correlation_data, properties.correlation_data);
  EXPECT_EQ(message->properties.user_properties, properties.user_properties);
  EXPECT_TRUE(message->properties.payload_is_utf8);
  EXPECT_LE(message->properties.message_expiry_seconds, 100u);
  EXPECT_THAT(message->subscription_identifiers, ElementsAre(42u));
  // Nobody listens there, and 5.0 says so.
  EXPECT_EQ(*publisher->publish({.topic = topic("empty"), .qos = Qos::at_least_once}),
            ReasonCode::no_matching_subscribers);
}

TEST_P(WithMosquitto, TopicAliasesBothWays) {
  if (GetParam() != Version::v5) GTEST_SKIP() << "5.0 only";
  ConnectOptions aliasing = options();
  aliasing.assign_topic_aliases = true;
  aliasing.topic_alias_maximum = 10;
  auto client = connected("a", aliasing);
  ASSERT_GT(client->server_limits().topic_alias_maximum, 0);
  ASSERT_TRUE(client->subscribe({{topic("#"), {.qos = Qos::at_least_once}}}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        client->publish({.topic = topic("t"), .payload = std::to_string(i), .qos = Qos::at_least_once}));
    const auto message = client->receive();
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_EQ(message->topic, topic("t"));
  }
}

TEST_P(WithMosquitto, TakeOverEndsTheOlderConnection) {
  auto older = connected("twin");
  auto newer = connected("twin");
  const auto ending = older->wait_for_end();
  ASSERT_TRUE(ending) << ending.error().message;
  // mosquitto just hangs up, also in 5.0.
  EXPECT_EQ(ending->code, errc::connection_lost);
}

INSTANTIATE_TEST_SUITE_P(Versions, WithMosquitto,
                         testing::Values(Version::v3_1, Version::v3_1_1, Version::v5), [](const auto& info) {
                           return info.param == Version::v5     ? "v5"
                                  : info.param == Version::v3_1 ? "v3_1"
                                                                : "v3_1_1";
                         });

}  // namespace
}  // namespace courier::client
