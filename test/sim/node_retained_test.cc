// A SUBSCRIBE that many retained messages match: they come in pieces, all of them, once, as fast as the
// client takes them.
#include <gtest/gtest.h>

#include <map>

#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::Version;

constexpr int kMany = 1500;
constexpr uint16_t kWindow = 20;

World::Options options() {
  World::Options options;
  options.limits.inflight_max = kWindow;
  return options;
}

class ManyRetained : public ::testing::Test {
 protected:
  ManyRetained() {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
    publisher = connect("publisher", true);
    for (int i = 0; i < kMany; ++i) retain("many/" + std::to_string(i), "x");
    world.settle();
  }
  std::shared_ptr<Wire> connect(std::string_view id, bool clean) {
    auto wire = world.open(Version::v5);
    mqtt::Connect connect;
    connect.version = Version::v5;
    connect.client_id = id;
    connect.clean_start = clean;
    if (!clean) connect.session_expiry_seconds = 1000;
    wire->send(connect);
    world.settle();
    return wire;
  }
  void retain(const std::string& topic, std::string_view payload) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = Qos::at_least_once;
    packet.packet_id = PacketId(1);
    packet.retain = true;
    publisher->send(packet);
    world.settle();
  }
  void subscribe(Wire& wire, std::string_view filter, Qos qos) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(1);
    packet.entries.push_back({filter, {.qos = qos}});
    wire.send(packet);
    world.settle();
  }
  // Takes what came, acknowledges `acks` of it at most, and counts it by topic.
  int take(Wire& wire, int acks = INT32_MAX) {
    int taken = 0;
    while (auto packet = wire.receive()) {
      const auto* publish = std::get_if<mqtt::Publish>(&*packet);
      if (!publish) continue;
      ++taken;
      ++got[std::string(publish->topic)];
      if (publish->qos == Qos::at_least_once && acks-- > 0)
        wire.send(mqtt::Puback{{publish->packet_id, {}, {}, {}}});
    }
    world.settle();
    return taken;
  }
  void take_all(Wire& wire) {
    while (take(wire) > 0) world.advance(1000);
  }
  void expect_each_once() const {
    EXPECT_EQ(got.size(), static_cast<size_t>(kMany));
    for (const auto& [topic, times] : got) EXPECT_EQ(times, 1) << topic;
  }
  uint64_t waiting(std::string_view id) {
    for (uint32_t s = 0; s < world.node().shard_count(); ++s) {
      if (const auto* client = world.node().shard(s).find("", id)) return client->session.inbox.count();
    }
    return 0;
  }

  World world{options()};
  std::shared_ptr<Wire> publisher;
  std::map<std::string, int> got;
};

TEST_F(ManyRetained, AllComeOnce) {
  for (const bool clean : {true, false}) {
    for (const Qos qos : {Qos::at_most_once, Qos::at_least_once}) {
      got.clear();
      auto client = connect("c", clean);
      subscribe(*client, "many/#", qos);
      take_all(*client);
      expect_each_once();
      client->reset();
      world.settle();
    }
  }
}

TEST_F(ManyRetained, TheyWaitInTheIndexForAClientThatDoesNotAnswer) {
  auto client = connect("c", false);
  subscribe(*client, "many/#", Qos::at_least_once);
  for (int i = 0; i < 5; ++i)
    subscribe(*client, "many/#", Qos::at_least_once);  // and who asks again and again
  EXPECT_EQ(take(*client, 0), kWindow);
  EXPECT_LE(waiting("c"), 6u * 256u);
  EXPECT_EQ(world.metrics()
                .value("courier_messages_dropped_total", {{"reason", "inbox_full"}, {"label", ""}})
                .value_or(0),
            0);
}

TEST_F(ManyRetained, UnsubscribeEndsThem) {
  auto client = connect("c", false);
  subscribe(*client, "many/#", Qos::at_least_once);
  mqtt::Unsubscribe packet;
  packet.packet_id = PacketId(2);
  packet.filters = {"many/#"};
  client->send(packet);
  world.settle();
  take_all(*client);
  EXPECT_LE(got.size(), 512u);  // what was on its way
  EXPECT_GT(got.size(), 0u);
}

TEST_F(ManyRetained, ASessionGetsTheRestAfterACrash) {
  auto client = connect("c", false);
  subscribe(*client, "many/#", Qos::at_least_once);
  take(*client);
  world.advance(1000);
  world.checkpoint();
  take(*client);
  world.advance(1000);
  EXPECT_LT(got.size(), 300u);
  world.crash();
  ASSERT_TRUE(world.start().has_value());
  world.settle();
  client = connect("c", false);
  take_all(*client);
  EXPECT_EQ(got.size(), static_cast<size_t>(kMany));
}

TEST_F(ManyRetained, WhatIsPublishedMeanwhileComesOnceAndNew) {
  auto client = connect("c", true);
  subscribe(*client, "many/#", Qos::at_least_once);
  const std::string last = "many/999";  // the last in order of topic
  retain(last, "new");
  std::vector<std::string> payloads;
  for (bool more = true; more;) {
    more = false;
    while (auto packet = client->receive()) {
      const auto* publish = std::get_if<mqtt::Publish>(&*packet);
      if (!publish) continue;
      more = true;
      if (publish->topic == last) payloads.emplace_back(publish->payload);
      client->send(mqtt::Puback{{publish->packet_id, {}, {}, {}}});
    }
    world.advance(1000);
  }
  EXPECT_EQ(payloads, std::vector<std::string>{"new"});
}

TEST_F(ManyRetained, AFilterThatMatchesNothingIsLookedForInPiecesToo) {
  auto client = connect("c", true);
  subscribe(*client, "+/none", Qos::at_least_once);
  subscribe(*client, "many/+/none", Qos::at_least_once);
  take_all(*client);
  EXPECT_TRUE(got.empty());
  subscribe(*client, "many/7", Qos::at_least_once);
  EXPECT_EQ(take(*client), 1);
}

}  // namespace
}  // namespace courier::sim
