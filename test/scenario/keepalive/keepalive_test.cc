// PINGREQ, and what happens to those who fall silent. Sections 3.1.2.10 and 3.12.
#include <gtest/gtest.h>

#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

}  // namespace

// [MQTT-3.12.4-1], [MQTT3-3.12.4-1]
TEST(KeepAlive, EveryPingreqIsAnswered) {
  for (const Version version : kVersions) {
    Client client({.version = version});
    std::string batch;
    for (int i = 0; i < 20; ++i) batch += pingreq_packet();
    client.send(batch);
    for (int i = 0; i < 20; ++i) client.expect(kPingresp);
  }
}

// [MQTT-3.1.2-24], [MQTT-3.2.2-22], [MQTT3-3.1.2-24]: closed after one and a half times the interval, not
// before, and the will says so.
TEST(KeepAlive, SilentClientIsClosedAfterOneAndAHalfIntervals) {
  std::vector<Client> clients;
  const std::string topic = unique("silent/");
  Client watcher;
  watcher.subscribe(topic, 1);
  const auto started = Clock::now();
  for (const Version version : kVersions) {
    clients.emplace_back(Connect{
        .version = version, .keep_alive = 2, .will = Will{.topic = topic, .payload = "gone", .qos = 1}});
  }
  for (Client& client : clients) {
    client.expect_end({0x8D});
    const auto waited = Clock::now() - started;
    EXPECT_GE(waited, 2800ms);
    EXPECT_LT(waited, 9s);
  }
  for (size_t i = 0; i < clients.size(); ++i) watcher.message("gone");
}

// [MQTT-3.1.2-24]: any packet counts, not only PINGREQ.
TEST(KeepAlive, AnyPacketKeepsTheConnection) {
  Client pinging({.keep_alive = 1}), publishing({.keep_alive = 1}), subscribing({.keep_alive = 1});
  for (int i = 0; i < 6; ++i) {
    std::this_thread::sleep_for(500ms);
    pinging.ping();
    publishing.publish(unique("alive/"), "x", 0);
    subscribing.subscribe(unique("alive/"), 0);
  }
  publishing.ping();
}

// [MQTT-3.2.2-22]: 0 turns it off.
TEST(KeepAlive, ZeroMeansNoLimit) {
  Client client({.keep_alive = 0});
  EXPECT_FALSE(client.connack().properties.has(kServerKeepAlive));
  client.expect_silence(2500ms);
  client.ping();
}

// [MQTT-3.2.2-21], [MQTT-3.1.2-23]: the server may set it, and then keeps to what it said.
TEST(KeepAlive, ServerKeepAliveIsToldAndApplied) {
  COURIER_ONLY();
  Broker broker({.toml = "[limits]\nkeep_alive_max = \"2s\"\n"});
  Client client({.client_id = "told", .keep_alive = 600}, broker.port()),
      none({.client_id = "none"}, broker.port());
  EXPECT_EQ(client.connack().properties.number(kServerKeepAlive), 2u);
  EXPECT_EQ(none.connack().properties.number(kServerKeepAlive), 2u);
  Client modest({.client_id = "modest", .keep_alive = 1}, broker.port());
  EXPECT_FALSE(modest.connack().properties.has(kServerKeepAlive));
  modest.disconnect();
  const auto started = Clock::now();
  client.expect_end({0x8D});
  EXPECT_GE(Clock::now() - started, 2500ms);
  EXPECT_LT(Clock::now() - started, 9s);
}

}  // namespace courier::scenario
