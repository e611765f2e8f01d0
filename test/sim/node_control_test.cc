// The REST side's view of a real node: what it lists, shows, kicks, traces and copies.
#include "admin/node_control.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <set>

#include "admin/errc.h"
#include "admin/limits.h"
#include "base/log.h"
#include "world.h"

namespace courier::sim {
namespace {

using admin::ClientName;
using admin::ClientPage;
using admin::ClientQuery;
using mqtt::Qos;

class Lines final : public admin::TraceSink {
 public:
  void on_started(bool connected) override { started.push_back(connected); }
  void on_line(const admin::TraceLine& line) override {
    packets.push_back((line.inbound ? "< " : "> ") + line.packet.substr(0, line.packet.find(' ')));
  }
  std::vector<bool> started;
  std::vector<std::string> packets;
};

class Control : public ::testing::Test {
 protected:
  explicit Control(uint32_t shards = 3) : world({.shards = shards}) {
    log::set_level(log::Level::warn);
    EXPECT_TRUE(world.start());
    world.settle();
    control.emplace(admin::NodeControl::Parts{.node = world.node(),
                                              .post = world,
                                              .log = world.log(),
                                              .state = world.store(),
                                              .clock = world.clock(),
                                              .registry = world.metrics(),
                                              .version = "1.2.3"});
  }

  std::shared_ptr<Wire> connect(std::string_view id, uint32_t expiry = 1000,
                                std::optional<mqtt::Will> will = {}) {
    auto wire = world.open(mqtt::Version::v5);
    mqtt::Connect packet;
    packet.version = mqtt::Version::v5;
    packet.client_id = id;
    packet.keep_alive_seconds = 60;
    packet.session_expiry_seconds = expiry;
    packet.will = will;
    wire->send(packet);
    world.settle();
    EXPECT_TRUE(receive<mqtt::Connack>(*wire));
    return wire;
  }
  template <typename Packet>
  static std::optional<Packet> receive(Wire& wire) {
    while (auto packet = wire.receive()) {
      if (auto* wanted = std::get_if<Packet>(&*packet)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  void subscribe(Wire& wire, std::string_view filter, mqtt::SubscriptionOptions options) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(7);
    packet.entries.push_back({filter, options});
    wire.send(packet);
    world.settle();
  }
  void publish(Wire& wire, std::string_view topic, Qos qos, uint16_t id) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = "hello";
    packet.qos = qos;
    packet.packet_id = PacketId(id);
    wire.send(packet);
    world.settle();
  }
  ClientPage list(ClientQuery query) {
    std::optional<ClientPage> page;
    control->list_clients(std::move(query), [&](ClientPage answer) { page = std::move(answer); });
    world.settle();
    EXPECT_TRUE(page);
    return page.value_or(ClientPage{});
  }
  Result<admin::ClientDetail> show(std::string id) {
    std::optional<Result<admin::ClientDetail>> detail;
    control->show_client({"", std::move(id)},
                         [&](Result<admin::ClientDetail> answer) { detail = std::move(answer); });
    world.settle();
    if (!detail) return fail(admin::errc::storage, "no answer");
    return *std::move(detail);
  }
  Result<void> kick(std::string id) {
    std::optional<Result<void>> done;
    control->kick_client({"", std::move(id)}, [&](Result<void> answer) { done = std::move(answer); });
    world.settle();
    if (!done) return fail(admin::errc::storage, "no answer");
    return *std::move(done);
  }

  World world;
  std::optional<admin::NodeControl> control;
};

TEST_F(Control, PagesMergeAllShardsInOrder) {
  std::vector<std::shared_ptr<Wire>> wires;
  std::set<std::string> all;
  for (int i = 0; i < 57; ++i) {
    const std::string id = "client-" + std::to_string(1000 + i * 7 % 57);
    all.insert(id);
    wires.push_back(connect(id));
    if (i % 2) wires.back()->reset();
  }
  world.settle();
  std::vector<std::string> seen;
  size_t connected = 0;
  ClientQuery query{.limit = 10};
  while (true) {
    const ClientPage page = list(query);
    for (const auto& client : page.clients) {
      seen.push_back(client.name.client_id);
      connected += client.connection.has_value();
    }
    if (!page.more) break;
    ASSERT_EQ(page.clients.size(), 10u);
    query.after = page.clients.back().name;
  }
  EXPECT_EQ(seen, std::vector(all.begin(), all.end()));
  EXPECT_EQ(connected, 29u);
  EXPECT_EQ(list({.connected = false, .limit = 100}).clients.size(), 28u);
  EXPECT_EQ(list({.prefix = "client-101", .limit = 100}).clients.size(), 10u);
  EXPECT_EQ(list({.mountpoint = "m", .limit = 100}).clients.size(), 0u);
  const ClientPage exact = list({.limit = 57});
  EXPECT_EQ(exact.clients.size(), 57u);
  EXPECT_FALSE(exact.more);
}

class OneShard : public Control {
 protected:
  OneShard() : Control(1) {}
};

TEST_F(OneShard, IsNotHeldUpByAListOfMany) {
  constexpr size_t kClients = 3 * admin::kWalkClients;
  std::vector<std::shared_ptr<Wire>> wires;
  for (size_t i = 0; i < kClients; ++i) {
    wires.push_back(world.open(mqtt::Version::v3_1_1));
    const std::string id = "many-" + std::to_string(i);
    wires.back()->send(
        mqtt::Connect{.version = mqtt::Version::v3_1_1, .clean_start = false, .client_id = id});
    if (wires.size() < 1'000 && i + 1 < kClients) continue;
    world.settle();
    for (const auto& wire : wires) wire->reset();
    world.settle();
    wires.clear();
  }
  std::optional<size_t> count;
  size_t steps = 0;
  control->list_clients({.limit = 2 * kClients}, [&](ClientPage page) { count = page.clients.size(); });
  std::mt19937_64 random(1);
  while (!count && world.step(random)) ++steps;
  EXPECT_EQ(count, kClients);
  EXPECT_GE(steps, 2u) << "not in one piece";
}

TEST_F(Control, ShowsASessionInFull) {
  EXPECT_EQ(show("phone").error().code, make_error_code(admin::errc::not_found));
  mqtt::Will will;
  will.topic = "gone";
  will.qos = Qos::at_least_once;
  will.delay_seconds = 5;
  auto phone = connect("phone", 1000, will);
  subscribe(*phone, "a/#", {.qos = Qos::exactly_once, .no_local = true});
  auto backend = connect("backend", 0);
  publish(*backend, "a/b", Qos::at_least_once, 1);
  auto shown = show("phone");
  ASSERT_TRUE(shown) << shown.error().message;
  ASSERT_TRUE(shown->summary.connection);
  EXPECT_EQ(shown->summary.protocol, "5.0");
  EXPECT_EQ(shown->summary.connection->keep_alive_seconds, 60u);
  EXPECT_EQ(shown->summary.connection->in_flight, 1u);
  EXPECT_EQ(shown->summary.inbox_messages, 1u);
  EXPECT_EQ(shown->expiry_seconds, 1000u);
  EXPECT_EQ(shown->expires_at, std::nullopt);
  EXPECT_TRUE(shown->stored);
  EXPECT_GT(shown->attach_position, 0u);
  ASSERT_TRUE(shown->will);
  EXPECT_EQ(shown->will->topic, "gone");
  EXPECT_EQ(shown->will->delay_seconds, 5u);
  ASSERT_EQ(shown->subscriptions.size(), 1u);
  EXPECT_EQ(shown->subscriptions[0].filter, "a/#");
  EXPECT_EQ(shown->subscriptions[0].qos, 2);
  EXPECT_TRUE(shown->subscriptions[0].no_local);

  phone->reset();
  world.settle();
  shown = show("phone");
  ASSERT_TRUE(shown);
  EXPECT_FALSE(shown->summary.connection);
  EXPECT_EQ(shown->summary.detached_at, world.clock().wall_ms());
  EXPECT_EQ(shown->expires_at, world.clock().wall_ms() + 1'000'000);
  EXPECT_EQ(shown->subscriptions.size(), 1u);

  shown = show("backend");
  ASSERT_TRUE(shown);
  EXPECT_FALSE(shown->stored);
}

TEST_F(Control, KickTellsTheClientAndLeavesTheSession) {
  auto phone = connect("phone");
  EXPECT_TRUE(kick("phone"));
  const auto goodbye = receive<mqtt::Disconnect>(*phone);
  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->reason, mqtt::ReasonCode::administrative_action);
  EXPECT_TRUE(phone->closed());
  EXPECT_EQ(kick("phone").error().code, make_error_code(admin::errc::conflict));
  EXPECT_TRUE(show("phone"));
  EXPECT_EQ(kick("nobody").error().code, make_error_code(admin::errc::not_found));
}

TEST_F(Control, TraceFollowsTheClientThroughItsConnectionsForEveryWatcher) {
  const ClientName name{"", "phone"};
  const auto early = std::make_shared<Lines>(), late = std::make_shared<Lines>();
  control->begin_trace(name, early);
  world.settle();
  EXPECT_EQ(early->started, std::vector<bool>{false});
  auto phone = connect("phone");
  control->begin_trace(name, late);
  world.settle();
  EXPECT_EQ(late->started, std::vector<bool>{true});
  phone->send(mqtt::Pingreq{});
  world.settle();
  EXPECT_EQ(late->packets, (std::vector<std::string>{"< PINGREQ", "> PINGRESP"}));
  EXPECT_EQ(early->packets, (std::vector<std::string>{"> CONNACK", "< PINGREQ", "> PINGRESP"}));

  control->end_trace(name, *late);
  world.settle();
  phone->reset();
  world.settle();
  phone = connect("phone");
  EXPECT_EQ(late->packets.size(), 2u);
  EXPECT_EQ(early->packets.back(), "> CONNACK");

  control->end_trace(name, *early);
  control->end_trace(name, *early);  // as after a stream that was refused
  world.settle();
  const size_t before = early->packets.size();
  phone->send(mqtt::Pingreq{});
  world.settle();
  EXPECT_EQ(early->packets.size(), before);
}

TEST_F(Control, NodeIsCountedOverAllShards) {
  std::vector<std::shared_ptr<Wire>> wires;
  for (int i = 0; i < 9; ++i) wires.push_back(connect("client-" + std::to_string(i)));
  subscribe(*wires[0], "a", {.qos = Qos::at_least_once});
  wires[8]->reset();
  world.settle();
  std::optional<admin::NodeFacts> facts;
  control->describe_node([&](admin::NodeFacts answer) { facts = std::move(answer); });
  world.settle();
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->version, "1.2.3");
  EXPECT_EQ(facts->shards, 3u);
  EXPECT_EQ(facts->connections, 8u);
  EXPECT_EQ(facts->sessions, 9u);
  EXPECT_EQ(facts->subscriptions, 1u);
  EXPECT_TRUE(facts->log_accepting);
  EXPECT_TRUE(facts->health.ready) << facts->health.reason;
  EXPECT_TRUE(control->health().ready);
  world.node().drain();
  EXPECT_FALSE(control->health().ready);
  EXPECT_EQ(control->health().reason, "draining");
}

TEST_F(Control, ANodeThatDrainsSendsClientsElsewhereInTurn) {
  std::vector<std::shared_ptr<Wire>> wires;
  for (int i = 0; i < 4; ++i) wires.push_back(connect("client-" + std::to_string(i)));
  const auto old = world.open(mqtt::Version::v3_1_1);
  const auto say_hello = [&](Wire& wire, mqtt::Version version) {
    mqtt::Connect packet;
    packet.version = version;
    packet.client_id = "newcomer";
    packet.clean_start = true;
    wire.send(packet);
    world.settle();
    return receive<mqtt::Connack>(wire);
  };
  world.node().drain({"one:1883", "two:1883"});
  for (uint32_t i = 0; i < 3; ++i) world.node().shard(i).drain(SIZE_MAX);
  world.settle();
  std::multiset<std::string> told;
  for (const auto& wire : wires) {
    const auto goodbye = receive<mqtt::Disconnect>(*wire);
    ASSERT_TRUE(goodbye);
    EXPECT_EQ(goodbye->reason, mqtt::ReasonCode::use_another_server);
    told.emplace(goodbye->server_reference.value_or(""));
  }
  EXPECT_EQ(told, (std::multiset<std::string>{"one:1883", "one:1883", "two:1883", "two:1883"}));

  const auto newcomer = world.open(mqtt::Version::v5);
  const auto refused = say_hello(*newcomer, mqtt::Version::v5);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reason, mqtt::ReasonCode::use_another_server);
  EXPECT_EQ(refused->server_reference, "one:1883");
  const auto refused_old = say_hello(*old, mqtt::Version::v3_1_1);
  ASSERT_TRUE(refused_old);
  EXPECT_EQ(refused_old->reason, mqtt::ReasonCode::server_unavailable);

  world.node().drain();
  const auto nowhere = say_hello(*world.open(mqtt::Version::v5), mqtt::Version::v5);
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(nowhere->reason, mqtt::ReasonCode::server_unavailable) << "there is no other server to name";
  EXPECT_FALSE(nowhere->server_reference);

  world.node().undrain();
  const auto again = say_hello(*world.open(mqtt::Version::v5), mqtt::Version::v5);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->reason, mqtt::ReasonCode::success);
}

TEST_F(Control, NodeThatHasNotStartedIsDescribedAtOnce) {
  World other({});
  ASSERT_TRUE(other.start());
  admin::NodeControl early({.node = other.node(),
                            .post = other,
                            .log = other.log(),
                            .state = other.store(),
                            .clock = other.clock(),
                            .registry = other.metrics(),
                            .version = ""});
  ASSERT_FALSE(other.node().ready());
  std::optional<admin::NodeFacts> facts;
  early.describe_node([&](admin::NodeFacts answer) { facts = std::move(answer); });
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->health.ready);
  EXPECT_EQ(facts->health.reason, "starting");
}

TEST_F(Control, BackupIsMadeOnAWorkerAndNeverOverSomething) {
  const auto folder =
      std::filesystem::path(::testing::TempDir()) / ("courier_admin_" + std::to_string(::getpid()));
  const auto make = [&] {
    std::promise<Result<admin::BackupFacts>> promise;
    control->backup(folder, [&](Result<admin::BackupFacts> answer) { promise.set_value(std::move(answer)); });
    return promise.get_future().get();
  };
  connect("phone");
  const auto made = make();
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->position, world.store().position().value);
  const auto again = make();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, make_error_code(admin::errc::conflict));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace courier::sim
