// [[limit]]: who has how much. What comes too fast waits, and only what would wait too long is refused;
// nobody else notices.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

// alice, bob and rich: secret
constexpr std::string_view kPassword =
    ":$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";

BrokerOptions with_limits(std::string limits, std::string acl = {}) {
  std::string passwords;
  for (const char* name : {"alice", "bob", "rich"}) passwords += name + std::string(kPassword);
  // What comes first stands in [admin].
  BrokerOptions options{.toml = "tokens = [\"0123456789abcdef\"]\n" + std::move(limits),
                        .auth_toml = "[auth]\nallow_anonymous = true\npassword_file = \"{dir}/passwd\"\n",
                        .passwords = std::move(passwords)};
  if (!acl.empty()) {
    options.auth_toml += "acl_file = \"{dir}/acl\"\n";
    options.files["acl"] = std::move(acl);
  }
  return options;
}

Connect as(std::string name, Version version = v5, std::string client_id = {}) {
  return {.version = version,
          .client_id = std::move(client_id),
          .username = std::move(name),
          .password = "secret"};
}

uint8_t answer(const Broker& broker, const Connect& connect) {
  Connect named = connect;
  if (named.client_id.empty()) named.client_id = unique("knocks");
  Client client = Client::open(broker.port());
  const Packet connack = client.handshake(named);
  if (connack.reason != 0) {
    EXPECT_TRUE(client.read_until_end().empty());
  } else {
    client.disconnect();
  }
  return connack.reason;
}

// Publishes with QoS 1 and always has as many under way as ten times its rate makes in a fifth of a second;
// how many were acknowledged in this time.
size_t flood(Client& client, const std::string& topic, size_t per_second, milliseconds duration) {
  const Steady::time_point end = Steady::now() + duration;
  size_t sent = 0, acknowledged = 0;
  while (Steady::now() < end) {
    std::string bytes;
    for (; sent < acknowledged + std::min<size_t>(2 * per_second, 500); ++sent) {
      bytes += publish_packet(client.version(), {.topic = topic,
                                                 .payload = "m" + std::to_string(sent),
                                                 .qos = 1,
                                                 .id = static_cast<uint16_t>(sent % 60'000 + 1)});
    }
    client.send(bytes);
    EXPECT_LT(client.expect(kPuback).reason, 0x80);
    ++acknowledged;
  }
  return acknowledged;
}

std::vector<double> round_trips(Client& publisher, Client& reader, const std::string& topic, int count) {
  std::vector<double> ms;
  for (int i = 0; i < count; ++i) {
    const Steady::time_point began = Steady::now();
    publisher.publish(topic, std::to_string(i), 1);
    reader.message(std::to_string(i));
    ms.push_back(std::chrono::duration<double, std::milli>(Steady::now() - began).count());
  }
  std::ranges::sort(ms);
  return ms;
}
double p99(const std::vector<double>& sorted) {
  return sorted[sorted.size() * 99 / 100];
}

void reload(const Broker& broker, const std::string& from, const std::string& to) {
  std::ifstream file(broker.directory() / "broker.conf");
  std::stringstream text;
  text << file.rdbuf();
  std::string conf = text.str();
  const size_t at = conf.find(from);
  ASSERT_NE(at, std::string::npos);
  conf.replace(at, from.size(), to);
  broker.write("broker.conf", conf);
  broker.signal(SIGHUP);
  broker.expect_in_every_log("SIGHUP: log file opened anew");
}

std::string shown(const Broker& broker, const Client& client) {
  Client http = Client::open_at(client.node(), broker.admin_port());
  http.send("GET /v1/clients/" + client.id() +
            " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\nConnection: "
            "close\r\n\r\n");
  return http.read_to_end();
}

}  // namespace

// At ten times its rate a publisher gets its rate, and loses nothing that was acknowledged. Who publishes
// beside it does not notice.
TEST(Rates, PublisherAtTenTimesItsRateGetsItsRateAndNobodyElseNotices) {
  COURIER_ONLY();
  constexpr size_t kPerSecond = 200, kSeconds = 4, kBurst = 20;
  Broker broker(with_limits(R"(
[[limit]]
name = "slow"
username = "alice"
messages_per_second = 200
messages_burst = 20
)"));
  for (const Version version : {v3_1_1, v5}) {
    const std::string topic = unique("flood/"), beside = unique("beside/");
    Client reader(as("rich", version), broker.port());
    reader.subscribe(topic, 1);
    Client publisher(as("bob"), broker.port()), other(as("rich"), broker.port());
    other.subscribe(beside, 1);
    const double before = p99(round_trips(publisher, other, beside, 500));

    Client greedy(as("alice", version), broker.port());
    std::vector<double> during;
    size_t got = 0;
    std::thread flooding([&] { got = flood(greedy, topic, kPerSecond, 1000ms * kSeconds); });
    during = round_trips(publisher, other, beside, 500);
    flooding.join();

    EXPECT_NEAR(static_cast<double>(got), kPerSecond * kSeconds + kBurst, kPerSecond * kSeconds * 0.05);
    for (size_t i = 0; i < got; ++i) reader.message("m" + std::to_string(i));
    std::cout << "beside a flood: p99 " << p99(during) << " ms, without " << before << " ms; "
              << static_cast<double>(got) / kSeconds << " messages/s acknowledged\n";
    EXPECT_LT(p99(during), before + 100);
  }
  broker.expect_in_log("limit slow: more than 200 messages in a second (per connection)");
  EXPECT_GE(
      broker.metric("courier_limited_total{limit=\"slow\",what=\"messages_per_second\",outcome=\"delayed\"}"),
      100);
  EXPECT_GE(broker.metric("courier_limit_delay_seconds_total{limit=\"slow\"}"), 4);
}

// While it is not read, its PINGREQs are not either: the keep-alive does not run out because of us.
TEST(Rates, KeepAliveSurvivesADelay) {
  COURIER_ONLY();
  Broker broker(with_limits(R"(
[[limit]]
name = "narrow"
bytes_per_second = "1KB"
)"));
  for (const Version version : kVersions) {
    Client client({.version = version, .client_id = unique("patient"), .keep_alive = 1}, broker.port());
    // A second is in the bucket: it owes four.
    const Steady::time_point began = Steady::now();
    client.send(publish_packet(version, {.topic = "t", .payload = std::string(5 * 1024 - 1, 'x'), .qos = 0}));
    client.ping();
    EXPECT_GT(Steady::now() - began, 3500ms);
    EXPECT_LT(Steady::now() - began, 6s);
    const std::string told = shown(broker, client);
    EXPECT_NE(told.find("\"name\":\"narrow\",\"per\":\"connection\""), std::string::npos) << told;
    EXPECT_NE(told.find("\"delays\":1"), std::string::npos) << told;
  }
}

// An identity's connections share its budget, on whichever threads they are.
TEST(Rates, IdentitySharesOneBudgetOverThreads) {
  COURIER_ONLY();
  ONE_NODE("what connections share of a limit is each node's own");
  Broker broker(with_limits(R"(
[[limit]]
name = "mine"
per = "identity"
messages_per_second = 100
messages_burst = 1
)"));
  // Enough of them that both threads have some.
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.emplace_back(as("alice"), broker.port());
  Client other(as("bob"), broker.port());
  std::atomic<size_t> alice = 0;
  std::vector<std::thread> threads;
  for (Client& client : clients) {
    threads.emplace_back([&] { alice += flood(client, "t", 100, 3s); });
  }
  const size_t bob = flood(other, "t", 100, 3s);
  for (std::thread& thread : threads) thread.join();
  EXPECT_NEAR(static_cast<double>(alice), 300 + 8, 30);
  // All of his own; a slow machine may not use all of it, but with eight of alice's in it he would have
  // had 34.
  EXPECT_LE(bob, 320u);
  EXPECT_GE(bob, 200u);
}

// Only messages to which an access rule gives the label.
TEST(Rates, LabelIsLimitedByItself) {
  COURIER_ONLY();
  Broker broker(with_limits(R"(
[[limit]]
name = "chat"
label = "chat"
messages_per_second = 1
delay_max = "0s"
payload_bytes_max = "1KB"
)",
                            "topic readwrite chat/# label chat\ntopic readwrite orders/#\n"));
  Client client(as("alice"), broker.port());
  for (int i = 0; i < 20; ++i) EXPECT_LT(client.publish("orders/1", "x", 1).reason, 0x80);
  EXPECT_LT(client.publish("chat/1", "x", 1).reason, 0x80);
  const Packet refused = client.publish("chat/1", "x", 1);
  EXPECT_EQ(refused.reason, 0x97);
  EXPECT_EQ(refused.properties.text(kReasonString),
            "limit chat: more than 1 messages in a second (per connection)");
  EXPECT_LT(client.publish("orders/1", std::string(2000, 'x'), 1).reason, 0x80);
  EXPECT_EQ(client.publish("chat/1", std::string(2000, 'x'), 1).reason, 0x97);
  EXPECT_EQ(client.publish("chat/1", std::string(2000, 'x'), 2).reason, 0x97);
}

// Each is told in the words of its version.
TEST(Rates, ConnectionsAndConnects) {
  COURIER_ONLY();
  ONE_NODE("what connections share of a limit is each node's own");
  Broker broker(with_limits(R"(
[[limit]]
name = "two"
username = "alice"
per = "identity"
connections_max = 2
[[limit]]
name = "storm"
username = "bob"
per = "listener"
connects_per_second = 1
connect_burst = 3
delay_max = "0s"
)"));
  {
    Client one(as("alice"), broker.port());
    Client two(as("alice", v3_1_1, "second"), broker.port());
    EXPECT_EQ(answer(broker, as("alice")), 0x97);
    EXPECT_EQ(answer(broker, as("alice", v3_1_1)), 3);
    EXPECT_EQ(answer(broker, as("alice", v3_1)), 3);
    EXPECT_EQ(answer(broker, as("rich")), 0);
    Client again(as("alice", v3_1_1, "second"), broker.port());  // is the same client
    EXPECT_EQ(answer(broker, as("alice")), 0x97);
    one.drop();
    const auto deadline = Steady::now() + kPatience;
    while (answer(broker, as("alice")) != 0) ASSERT_LT(Steady::now(), deadline);
  }
  broker.expect_in_log("limit two: more than 2 connections (per identity)");
  size_t in = 0;
  for (int i = 0; i < 4; ++i) in += answer(broker, as("bob")) == 0;
  EXPECT_GE(in, 3u);
  uint8_t told = 0;
  const auto deadline = Steady::now() + kPatience;
  while ((told = answer(broker, as("bob"))) == 0) ASSERT_LT(Steady::now(), deadline);
  EXPECT_EQ(told, 0x9F);
  while ((told = answer(broker, as("bob", v3_1_1))) == 0) ASSERT_LT(Steady::now(), deadline);
  EXPECT_EQ(told, 3);
}

TEST(Rates, ConnectsThatComeTooFastAreLetInLater) {
  COURIER_ONLY();
  ONE_NODE("what connections share of a limit is each node's own");
  Broker broker(with_limits(R"(
[[limit]]
name = "gentle"
username = "alice"
per = "all"
connects_per_second = 10
connect_burst = 1
)"));
  const Steady::time_point began = Steady::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < 11; ++i) {
    threads.emplace_back([&broker, i] { EXPECT_EQ(answer(broker, as("alice", kVersions[i % 3])), 0); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(Steady::now() - began, 900ms);
}

// Who is known and waits for its limit is not undecided: limits.authenticate_timeout does not cut it off.
TEST(Rates, ADelayedConnectIsNotCutOff) {
  COURIER_ONLY();
  Broker broker(with_limits(R"(
[limits]
authenticate_timeout = "200ms"
[[limit]]
name = "slow"
username = "alice"
per = "all"
connects_per_second = 3
connect_burst = 1
delay_max = "10s"
)"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&broker, i] { EXPECT_EQ(answer(broker, as("alice", kVersions[i % 3])), 0); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Rates, WhatIsEachClientsOwn) {
  COURIER_ONLY();
  Broker broker(with_limits(R"(
[[limit]]
name = "own"
payload_bytes_max = "1KB"
subscriptions_max = 2
retained_messages_max = 1
inflight_max = 2
)"));
  for (const Version version : {v3_1_1, v5}) {
    Client client({.version = version}, broker.port());
    EXPECT_EQ(client.subscribe({{"a", 1}, {"b", 1}, {"c", 1}}).reasons,
              (std::vector<uint8_t>{1, 1, static_cast<uint8_t>(version == v5 ? 0x97 : 0x80)}));
    EXPECT_LT(client.publish("r/1", "kept", 1, true).reason, 0x80);
    const Packet second = client.publish("r/2", "not kept", 1, true);
    EXPECT_EQ(second.reason, version == v5 ? 0x97 : 0);
    Client late({}, broker.port());
    late.subscribe("r/#", 1);
    late.message("kept");
    late.expect_nothing_but_marker(client);

    client.publish("a", std::string(2000, 'x'), 0);  // dropped
    if (version == v5) {
      EXPECT_EQ(client.publish("a", std::string(2000, 'x'), 1).reason, 0x97);
      Client will = Client::open(broker.port());
      EXPECT_EQ(will.handshake({.client_id = unique("will"),
                                .will = Will{.topic = "a", .payload = std::string(2000, 'x')}})
                    .reason,
                0x95);
    } else {
      client.send(
          publish_packet(version, {.topic = "a", .payload = std::string(2000, 'x'), .qos = 1, .id = 7}));
      client.expect_end();
    }
  }
  broker.expect_in_log("cause=limit_reached");
}

// SIGHUP: those who are connected are held to the new limits, and let go by them.
TEST(Rates, ReloadHoldsForLiveConnections) {
  COURIER_ONLY();
  Broker broker(with_limits(R"(
[[limit]]
name = "changing"
messages_per_second = 100000
)"));
  Client client({}, broker.port());
  flood(client, "t", 50, 500ms);
  reload(broker, "messages_per_second = 100000",
         "messages_per_second = 1\nmessages_burst = 1\ndelay_max = \"1h\"");
  const auto deadline = Steady::now() + kPatience;
  while (shown(broker, client).find("\"delays\":0") != std::string::npos) {
    ASSERT_LT(Steady::now(), deadline);
    client.publish("t", "x", 0);
  }
  EXPECT_EQ(shown(broker, client).find("\"delayed_ms\":0"), std::string::npos);
  for (int i = 0; i < 1000; ++i) client.publish("t", "x", 0);  // a quarter of an hour, as things are
  reload(broker,
         "[[limit]]\nname = \"changing\"\nmessages_per_second = 1\nmessages_burst = 1\ndelay_max = \"1h\"",
         "");
  client.ping();
}

TEST(Rates, LimitThatCannotBeIsRefusedAtTheStart) {
  COURIER_ONLY();
  try {
    Broker broker(with_limits("[[limit]]\nname = \"odd\"\nconnections_max = 5\n"));
    FAIL() << "it runs";
  } catch (const Broken& broken) {
    const std::string_view what = broken.what();
    EXPECT_NE(what.find("limit \"odd\""), std::string_view::npos) << what;
    EXPECT_NE(what.find("per = \"identity\""), std::string_view::npos) << what;
  }
}

}  // namespace courier::scenario
