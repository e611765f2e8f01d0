// Endpoints of hooks that are slow, dead or talk rubbish: what becomes of the client that is decided on, and
// that nobody else notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <iostream>
#include <vector>

#include "hooks/hooks_bed.h"

namespace courier::scenario {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

namespace {

// A first word to the service, after which no answer comes that means anything.
constexpr std::string_view kFaults[] = {"dead", "half", "rubbish", "empty", "huge", "status-503", "slow"};

std::string settings(std::string_view on_failure) {
  return "timeout = \"500ms\"\non_failure = \"" + std::string(on_failure) + "\"\n";
}
// A circuit that opens would hide the next fault.
constexpr char kPatientCircuit[] = "[hooks]\ncircuit_failures = 1000\n";

}  // namespace

TEST(HookFaults, DenyIsTheDefault) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(
      stub, {"auth_on_register", "auth_on_register_m5", "auth_on_publish_m5", "auth_on_subscribe_m5"},
      "timeout = \"500ms\"\n", kPatientCircuit));
  Client client({.client_id = "ok"}, broker.port());
  for (const std::string_view fault : kFaults) {
    const std::string word(fault);
    const Packet connack = Client::open(broker.port()).handshake({.client_id = word});
    EXPECT_EQ(connack.reason, 0x88) << word;
    EXPECT_EQ(Client::open(broker.port()).handshake({.version = v3_1_1, .client_id = word}).reason, 3)
        << word;
    const Packet puback = client.publish(word + "/a", "x", 1);
    EXPECT_EQ(puback.reason, 0x83) << word;
    // Where the endpoint is, and what became of it, is for the log alone.
    for (const Packet* packet : {&connack, &puback})
      EXPECT_FALSE(packet->properties.text(kReasonString)) << word;
    EXPECT_EQ(client.subscribe(word + "/a", 1).reasons, std::vector<uint8_t>{0x83}) << word;
  }
  broker.expect_in_log("cannot be asked");
  // Nobody is there at all.
  BrokerOptions nobody = only_asking(stub, {"auth_on_register_m5"});
  nobody.toml = "[[hook]]\nname = \"auth_on_register\"\nendpoint = \"" + stub.url("/hook") +
                "\"\n[[hook]]\nname = \"auth_on_register_m5\"\nendpoint = \"http://127.0.0.1:1/\"\n";
  Broker alone(nobody);
  EXPECT_EQ(Client::open(alone.port()).handshake({.client_id = "x"}).reason, 0x88);
}

TEST(HookFaults, AllowLetsThroughWhatNobodyCouldDecide) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(
      stub, {"auth_on_register", "auth_on_register_m5", "auth_on_publish_m5", "auth_on_subscribe_m5"},
      settings("allow"), kPatientCircuit));
  Client client({.client_id = "ok"}, broker.port());
  for (const std::string_view fault : kFaults) {
    const std::string word(fault);
    EXPECT_EQ(Client::open(broker.port()).handshake({.client_id = word}).reason, 0) << word;
    EXPECT_EQ(Client::open(broker.port()).handshake({.version = v3_1_1, .client_id = word}).reason, 0)
        << word;
    EXPECT_EQ(client.subscribe(word + "/a", 1).reasons, std::vector<uint8_t>{1}) << word;
    EXPECT_EQ(client.publish(word + "/a", word, 1).reason, 0) << word;
    client.message(word);
  }
  // What an endpoint said is no failure.
  EXPECT_EQ(client.publish("deny/a", "x", 1).reason, 0x87);
  EXPECT_EQ(client.publish("invalid/a", "x", 1).reason, 0x87);
  EXPECT_EQ(Client::open(broker.port()).handshake({.client_id = "status-404"}).reason, 0x87);
}

TEST(HookFaults, AnEndpointThatFailsIsLeftAlone) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish_m5"}, {},
                       "[hooks]\ncircuit_failures = 3\ncircuit_open = \"300ms\"\nrefusals_kept = 0\n"));
  Client client({}, broker.port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.publish("dead/a", std::to_string(i), 1).reason, 0x83);
  EXPECT_EQ(broker.metric("courier_hook_circuit_open"), 1);
  EXPECT_EQ(client.publish("ok/a", "x", 1).reason, 0x83);
  EXPECT_EQ(stub.requests("auth_on_publish_m5"), 3) << "it was not asked";
  broker.expect_in_log("is left alone");
  wait_for("the endpoint is tried again",
           [&, n = 0]() mutable { return client.publish("ok/a", std::to_string(++n), 1).reason == 0x10; });
  EXPECT_EQ(broker.metric("courier_hook_circuit_open"), 0);
}

// The packet that is decided on waits, and what its client sends behind it; nothing else does.
TEST(HookFaults, OnlyWhatIsDecidedOnWaits) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish_m5"}));
  Client watcher({.version = v3_1_1}, broker.port());
  watcher.subscribe("#", 1);
  Client slow({}, broker.port());
  slow.subscribe("to-slow", 1);
  slow.send(publish_packet(v5, {.topic = "slow/a", .payload = "first", .qos = 1, .id = 1}));
  slow.send(publish_packet(v5, {.topic = "ok/a", .payload = "second", .qos = 1, .id = 2}));
  slow.send(subscribe_packet(v5, 3, {{"later", 1}}));
  slow.ping();
  Client other({}, broker.port());
  EXPECT_EQ(other.publish("to-slow", "meanwhile", 1).reason, 0);
  watcher.message("meanwhile");
  slow.message("meanwhile");
  wait_for("both are asked about", [&] { return stub.requests("auth_on_publish_m5") == 3; });
  stub.get("/release");
  watcher.message("first");
  watcher.message("second");
  EXPECT_EQ(slow.expect(kPuback).id, 1);
  EXPECT_EQ(slow.expect(kPuback).id, 2);
  EXPECT_EQ(slow.expect(kSuback).id, 3);
}

// What waits for its answer is bounded; beyond, the socket is not read.
TEST(HookFaults, WhatWaitsIsBounded) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish_m5"}));
  Client watcher({.version = v3_1_1}, broker.port());
  watcher.subscribe("#", 0);
  Client slow({}, broker.port());
  for (int i = 0; i < 500; ++i)
    slow.send(publish_packet(v5, {.topic = "slow/a", .payload = std::to_string(i)}));
  wait_for("as many as may be are asked about", [&] { return stub.requests("auth_on_publish_m5") == 64; });
  Client other({}, broker.port());
  for (int i = 0; i < 20; ++i) other.publish("ok/a", "other", 1);
  EXPECT_EQ(stub.requests("auth_on_publish_m5"), 64 + 20) << "no more of the slow one's";
  stub.get("/release");
  for (int i = 0; i < 20; ++i) watcher.message("other");
  for (int i = 0; i < 500; ++i) watcher.message(std::to_string(i));
}

// A message of QoS 0 counts, though its sender says goodbye at once and hangs up.
TEST(HookFaults, WhatWasSaidBeforeTheGoodbyeCounts) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish", "auth_on_publish_m5"}));
  Client watcher({}, broker.port());
  watcher.subscribe("#", 0);
  for (const Version version : {v3_1_1, v5}) {
    Client client({.version = version, .will = Will{.topic = "ok/will", .payload = "will"}}, broker.port());
    const std::string last_words =
        publish_packet(version, {.topic = "after-200-/a", .payload = "said"}) + disconnect_packet(version);
    client.send(last_words);
    client.drop();
    watcher.message("said");
    watcher.expect_nothing_but_marker(watcher);  // no will

    // The same, and it hangs up without having read all: that resets the connection.
    Client careless({.version = version}, broker.port());
    careless.subscribe("ok/unread", 0);
    watcher.publish("ok/unread", "unread", 1);
    watcher.message("unread");
    careless.send(last_words);
    careless.drop();
    watcher.message("said");
  }
}

TEST(HookFaults, WhoHangsUpIsAskedAboutNoMore) {
  COURIER_ONLY();
  Stub stub;
  BrokerOptions options = asking(stub, {"auth_on_register_m5", "auth_on_publish_m5"});
  options.auth_toml = "[auth]\nallow_anonymous = true\n";
  Broker broker(options);
  Client client({}, broker.port());
  client.send(publish_packet(v5, {.topic = "slow/a", .payload = "x"}));
  wait_for("it is asked about", [&] { return stub.requests("auth_on_publish_m5") == 1; });
  client.drop();
  wait_for("the question is cancelled", [&] {
    return broker.metric("courier_hook_requests_total{hook=\"auth_on_publish_m5\",result=\"cancelled\"}") ==
           1;
  });
  Client knocking = Client::open(broker.port());
  knocking.send(connect_packet({.client_id = "slow", .username = "ada"}));
  wait_for("it is asked about", [&] { return stub.requests("auth_on_register_m5") == 1; });
  knocking.drop();
  wait_for("the question is cancelled", [&] {
    return broker.metric("courier_hook_requests_total{hook=\"auth_on_register_m5\",result=\"cancelled\"}") ==
           1;
  });
}

// What was acknowledged to its publisher is safe while on_deliver is asked about it.
TEST(HookFaults, NothingIsLostWhileADeliveryIsDecided) {
  COURIER_ONLY();
  for (const bool broker_dies : {false, true}) {
    Stub stub;
    Broker broker(asking(stub, {"on_deliver_m5"}, "timeout = \"60s\"\n"));
    Connect phone = persistent(v5, "slow-phone");
    Client client(phone, broker.port());
    client.subscribe("a", 2);
    Client publisher({}, broker.port());
    for (const int qos : {1, 2}) publisher.publish("a", std::to_string(qos), qos);
    wait_for("it is asked about both", [&] { return stub.requests("on_deliver_m5") == 2; });
    if (broker_dies) {
      broker.restart_after_kill();
    } else {
      client.drop();
    }
    phone.clean = false;
    Client again(phone, broker.port());
    wait_for("it is asked again", [&] { return stub.requests("on_deliver_m5") == 4; });
    stub.get("/release");
    // A broker that was killed cannot know what it had sent, nor can a node to which the client came before
    // the end of its connection to another was in the log. [MQTT-3.3.1-1]
    const bool dup = again.message("1").dup;
    EXPECT_TRUE(dup == broker_dies || node_count() > 1);
    again.message("2");
  }
}

TEST(HookFaults, OrderIsKeptThoughAnswersComeInDisorder) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish", "auth_on_publish_m5", "auth_on_subscribe_m5",
                              "on_unsubscribe_m5", "on_deliver", "on_deliver_m5"}));
  constexpr int kMessages = 150;
  std::vector<std::unique_ptr<Client>> watchers, publishers;
  for (const Version version : {v3_1_1, v5}) {
    watchers.push_back(std::make_unique<Client>(
        Connect{.version = version, .client_id = "jumble-" + std::to_string(version)}, broker.port()));
    watchers.back()->subscribe("jumble/#", 2);
    publishers.push_back(std::make_unique<Client>(Connect{.version = version}, broker.port()));
  }
  // All of it is sent before anything is read.
  for (size_t p = 0; p < publishers.size(); ++p) {
    std::string all;
    for (int i = 0; i < kMessages; ++i) {
      const int qos = i % 2;
      all +=
          publish_packet(publishers[p]->version(), {.topic = "jumble/" + std::to_string(p),
                                                    .payload = std::to_string(qos) + "/" + std::to_string(i),
                                                    .qos = qos,
                                                    .id = static_cast<uint16_t>(qos == 0 ? 0 : i + 1)});
    }
    // A SUBSCRIBE and an UNSUBSCRIBE stay in their order, too: at the end it is not subscribed.
    if (publishers[p]->version() == v5) {
      all += subscribe_packet(v5, 1000, {{"jumble-x", 1}});
      all += unsubscribe_packet(v5, 1001, {"jumble-x"});
    }
    publishers[p]->send(all);
  }
  for (auto& watcher : watchers) {
    std::map<std::string, int> last;  // by topic and QoS
    for (int i = 0; i < kMessages * static_cast<int>(publishers.size()); ++i) {
      const Packet got = watcher->message();
      const int number = std::stoi(got.payload.substr(2));
      auto [at, first] = last.try_emplace(got.topic + std::to_string(got.qos), -1);
      EXPECT_LT(at->second, number) << got.topic;
      at->second = number;
    }
  }
  EXPECT_EQ(publishers[1]->await(kUnsuback).reasons, std::vector<uint8_t>{0});
}

TEST(HookFaults, ABrokerThatStopsDoesNotWaitForAnswers) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub,
                       {"auth_on_register_m5", "auth_on_publish_m5", "auth_on_subscribe_m5",
                        "on_unsubscribe_m5", "on_deliver_m5"},
                       "timeout = \"60s\"\n"));
  Client slow({.client_id = "slow-1"}, broker.port());
  slow.subscribe("ok", 1);
  slow.send(publish_packet(v5, {.topic = "slow/a", .payload = "x", .qos = 1, .id = 7}));
  slow.send(subscribe_packet(v5, 8, {{"slow/b", 1}}));
  slow.send(unsubscribe_packet(v5, 9, {"ok"}));
  Client publisher({}, broker.port());
  publisher.publish("ok", "to be delivered", 1);
  Client knocking = Client::open(broker.port());
  knocking.send(connect_packet({.client_id = "slow-2", .username = "ada"}));
  wait_for("all are asked", [&] {
    const jose::Json seen = stub.get("/seen")["requests"];
    return seen.contains("auth_on_register_m5") && seen.contains("auth_on_subscribe_m5") &&
           seen.contains("on_unsubscribe_m5") && seen.contains("on_deliver_m5") &&
           seen.value("auth_on_publish_m5", 0) == 2;
  });
  const auto began = Steady::now();
  EXPECT_EQ(broker.terminate(), 0) << broker.log();
  EXPECT_LT(Steady::now() - began, 10s);
}

// The figure of docs/operations/webhooks.md: clients that are connected go on while a hook takes five
// seconds.
TEST(HookFaults, OthersAreNotSlowedByAHookThatTakesFiveSeconds) {
  COURIER_ONLY();
  ONE_NODE("a node's threads are measured, and messages that go through etcd take longer than the hook");
  Stub stub;
  BrokerOptions options = asking(stub, {"auth_on_register_m5", "auth_on_publish_m5"}, "timeout = \"10s\"\n");
  options.auth_toml = "[auth]\nallow_anonymous = true\n";
  Broker broker(options);
  Client receiver({.version = v3_1_1}, broker.port());
  receiver.subscribe("probe", 1);
  Client sender({.version = v3_1_1}, broker.port());
  const auto measure = [&] {
    std::vector<double> took;
    for (int i = 0; i < 1000; ++i) {
      const auto began = Steady::now();
      sender.send(publish_packet(
          v3_1_1,
          {.topic = "probe", .payload = std::to_string(i), .qos = 1, .id = static_cast<uint16_t>(i + 1)}));
      receiver.message(std::to_string(i));
      took.push_back(std::chrono::duration<double, std::milli>(Steady::now() - began).count());
      sender.expect(kPuback);
    }
    std::ranges::sort(took);
    return took;
  };
  const std::vector<double> before = measure();
  // Fifty that connect and fifty that publish, each with a question of its own.
  std::vector<Client> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(Client::open(broker.port()));
    waiting.back().speak(v5);
    waiting.back().send(connect_packet({.client_id = "after-5000-" + std::to_string(i), .username = "ada"}));
  }
  for (int i = 0; i < 50; ++i) {
    waiting.emplace_back(Connect{}, broker.port());
    waiting.back().send(
        publish_packet(v5, {.topic = "after-5000-" + std::to_string(i), .payload = "x", .qos = 1, .id = 1}));
  }
  wait_for("all are asked about", [&] {
    return stub.requests("auth_on_register_m5") == 50 && stub.requests("auth_on_publish_m5") == 50;
  });
  const std::vector<double> beside = measure();
  EXPECT_EQ(broker.metric("courier_hook_requests_total{hook=\"auth_on_register_m5\",result=\"ok\"}"), 0)
      << "they were to wait meanwhile";
  std::cout << "publish to deliver, ms: without p50 " << before[500] << " p99 " << before[990]
            << ", beside a hook of 5 s p50 " << beside[500] << " p99 " << beside[990] << "\n";
  EXPECT_LT(beside[990], std::max(100.0, 5 * before[990]));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(waiting[static_cast<size_t>(i)].expect(kConnack).reason, 0);
  for (int i = 50; i < 100; ++i) waiting[static_cast<size_t>(i)].expect(kPuback);
}

}  // namespace courier::scenario
