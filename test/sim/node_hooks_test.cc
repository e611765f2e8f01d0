// What hooks decide about, on a node whose hooks answer when the test says so, the youngest question first.
#include <gtest/gtest.h>

#include "broker/undecided.h"
#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::Version;

class NodeWithHooks : public ::testing::Test {
 protected:
  NodeWithHooks() {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
  }

  std::shared_ptr<Wire> connect(std::string_view id, bool clean = true, std::optional<mqtt::Will> will = {}) {
    auto wire = world.open(Version::v5);
    mqtt::Connect connect;
    connect.version = Version::v5;
    connect.client_id = id;
    connect.clean_start = clean;
    connect.will = will;
    if (!clean) connect.session_expiry_seconds = 1000;
    wire->send(connect);
    world.settle();
    EXPECT_TRUE(take<mqtt::Connack>(wire).has_value());
    return wire;
  }
  static mqtt::Publish publish(std::string_view topic, std::string_view payload, Qos qos, uint16_t id = 0) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = qos;
    packet.packet_id = PacketId(id);
    return packet;
  }
  void subscribe(const std::shared_ptr<Wire>& wire, std::string_view filter, Qos qos) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(7);
    packet.entries.push_back({filter, {qos}});
    wire->send(packet);
    world.settle();
    EXPECT_TRUE(take<mqtt::Suback>(wire).has_value());
  }
  template <typename T>
  static std::optional<T> take(const std::shared_ptr<Wire>& wire) {
    while (auto packet = wire->receive()) {
      if (auto* wanted = std::get_if<T>(&*packet)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  // All that can happen while no hook answers.
  void go() {
    for (int i = 0; i < 4; ++i) {
      world.turn(0);
      world.quiesce();
    }
    world.turn(0);
  }
  double owed() { return world.metrics().total("courier_queue_messages"); }

  World world{{.shards = 1, .hooks = true}};
};

TEST_F(NodeWithHooks, PublishesStayInOrderThoughAnswersComeBackwards) {
  const auto watcher = connect("watcher"), publisher = connect("publisher");
  subscribe(watcher, "a/#", Qos::at_most_once);
  for (uint16_t id = 1; id <= 40; ++id) {
    publisher->send(publish(id % 2 == 0 ? "a/b" : "a/c", std::to_string(id), Qos::at_least_once, id));
  }
  go();
  EXPECT_EQ(world.hooks().waiting(), 40u) << "all are asked about at once";
  EXPECT_FALSE(take<mqtt::Puback>(publisher).has_value());
  world.settle();
  for (uint16_t id = 1; id <= 40; ++id) {
    const auto puback = take<mqtt::Puback>(publisher);
    ASSERT_TRUE(puback.has_value());
    EXPECT_EQ(puback->packet_id, PacketId(id));
    const auto got = take<mqtt::Publish>(watcher);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->payload, std::to_string(id));
  }
}

TEST_F(NodeWithHooks, TheLineIsBoundedAndThenNothingIsRead) {
  const auto publisher = connect("publisher");
  for (int i = 0; i < 200; ++i) publisher->send(publish("a", std::to_string(i), Qos::at_most_once));
  go();
  EXPECT_EQ(world.hooks().waiting(), broker::Undecided::kRequestsMax);
  const auto large = connect("large");
  const std::string payload(400 * 1024, 'x');
  const size_t before = world.hooks().waiting();
  for (int i = 0; i < 10; ++i) large->send(publish("a", payload + std::to_string(i), Qos::at_most_once));
  go();
  EXPECT_EQ(world.hooks().waiting() - before, 3u) << "1 MiB";
  world.settle();
  EXPECT_EQ(publisher->to_node_bytes() + large->to_node_bytes(), 0u) << "it went on";
}

TEST_F(NodeWithHooks, WhoeverGoesTakesItsQuestionsAlong) {
  const auto client = connect("client", false);
  subscribe(client, "a", Qos::at_least_once);
  const auto other = connect("other");
  client->send(publish("x", "x", Qos::at_least_once, 1));
  other->send(publish("a", "first", Qos::at_least_once, 1));
  go();
  ASSERT_EQ(world.hooks().waiting(), 2u);
  world.hooks().answer(nullptr);
  go();
  ASSERT_EQ(world.hooks().waiting(), 2u) << "about what client publishes, and about what it is to get";
  client->reset();
  go();
  EXPECT_EQ(world.hooks().waiting(), 0u);
  EXPECT_EQ(owed(), 1);
  EXPECT_FALSE(take<mqtt::Publish>(client).has_value());
}

TEST_F(NodeWithHooks, AMessageThatIsNotDecidedIsNotSentAndNotLost) {
  auto client = connect("client", false);
  subscribe(client, "a", Qos::exactly_once);
  const auto publisher = connect("publisher");
  publisher->send(publish("a", "1", Qos::at_least_once, 1));
  publisher->send(publish("a", "2", Qos::exactly_once, 2));
  go();
  world.hooks().answer(nullptr);
  world.hooks().answer(nullptr);
  go();
  EXPECT_EQ(world.hooks().waiting(), 2u) << "it is asked ahead, as far as the window reaches";
  EXPECT_TRUE(take<mqtt::Puback>(publisher).has_value());
  EXPECT_FALSE(take<mqtt::Publish>(client).has_value());
  world.checkpoint();  // settles: both are answered
  const auto first = take<mqtt::Publish>(client);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->payload, "1");
  const auto second = take<mqtt::Publish>(client);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->payload, "2");
  EXPECT_EQ(owed(), 2) << "until they are acknowledged";
}

TEST_F(NodeWithHooks, ADisconnectWaitsForWhatCameBeforeIt) {
  const auto watcher = connect("watcher");
  subscribe(watcher, "#", Qos::at_most_once);
  mqtt::Will will;
  will.topic = "will";
  will.payload = "will";
  const auto client = connect("client", true, will);
  client->send(publish("a", "said", Qos::at_most_once));
  client->send(mqtt::Disconnect{});
  go();
  EXPECT_FALSE(client->closed());
  world.settle();
  EXPECT_TRUE(client->closed());
  const auto got = take<mqtt::Publish>(watcher);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->payload, "said");
  EXPECT_FALSE(take<mqtt::Publish>(watcher).has_value()) << "the will is taken back";
}

TEST_F(NodeWithHooks, AConnectWaitsForTheAnswerAboutItsWill) {
  mqtt::Connect packet;
  packet.version = Version::v5;
  packet.client_id = "client";
  packet.will.emplace();
  packet.will->topic = "will";
  const auto wire = world.open(Version::v5);
  wire->send(packet);
  go();
  EXPECT_EQ(world.hooks().waiting(), 1u);
  EXPECT_FALSE(take<mqtt::Connack>(wire).has_value());
  wire->reset();
  go();
  EXPECT_EQ(world.hooks().waiting(), 0u);
}

}  // namespace
}  // namespace courier::sim
