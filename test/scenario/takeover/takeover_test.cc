// One live connection per client id: the later one wins, and nothing is lost between them. Section 3.1.4.
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {

// [MQTT-3.1.4-3], [MQTT-3.1.3-2], [MQTT3-3.1.4-2]
TEST(TakeOver, OlderConnectionIsClosedAndTold) {
  for (const Version old_version : kVersions) {
    for (const Version new_version : kVersions) {
      for (const bool clean : {true, false}) {
        const std::string id = unique("taken");
        Client old({.version = old_version, .client_id = id, .clean = clean});
        Client fresh({.version = new_version, .client_id = id, .clean = clean});
        old.expect_end({0x8E});
        fresh.ping();
      }
    }
  }
}

// [MQTT-3.1.2-5], [MQTT-4.4.0-1]: subscriptions, queue and unacknowledged messages go over.
TEST(TakeOver, SessionGoesOverWithEverythingUnacknowledged) {
  for (const Version version : kVersions) {
    const std::string topic = unique("over/"), id = unique("over");
    Client publisher, old(persistent(version, id));
    old.subscribe(topic, 2);
    publisher.publish(topic, "one", 1);
    publisher.publish(topic, "two", 2);
    EXPECT_EQ(old.expect(kPublish).payload, "one");
    EXPECT_EQ(old.expect(kPublish).payload, "two");
    Client fresh(persistent(version, id));
    EXPECT_EQ(fresh.connack().session_present, version != v3_1);
    EXPECT_TRUE(fresh.message("one").dup);
    EXPECT_TRUE(fresh.message("two").dup);
    publisher.publish(topic, "three", 1);
    fresh.message("three");
  }
}

// A storm of connects with one name: one stays, whichever the server saw last; everybody else is closed,
// nobody hangs.
TEST(TakeOver, StormLeavesExactlyOne) {
  for (const Version version : {v3_1_1, v5}) {
    const std::string id = unique("storm");
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(Client::open());
      clients.back().speak(version);
      clients.back().send(connect_packet(persistent(version, id)));
    }
    // Whoever answers PINGREQ may still be about to lose; whoever was closed has lost.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (clients.size() > 1) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::erase_if(clients, [](Client& client) {
        client.send(pingreq_packet());
        try {
          client.await(kPingresp);
          return false;
        } catch (const Broken&) {
          // [MQTT-3.14.0-1]: a DISCONNECT only behind a CONNACK.
          bool accepted = false;
          for (const Packet& packet : client.read_until_end()) {
            EXPECT_TRUE(packet.type == kConnack || (accepted && packet.reason == 0x8E))
                << type_name(packet.type);
            accepted |= packet.type == kConnack && packet.reason == 0;
          }
          return true;
        }
      });
    }
    ASSERT_EQ(clients.size(), 1u);
    clients[0].ping();
    EXPECT_EQ(clients[0].expect(kConnack).reason, 0);
  }
}

// What the older connection has published and had acknowledged before is not lost by the take-over.
TEST(TakeOver, AcknowledgedPublishSurvives) {
  const std::string topic = unique("survives/"), id = unique("survives");
  Client subscriber;
  subscriber.subscribe(topic, 1);
  for (int i = 0; i < 20; ++i) {
    Client publisher(persistent(v5, id));
    publisher.publish(topic, std::to_string(i), 1);
  }
  for (int i = 0; i < 20; ++i) subscriber.message(std::to_string(i));
}

}  // namespace courier::scenario
