// [[limit]] and what an authenticator grants with a client: on a clock that the test moves.
#include <set>

#include <gtest/gtest.h>

#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::Version;

constexpr Version kBoth[] = {Version::v3_1_1, Version::v5};

quota::Rule rule_of(std::string name) {
  quota::Rule rule;
  rule.name = std::move(name);
  return rule;
}

class NodeQuota : public ::testing::Test {
 protected:
  NodeQuota() {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
  }
  void use(std::vector<quota::Rule> rules) {
    const auto put = world.node().quota().exchange(std::move(rules));
    ASSERT_TRUE(put) << put.error().message;
    world.node().housekeeping();
    world.settle();
  }
  struct As {
    std::string id = "c";
    Version version = Version::v5;
    std::string user = {};
    bool clean = true;
    std::optional<mqtt::Will> will = {};
    uint32_t expiry = 1000;  // unless clean
  };
  std::shared_ptr<Wire> knock(const As& as) {
    auto wire = world.open(as.version);
    mqtt::Connect connect;
    connect.version = as.version;
    connect.client_id = as.id;
    connect.clean_start = as.clean;
    connect.will = as.will;
    connect.keep_alive_seconds = 0;
    if (!as.user.empty()) connect.username = as.user;
    if (as.version == Version::v5 && !as.clean) connect.session_expiry_seconds = as.expiry;
    wire->send(connect);
    world.settle();
    return wire;
  }
  std::shared_ptr<Wire> connect(const As& as) {
    auto wire = knock(as);
    connack = {};
    if (const auto answer = take<mqtt::Connack>(*wire)) connack = *answer;
    EXPECT_EQ(connack.reason, ReasonCode::success) << as.id;
    return wire;
  }
  ReasonCode refused(const As& as) {
    auto wire = knock(as);
    const auto answer = take<mqtt::Connack>(*wire);
    EXPECT_TRUE(answer && wire->closed()) << as.id;
    return answer ? answer->reason : ReasonCode::success;
  }
  static void publish(Wire& wire, std::string_view payload, Qos qos, uint16_t id = 1, bool retain = false,
                      std::string_view topic = "t") {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = qos;
    packet.retain = retain;
    packet.packet_id = PacketId(qos == Qos::at_most_once ? uint16_t{0} : id);
    wire.send(packet);
  }
  static void subscribe(Wire& wire, std::vector<std::string_view> filters) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(1);
    for (const std::string_view filter : filters) {
      packet.entries.push_back({filter, {.qos = Qos::at_least_once}});
    }
    wire.send(packet);
  }
  template <typename T>
  static std::optional<T> take(Wire& wire) {
    while (auto packet = wire.receive()) {
      if (auto* wanted = std::get_if<T>(&*packet)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  template <typename T>
  static size_t count(Wire& wire) {
    size_t n = 0;
    while (take<T>(wire)) ++n;
    return n;
  }
  void pass(int64_t ms) {
    world.advance(ms);
    world.settle();
  }
  double limited(std::string_view limit, std::string_view what, std::string_view outcome) {
    return world.metrics()
        .value(
            "courier_limited_total",
            {{"limit", std::string(limit)}, {"what", std::string(what)}, {"outcome", std::string(outcome)}})
        .value_or(0);
  }

  World world{{}};
  mqtt::Connack connack;
};

// Ten a second, burst of five: whatever it sends at once, so much is taken in time, and all of it is
// acknowledged in the end, in every version.
TEST_F(NodeQuota, WhatComesTooFastIsTakenInTime) {
  quota::Rule rule = rule_of("slow");
  rule.messages = {10, 5};
  use({rule});
  for (const Version version : kBoth) {
    auto wire = connect({.id = version == Version::v5 ? "new" : "old", .version = version});
    for (uint16_t id = 1; id <= 40; ++id) publish(*wire, "x", Qos::at_least_once, id);
    world.settle();
    size_t acknowledged = count<mqtt::Puback>(*wire);
    EXPECT_EQ(acknowledged, 6u);  // the burst, and one into debt
    for (int second = 1; second <= 3; ++second) {
      for (int i = 0; i < 100; ++i) pass(10);
      const size_t more = count<mqtt::Puback>(*wire);
      EXPECT_NEAR(static_cast<double>(more), 10, 1);
      acknowledged += more;
    }
    for (int i = 0; i < 200; ++i) pass(10);
    EXPECT_EQ(acknowledged + count<mqtt::Puback>(*wire), 40u);
  }
  EXPECT_GT(limited("slow", "messages_per_second", "delayed"), 60);
  EXPECT_EQ(limited("slow", "messages_per_second", "refused"), 0);
  EXPECT_NEAR(*world.metrics().value("courier_limit_delay_seconds_total", {{"limit", "slow"}}), 7, 0.5);
}

// A debt past delay_max: 5.0 is told, QoS 0 is dropped, 3.x waits.
TEST_F(NodeQuota, WhatWouldWaitTooLongIsRefusedToWhoCanBeTold) {
  quota::Rule rule = rule_of("bytes");
  rule.bytes = {1000, 1000};
  rule.delay_max_ns = kNsPerSecond;
  use({rule});
  const std::string large(5000, 'x');
  auto watcher = connect({.id = "w"});
  subscribe(*watcher, {"t"});
  world.settle();

  auto v5 = connect({.id = "v5"});
  publish(*v5, large, Qos::at_least_once);
  world.settle();
  const auto refused = take<mqtt::Puback>(*v5);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reason, ReasonCode::quota_exceeded);
  EXPECT_NE(refused->reason_string->find("limit bytes"), std::string_view::npos);
  publish(*v5, large, Qos::at_most_once);
  publish(*v5, "small", Qos::at_least_once, 2);
  pass(100);
  pass(100);
  EXPECT_EQ(take<mqtt::Puback>(*v5)->reason, ReasonCode::success);
  EXPECT_EQ(take<mqtt::Publish>(*watcher)->payload, "small");  // and nothing before it
  EXPECT_EQ(limited("bytes", "bytes_per_second", "refused"), 2);

  auto old = connect({.id = "old", .version = Version::v3_1_1});
  publish(*old, large, Qos::at_least_once);
  old->send(mqtt::Pingreq{});
  world.settle();
  EXPECT_TRUE(take<mqtt::Puback>(*old));  // taken, and then it waits
  pass(3900);
  EXPECT_FALSE(take<mqtt::Pingresp>(*old));
  pass(200);
  EXPECT_TRUE(take<mqtt::Pingresp>(*old));
  EXPECT_FALSE(old->closed());
}

TEST_F(NodeQuota, AnIdentitySharesOneBudgetOverItsConnections) {
  quota::Rule rule = rule_of("mine");
  rule.per = quota::Per::identity;
  rule.messages = {10, 1};
  use({rule});
  std::vector<std::shared_ptr<Wire>> wires;
  for (const char* id : {"a", "b", "c", "d"}) wires.push_back(connect({.id = id, .user = "alice"}));
  std::set<uint32_t> shards;
  for (const auto& wire : wires) shards.insert(wire->shard());
  EXPECT_EQ(shards.size(), 2u);
  auto other = connect({.id = "e", .user = "bob"});
  wires.push_back(other);
  for (auto& wire : wires) {
    for (uint16_t id = 1; id <= 99; ++id) publish(*wire, "x", Qos::at_least_once, id);
  }
  for (int i = 0; i < 200; ++i) pass(10);
  size_t alice = 0;
  for (size_t i = 0; i < 4; ++i) alice += count<mqtt::Puback>(*wires[i]);
  EXPECT_NEAR(static_cast<double>(alice), 24, 2);  // 2 s of ten, and one into debt each
  EXPECT_NEAR(static_cast<double>(count<mqtt::Puback>(*other)), 21, 2);
}

TEST_F(NodeQuota, TooLargePayloads) {
  quota::Rule rule = rule_of("small");
  rule.payload_bytes_max = 4;
  use({rule});
  auto v5 = connect({.id = "v5"});
  publish(*v5, "12345", Qos::exactly_once);
  world.settle();
  EXPECT_EQ(take<mqtt::Pubrec>(*v5)->reason, ReasonCode::quota_exceeded);
  pass(200);
  publish(*v5, "1234", Qos::exactly_once, 2);
  world.settle();
  EXPECT_LT(take<mqtt::Pubrec>(*v5)->reason, ReasonCode::unspecified_error);
  auto old = connect({.id = "old", .version = Version::v3_1_1});
  publish(*old, "12345", Qos::at_most_once);
  publish(*old, "1234", Qos::at_least_once);
  world.settle();
  EXPECT_FALSE(take<mqtt::Puback>(*old));  // who was refused is not read for a moment
  pass(200);
  EXPECT_TRUE(take<mqtt::Puback>(*old));
  publish(*old, "12345", Qos::at_least_once, 2);
  world.settle();
  EXPECT_FALSE(take<mqtt::Puback>(*old));  // not acknowledged, for it is not kept
  EXPECT_TRUE(old->closed());
  EXPECT_EQ(refused({.id = "w", .will = mqtt::Will{.topic = "t", .payload = "12345"}}),
            ReasonCode::packet_too_large);
  connect({.id = "w", .will = mqtt::Will{.topic = "t", .payload = "1234"}});
}

TEST_F(NodeQuota, ConnectionsAreRefusedAndCountedExactly) {
  quota::Rule rule = rule_of("two");
  rule.per = quota::Per::identity;
  rule.connections_max = 2;
  use({rule});
  for (int round = 0; round < 3; ++round) {
    auto a = connect({.id = "a", .user = "u"}), b = connect({.id = "b", .user = "u", .clean = false});
    EXPECT_EQ(refused({.id = "c", .user = "u"}), ReasonCode::quota_exceeded);
    EXPECT_EQ(refused({.id = "c", .version = Version::v3_1_1, .user = "u"}), ReasonCode::server_unavailable);
    connect({.id = "d", .user = "v"});
    // The same clients again are no more than before.
    auto again = connect({.id = "a", .user = "u"}), both = connect({.id = "b", .user = "u", .clean = false});
    EXPECT_TRUE(a->closed() && b->closed());
    EXPECT_EQ(refused({.id = "c", .user = "u"}), ReasonCode::quota_exceeded);
    again->reset();
    world.settle();
    auto c = connect({.id = "c", .user = "u"});
    EXPECT_EQ(refused({.id = "x", .user = "u"}), ReasonCode::quota_exceeded);
    c->send(mqtt::Disconnect{});
    both->reset();
    world.settle();
  }
  EXPECT_EQ(limited("two", "connections_max", "refused"), 12);
}

// Whoever attaches, waits or is overtaken in any order: at the end nobody is counted.
TEST_F(NodeQuota, TakeoversInAHurryLeaveNoCount) {
  quota::Rule rule = rule_of("one");
  rule.per = quota::Per::identity;
  rule.connections_max = 1;
  use({rule});
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::shared_ptr<Wire>> wires;
    for (int i = 0; i < 6; ++i) {
      auto wire = world.open(Version::v5);
      mqtt::Connect connect;
      connect.version = Version::v5;
      connect.client_id = "same";
      connect.username = "u";
      connect.clean_start = random() % 2 == 0;
      connect.session_expiry_seconds = random() % 2 == 0 ? 100 : 0;
      wire->send(connect);
      for (int n = static_cast<int>(random() % 8); n > 0; --n) world.step(random);
      if (random() % 4 == 0) wire->reset();
      wires.push_back(std::move(wire));
    }
    world.settle();
    for (auto& wire : wires) wire->reset();
    world.settle();
    auto alone = connect({.id = "other", .user = "u"});
    EXPECT_EQ(refused({.id = "third", .user = "u"}), ReasonCode::quota_exceeded);
    alone->reset();
    world.settle();
  }
}

TEST_F(NodeQuota, ConnectsWaitForTheirTurnAndThenAreRefused) {
  quota::Rule rule = rule_of("storm");
  rule.per = quota::Per::all;
  rule.connects = {10, 1};
  rule.delay_max_ns = kNsPerSecond / 2;
  use({rule});
  std::vector<std::shared_ptr<Wire>> wires;
  for (int i = 0; i < 10; ++i) {
    wires.push_back(knock({.id = "c" + std::to_string(i), .version = kBoth[i % 2]}));
  }
  size_t in = 0, out = 0;
  const auto look = [&] {
    for (auto& wire : wires) {
      const auto answer = take<mqtt::Connack>(*wire);
      if (!answer) continue;
      if (answer->reason == ReasonCode::success) {
        ++in;
      } else {
        ++out;
        EXPECT_TRUE(answer->reason == ReasonCode::connection_rate_exceeded ||
                    answer->reason == ReasonCode::server_unavailable);
      }
    }
  };
  look();
  EXPECT_EQ(in, 1u);
  EXPECT_EQ(out, 4u);
  pass(100);
  look();
  EXPECT_EQ(in, 2u);
  wires[2]->reset();  // who gives up meanwhile is nobody's trouble
  pass(1000);
  look();
  EXPECT_EQ(in, 5u);
  EXPECT_EQ(out, 4u);
}

TEST_F(NodeQuota, SubscriptionsAndRetainedMessagesAndTheWindow) {
  quota::Rule rule = rule_of("own");
  rule.subscriptions_max = 2;
  rule.retained_messages_max = 2;
  rule.inflight_max = 3;
  use({rule});
  for (const Version version : kBoth) {
    auto wire = connect({.id = version == Version::v5 ? "n" : "o", .version = version});
    subscribe(*wire, {"x/1", "x/2", "x/1", "x/3"});
    world.settle();
    const auto suback = take<mqtt::Suback>(*wire);
    ASSERT_TRUE(suback);
    EXPECT_FALSE(mqtt::is_error(suback->reasons[2]));
    EXPECT_TRUE(mqtt::is_error(suback->reasons[3]));
  }
  auto wire = connect({.id = "retainer"});
  publish(*wire, "1", Qos::at_least_once, 1, true, "r/1");
  publish(*wire, "2", Qos::at_least_once, 2, true, "r/2");
  world.settle();
  publish(*wire, "3", Qos::at_least_once, 3, true, "r/3");
  publish(*wire, "1 again", Qos::at_least_once, 4, true, "r/1");
  world.settle();
  EXPECT_FALSE(mqtt::is_error(take<mqtt::Puback>(*wire)->reason));
  EXPECT_FALSE(mqtt::is_error(take<mqtt::Puback>(*wire)->reason));
  const auto third = take<mqtt::Puback>(*wire);
  EXPECT_EQ(third->reason, ReasonCode::quota_exceeded);
  EXPECT_FALSE(mqtt::is_error(take<mqtt::Puback>(*wire)->reason));
  publish(*wire, "", Qos::at_least_once, 5, true, "r/2");  // room again
  world.settle();
  publish(*wire, "3", Qos::at_least_once, 6, true, "r/3");
  world.settle();
  EXPECT_FALSE(mqtt::is_error(take<mqtt::Puback>(*wire)->reason));
  EXPECT_FALSE(mqtt::is_error(take<mqtt::Puback>(*wire)->reason));

  auto reader = connect({.id = "reader"});
  subscribe(*reader, {"t"});
  world.settle();
  for (uint16_t id = 10; id < 20; ++id) publish(*wire, "m", Qos::at_least_once, id);
  world.settle();
  EXPECT_EQ(count<mqtt::Publish>(*reader), 3u);
}

TEST_F(NodeQuota, OtherRulesHoldForThoseWhoAreConnected) {
  auto publisher = connect({.id = "p"}), reader = connect({.id = "r"});
  subscribe(*reader, {"t"});
  world.settle();
  quota::Rule rule = rule_of("slow");
  rule.messages = {1, 1};
  rule.inflight_max = 2;
  use({rule});
  for (uint16_t id = 1; id <= 10; ++id) publish(*publisher, "x", Qos::at_least_once, id);
  world.settle();
  EXPECT_EQ(count<mqtt::Puback>(*publisher), 2u);
  EXPECT_EQ(count<mqtt::Publish>(*reader), 2u);
  // What it waits for is gone: it goes on at once, and its window is what it was.
  use({});
  EXPECT_EQ(count<mqtt::Puback>(*publisher), 8u);
  EXPECT_EQ(count<mqtt::Publish>(*reader), 8u);
  quota::Rule one = rule_of("one");
  one.per = quota::Per::all;
  one.connections_max = 2;
  use({one});
  EXPECT_EQ(refused({.id = "x"}), ReasonCode::quota_exceeded);
  publisher->reset();
  world.settle();
  connect({.id = "x"});
}

// --- what an authenticator grants with a client ---

TEST_F(NodeQuota, TermsDecideAboutTheSession) {
  world.authenticator().more = [](auth::Decision& decision) {
    decision.terms.session_expiry_seconds = 60;
    decision.terms.clean_start = false;
  };
  auto wire = connect({.id = "s", .clean = true});
  EXPECT_EQ(connack.session_expiry_seconds, 60u);
  wire->send(mqtt::Disconnect{.session_expiry_seconds = 100'000});  // 60 is all there is
  world.settle();
  pass(59'000);
  wire = connect({.id = "s", .clean = true});
  EXPECT_TRUE(connack.session_present);
  wire->reset();
  world.settle();
  pass(61'000);
  wire = connect({.id = "s", .clean = true});
  EXPECT_FALSE(connack.session_present);
  auto old = connect({.id = "o", .version = Version::v3_1_1, .clean = true});
  old->reset();
  world.settle();
  old = connect({.id = "o", .version = Version::v3_1_1, .clean = true});
  EXPECT_TRUE(connack.session_present);
  // The other way round.
  world.authenticator().more = [](auth::Decision& decision) { decision.terms.clean_start = true; };
  old->reset();
  world.settle();
  old = connect({.id = "o", .version = Version::v3_1_1, .clean = false});
  EXPECT_FALSE(connack.session_present);
  old->reset();
  world.settle();
  world.authenticator().more = {};
  old = connect({.id = "o", .version = Version::v3_1_1, .clean = false});
  EXPECT_FALSE(connack.session_present);
}

TEST_F(NodeQuota, TermsBoundTheTimeOfAConnection) {
  world.authenticator().more = [](auth::Decision& decision) { decision.terms.connection_seconds_max = 30; };
  auto wire = connect({.id = "s"});
  auto old = connect({.id = "o", .version = Version::v3_1_1});
  pass(29'000);
  EXPECT_FALSE(wire->closed());
  pass(3'000);
  EXPECT_TRUE(wire->closed() && old->closed());
  EXPECT_EQ(take<mqtt::Disconnect>(*wire)->reason, ReasonCode::maximum_connect_time);
  // A token that ends sooner is told as such.
  world.authenticator().more = [this](auth::Decision& decision) {
    decision.terms.connection_seconds_max = 30;
    decision.expires_at = world.clock().wall_ms() + 5'000;
  };
  wire = connect({.id = "s"});
  pass(6'000);
  EXPECT_EQ(take<mqtt::Disconnect>(*wire)->reason, ReasonCode::not_authorized);
}

// A node of a cluster whose machine has a wrong clock: the world's is the time of the cluster.
class NodeWithAWrongClock : public NodeQuota {
 protected:
  ~NodeWithAWrongClock() override { world.crash(); }
  void begin(WallMs ahead_ms) {
    world.crash();
    machine.jump(ahead_ms);
    world.machine_clock = &machine;
    auto opened = admission::Bans::open("", machine, registry);
    ASSERT_TRUE(opened.has_value());
    bans = *std::move(opened);
    world.bans = bans.get();
    world.flapping = &flapping;
    ASSERT_TRUE(world.start().has_value());
    world.settle();
  }
  void pass_on_both(int64_t ms) {
    machine.advance(ms);
    pass(ms);
  }
  static constexpr WallMs kHour = 3'600'000;
  SimClock machine;
  Registry registry;
  std::unique_ptr<admission::Bans> bans;
  admission::Flapping flapping{{.connects = 3, .ban_ms = 60'000}};
};

TEST_F(NodeWithAWrongClock, TokensEndWhenTheyWouldByTheMachinesClock) {
  for (const WallMs ahead : {kHour, -2 * kHour}) {  // an hour ahead of the cluster, then one behind
    begin(ahead);
    world.authenticator().more = [this](auth::Decision& decision) {
      decision.expires_at = machine.wall_ms() + 10'000;
    };
    auto wire = connect({.id = "token"});
    pass_on_both(8'000);
    EXPECT_FALSE(wire->closed());
    pass_on_both(3'000);
    EXPECT_TRUE(wire->closed());
    EXPECT_EQ(take<mqtt::Disconnect>(*wire)->reason, ReasonCode::not_authorized);
    world.authenticator().more = {};
  }
}

TEST_F(NodeWithAWrongClock, AMillisecondCostsATokenNoSecond) {
  begin(1);
  world.authenticator().more = [this](auth::Decision& decision) {
    decision.expires_at = machine.wall_ms() / 1000 * 1000 + 10'000;
  };
  auto wire = connect({.id = "token"});
  pass_on_both(9'500);
  EXPECT_FALSE(wire->closed());
  pass_on_both(1'000);
  EXPECT_TRUE(wire->closed());
}

TEST_F(NodeWithAWrongClock, ATokenWithoutAnEndHasNoneWhateverTheClocks) {
  begin(-kHour);
  for (const WallMs ends : {INT64_MAX, WallMs{UINT32_MAX} * 1000}) {
    world.authenticator().more = [ends](auth::Decision& decision) { decision.expires_at = ends; };
    auto wire = connect({.id = "token"});
    pass_on_both(1'000);
    EXPECT_FALSE(wire->closed());
  }
}

TEST_F(NodeWithAWrongClock, BansOfWhoFlapsLastAsLongAsTheyShould) {
  for (const WallMs ahead : {kHour, -2 * kHour}) {
    begin(ahead);
    for (int i = 0; i < 3; ++i) connect({.id = "flaps"});
    knock({.id = "flaps"});
    EXPECT_EQ(refused({.id = "flaps"}), ReasonCode::banned);
    pass_on_both(50'000);
    EXPECT_EQ(refused({.id = "flaps"}), ReasonCode::banned);
    pass_on_both(11'000);
    connect({.id = "flaps"});
    flapping.use({});  // forgets
    flapping.use({.connects = 3, .ban_ms = 60'000});
  }
}

TEST_F(NodeQuota, TermsBoundMessagesAndTheWindow) {
  world.authenticator().more = [](auth::Decision& decision) {
    decision.terms.message_bytes_max = 4;
    decision.terms.messages_per_second_max = 2;
    decision.terms.inflight_messages_max = 1;
  };
  auto wire = connect({.id = "s"});
  publish(*wire, "12345", Qos::at_least_once);
  world.settle();
  const auto refused = take<mqtt::Puback>(*wire);
  EXPECT_EQ(refused->reason, ReasonCode::quota_exceeded);
  pass(100);
  for (uint16_t id = 1; id <= 20; ++id) publish(*wire, "1234", Qos::at_least_once, id);
  world.settle();
  EXPECT_EQ(count<mqtt::Puback>(*wire), 3u);
  for (int i = 0; i < 300; ++i) pass(10);
  EXPECT_NEAR(static_cast<double>(count<mqtt::Puback>(*wire)), 6, 1);
  world.authenticator().more = [](auth::Decision& decision) { decision.terms.inflight_messages_max = 1; };
  auto reader = connect({.id = "r"});
  subscribe(*reader, {"t"});
  auto other = connect({.id = "p"});
  for (uint16_t id = 1; id <= 5; ++id) publish(*other, "x", Qos::at_least_once, id);
  world.settle();
  EXPECT_EQ(count<mqtt::Publish>(*reader), 1u);
}

// The bound of its inbox is the session's: it outlives the connection, and a crash.
TEST_F(NodeQuota, TermsBoundWhatIsQueued) {
  world.authenticator().more = [](auth::Decision& decision) {
    if (decision.identity.username == "small") decision.terms.queued_messages_max = 3;
  };
  auto reader = connect({.id = "r", .user = "small", .clean = false});
  subscribe(*reader, {"t"});
  world.settle();
  reader->reset();
  world.settle();
  world.checkpoint();
  world.settle();
  world.crash();
  ASSERT_TRUE(world.start().has_value());
  world.settle();
  auto publisher = connect({.id = "p"});
  for (uint16_t id = 1; id <= 10; ++id) {
    publish(*publisher, "m" + std::to_string(id), Qos::at_least_once, id);
    world.settle();
  }
  reader = connect({.id = "r", .user = "small", .clean = false});
  EXPECT_TRUE(connack.session_present);
  EXPECT_EQ(take<mqtt::Publish>(*reader)->payload, "m8");
  EXPECT_EQ(count<mqtt::Publish>(*reader), 2u);
}

}  // namespace
}  // namespace courier::sim
