// What a client can make a node keep, or do, has a bound, however much it sends before it reads.
#include <gtest/gtest.h>

#include "record/codec.h"
#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::Version;

World::Options one_shard(broker::Limits limits) {
  return {.shards = 1, .limits = limits};
}

class Bounded {
 public:
  explicit Bounded(broker::Limits limits, uint32_t shards = 1) : world({.shards = shards, .limits = limits}) {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
  }
  std::shared_ptr<Wire> connect(std::string_view id, Version version = Version::v5,
                                std::optional<mqtt::Will> will = {}, bool clean = true) {
    auto wire = world.open(version);
    mqtt::Connect connect;
    connect.version = version;
    connect.client_id = id;
    connect.clean_start = clean;
    connect.will = will;
    if (version == Version::v5 && !clean) connect.session_expiry_seconds = 1000;
    wire->send(connect);
    world.settle();
    EXPECT_TRUE(take<mqtt::Connack>(*wire));
    return wire;
  }
  static void subscribe(Wire& wire, std::vector<std::string_view> filters, uint16_t id = 1,
                        mqtt::SubscriptionOptions options = {}) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(id);
    for (const std::string_view filter : filters) packet.entries.push_back({filter, options});
    wire.send(packet);
  }
  static void publish(Wire& wire, std::string_view topic, std::string_view payload, uint16_t id = 0,
                      bool retain = false) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.retain = retain;
    packet.qos = id == 0 ? Qos::at_most_once : Qos::at_least_once;
    packet.packet_id = PacketId(id);
    wire.send(packet);
  }
  // The next packet of this kind; others before it are skipped. The packet's views live until the next call.
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

  World world;
};

TEST(NodeLimits, SubscribesOnTheirWayCountAgainstTheSubscriptionLimit) {
  broker::Limits limits;
  limits.subscriptions_per_client_max = 3;
  Bounded node(limits);
  auto client = node.connect("c");
  for (uint16_t id = 1; id <= 5; ++id) node.subscribe(*client, {"filter/" + std::to_string(id)}, id);
  node.world.settle();
  for (int i = 0; i < 5; ++i) {
    const auto suback = node.take<mqtt::Suback>(*client);
    ASSERT_TRUE(suback);
    const uint16_t id = suback->packet_id.value;
    EXPECT_EQ(suback->reasons.at(0), id <= 3 ? ReasonCode::success : ReasonCode::quota_exceeded) << id;
  }
  EXPECT_EQ(node.world.node().shard(0).find("", "c")->session.subscription_count, 3u);
}

TEST(NodeLimits, AFilterThatAPacketNamesOftenIsOneSubscription) {
  broker::Limits limits;
  limits.subscriptions_per_client_max = 2;
  Bounded node(limits);
  auto client = node.connect("c");
  node.subscribe(*client, {"a", "a", "a", "b", "a"});
  node.world.settle();
  const auto suback = node.take<mqtt::Suback>(*client);
  ASSERT_TRUE(suback);
  EXPECT_EQ(suback->reasons, std::vector<ReasonCode>(5, ReasonCode::success));
  EXPECT_EQ(node.world.node().shard(0).find("", "c")->session.subscription_count, 2u);
}

TEST(NodeLimits, AnswersThatNobodyReadsEndTheConnection) {
  broker::Limits limits;
  limits.output_bytes_max = 1024;
  Bounded node(limits);
  auto client = node.connect("c");
  for (int i = 0; i < 600; ++i) client->send(mqtt::Pingreq{});
  node.world.settle();
  EXPECT_FALSE(client->closed());  // it could have been reading
  for (int i = 0; i < 2000; ++i) client->send(mqtt::Pingreq{});
  node.world.settle();
  EXPECT_TRUE(client->closed());
  EXPECT_EQ(
      node.world.metrics().value("courier_disconnects_total", {{"reason", "output_overflow"}}).value_or(0),
      1);
  EXPECT_LE(client->to_client_bytes(), 3000u);
}

TEST(NodeLimits, WhoFillsTheLogIsNotReadUntilThereIsRoom) {
  broker::Limits limits;
  limits.uncommitted_bytes_max = 10'000;
  Bounded node(limits);
  auto subscriber = node.connect("s", Version::v5, {}, false), publisher = node.connect("p");
  mqtt::SubscriptionOptions options;
  options.qos = Qos::at_least_once;
  node.subscribe(*subscriber, {"t"}, 1, options);
  node.world.settle();
  for (uint16_t id = 1; id <= 90; ++id) node.publish(*publisher, "t", std::string(100, 'x'), id);
  node.world.read();
  EXPECT_GT(publisher->to_node_bytes(), 50u * 100u);
  // A client that only answers is read all the same.
  subscriber->send(mqtt::Pingreq{});
  node.world.read();
  EXPECT_EQ(subscriber->to_node_bytes(), 0u);
  node.world.settle();
  EXPECT_EQ(publisher->to_node_bytes(), 0u);
  EXPECT_EQ(node.count<mqtt::Puback>(*publisher), 90u);
}

TEST(NodeLimits, APublisherBefore5WaitsForMemoryAndIsReadAgain) {
  broker::Limits limits;
  limits.memory_bytes_max = 1000;
  Bounded node(limits);
  auto publisher = node.connect("p", Version::v3_1_1);
  node.world.node().set_memory(2000);
  node.publish(*publisher, "t", "first", 1);
  node.world.settle();
  node.publish(*publisher, "t", "second", 2);
  node.world.advance(1000);
  EXPECT_GT(publisher->to_node_bytes(), 0u);
  node.world.node().set_memory(500);
  node.world.advance(1000);
  node.world.settle();
  EXPECT_EQ(publisher->to_node_bytes(), 0u);
  EXPECT_EQ(node.count<mqtt::Puback>(*publisher), 2u);
}

TEST(NodeLimits, ReplacingARetainedMessageByALargerOneNeedsRoom) {
  broker::Limits limits;
  limits.retained_bytes_max = 100'000;
  Bounded node(limits);
  auto client = node.connect("c");
  const auto retain = [&](std::string_view payload) {
    node.publish(*client, "t", payload, 1, true);
    node.world.settle();
    const auto puback = node.take<mqtt::Puback>(*client);
    return puback ? puback->reason : ReasonCode::unspecified_error;
  };
  EXPECT_FALSE(mqtt::is_error(retain("small")));
  EXPECT_EQ(retain(std::string(200'000, 'x')), ReasonCode::quota_exceeded);
  EXPECT_FALSE(mqtt::is_error(retain(std::string(50'000, 'x'))));
  EXPECT_FALSE(mqtt::is_error(retain(std::string(50'000, 'y'))));
  EXPECT_FALSE(mqtt::is_error(retain("")));
  EXPECT_EQ(node.world.node().shard(0).connection_count(), 1u);
}

TEST(NodeLimits, AWillIsNotRetainedBeyondTheLimit) {
  broker::Limits limits;
  limits.retained_messages_max = 1;
  Bounded node(limits);
  auto watcher = node.connect("watcher");
  node.subscribe(*watcher, {"will/#"});
  for (const std::string id : {"a", "b", "c"}) {
    mqtt::Will will;
    const std::string topic = "will/" + id;
    will.topic = topic;
    will.payload = "gone";
    will.retain = true;
    auto dying = node.connect(id, Version::v5, will);
    dying->reset();
    node.world.settle();
  }
  EXPECT_EQ(node.count<mqtt::Publish>(*watcher), 3u);
  auto late = node.connect("late");
  node.subscribe(*late, {"will/#"});
  node.world.settle();
  EXPECT_EQ(node.count<mqtt::Publish>(*late), 1u);
}

TEST(NodeLimits, WhatWaitsForASubackIsBounded) {
  broker::Limits limits;
  limits.output_bytes_max = 10'000;
  Bounded node(limits);
  auto subscriber = node.connect("s"), publisher = node.connect("p");
  node.subscribe(*subscriber, {"a"}, 1);
  node.world.settle();
  ASSERT_TRUE(node.take<mqtt::Suback>(*subscriber));
  node.subscribe(*subscriber, {"b"}, 2);  // on its way to the log
  node.world.read();
  for (int i = 0; i < 100; ++i) node.publish(*publisher, "a", std::string(1000, 'x'));
  node.world.settle();
  ASSERT_TRUE(node.take<mqtt::Suback>(*subscriber));
  const size_t got = node.count<mqtt::Publish>(*subscriber);
  EXPECT_GE(got, 5u);
  EXPECT_LE(got, 15u);
}

// Its DROPPED is on the way when a checkpoint lets go of the inbox, and a connection reads it back.
TEST(NodeLimits, WhatIsBeingDroppedIsNotSentMeanwhile) {
  Bounded node({.inbox_messages_max = 2});
  World& world = node.world;
  const auto asleep = node.connect("s", Version::v5, {}, false);
  Bounded::subscribe(*asleep, {"a"}, 1, {Qos::at_least_once});
  world.settle();
  asleep->reset();
  const auto publisher = node.connect("p");
  for (uint16_t id = 1; id <= 2; ++id) Bounded::publish(*publisher, "a", std::to_string(id), id);
  world.settle();

  Bounded::publish(*publisher, "a", "3", 3);
  world.turn(0);
  const auto subscriber = world.open(Version::v5);
  mqtt::Connect connect;
  connect.version = Version::v5;
  connect.client_id = "s";
  connect.clean_start = false;
  connect.session_expiry_seconds = 1000;
  connect.receive_maximum = 1;
  subscriber->send(connect);
  for (int i = 0; i < 3; ++i) world.turn(0);
  ASSERT_EQ(world.log().waiting(), 2u) << "the PUBLISH, the ATTACH";
  ASSERT_TRUE(world.log().commit_next());
  world.turn(0);
  ASSERT_EQ(world.log().waiting(), 2u) << "the ATTACH, the DROPPED";
  const auto work = [&] {  // of the workers, while nothing is committed
    world.log().stall("for the test");
    world.quiesce();
    world.turn(0);
    world.log().unstall();
  };
  world.node().checkpoint();
  work();
  ASSERT_TRUE(world.log().commit_next());
  world.turn(0);
  work();
  world.settle();
  for (const char* payload : {"2", "3"}) {
    const auto got = Bounded::take<mqtt::Publish>(*subscriber);
    ASSERT_TRUE(got) << payload;
    EXPECT_EQ(got->payload, payload);
    subscriber->send(mqtt::Puback{{got->packet_id, {}, {}, {}}});
    world.settle();
  }
}

// Nobody of the group is there; housekeeping never comes.
class CrowdedGroup : public Bounded {
 public:
  explicit CrowdedGroup(broker::Limits limits) : Bounded(limits) {
    auto member = connect("member", Version::v5, {}, false);
    subscribe(*member, {"$share/g/a"}, 1, {Qos::at_least_once});
    world.settle();
    member->reset();
    world.settle();
    publisher = connect("p");
  }
  // The reason of the PUBACK.
  ReasonCode publish_one(std::string_view payload) {
    publish(*publisher, "a", payload, ++id);
    world.settle();
    const auto puback = take<mqtt::Puback>(*publisher);
    EXPECT_TRUE(puback);
    return puback ? puback->reason : ReasonCode::unspecified_error;
  }
  std::vector<std::string> waiting() {
    auto member = connect("member", Version::v5, {}, false);
    world.settle();
    std::vector<std::string> payloads;
    while (const auto message = take<mqtt::Publish>(*member)) payloads.emplace_back(message->payload);
    return payloads;
  }
  // By the reasons that the log's DROPPED records give.
  size_t dropped(record::DropReason reason) {
    size_t count = 0;
    for (const auto& value : world.whole_log()) {
      const auto batch = record::decode_batch(value.bytes);
      EXPECT_TRUE(batch);
      for (const record::Record& record : batch->records) {
        const auto* drop = std::get_if<record::Dropped>(&record);
        if (drop && drop->reason == reason) count += drop->messages.size();
      }
    }
    return count;
  }
  double counted() {
    return world.metrics()
        .value("courier_messages_dropped_total", {{"reason", "inbox_full"}, {"label", ""}})
        .value_or(0);
  }

  std::shared_ptr<Wire> publisher;
  uint16_t id = 0;
};

TEST(NodeLimits, AGroupsInboxIsBoundedByBytesAtThePublish) {
  CrowdedGroup group({.shared_inbox_bytes_max = 20'000});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(group.publish_one(std::to_string(i) + std::string(5'000, 'x')), ReasonCode::success);
  }
  EXPECT_EQ(group.counted(), 7);
  EXPECT_EQ(group.dropped(record::DropReason::inbox_full_bytes), 7u);
  EXPECT_EQ(group.dropped(record::DropReason::inbox_full_messages), 0u);
  const auto left = group.waiting();
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left.front().front(), '7') << "the oldest went";
}

TEST(NodeLimits, AGroupsInboxIsBoundedByCountAtThePublish) {
  CrowdedGroup group({.shared_inbox_messages_max = 3});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(group.publish_one(std::to_string(i)), ReasonCode::success);
  EXPECT_EQ(group.counted(), 7);
  EXPECT_EQ(group.dropped(record::DropReason::inbox_full_messages), 7u);
  EXPECT_EQ(group.waiting(), (std::vector<std::string>{"7", "8", "9"}));
}

TEST(NodeLimits, ABurstIntoAGroupIsCutToItsBoundsOnce) {
  CrowdedGroup group({.shared_inbox_messages_max = 3});
  for (uint16_t id = 1; id <= 50; ++id) group.publish(*group.publisher, "a", std::to_string(id), id);
  group.world.settle();
  EXPECT_EQ(group.counted(), 47);
  EXPECT_EQ(group.dropped(record::DropReason::inbox_full_messages), 47u);
  EXPECT_EQ(group.waiting(), (std::vector<std::string>{"48", "49", "50"}));
}

TEST(NodeLimits, AGroupsFullInboxRefusesIfThatIsThePolicy) {
  CrowdedGroup group({.inbox_policy = broker::InboxPolicy::refuse, .shared_inbox_bytes_max = 20'000});
  const std::string payload(5'000, 'x');
  for (int i = 0; i < 4; ++i) EXPECT_EQ(group.publish_one(payload), ReasonCode::success) << i;
  EXPECT_EQ(group.publish_one(payload), ReasonCode::quota_exceeded);
  EXPECT_EQ(group.counted(), 0);
  EXPECT_EQ(group.waiting().size(), 4u);
  // Somebody is there now.
  EXPECT_EQ(group.publish_one(payload), ReasonCode::success);
}

TEST(NodeLimits, UnderThePolicyRefuseADropForBytesSaysSo) {
  // 3.x cannot be refused. Three messages are more than the limit, but what they pass is twice the bytes.
  CrowdedGroup node({.inbox_messages_max = 2,
                     .inbox_bytes_max = 10'000,
                     .inbox_policy = broker::InboxPolicy::refuse,
                     .shared_inbox_messages_max = 2,
                     .shared_inbox_bytes_max = 10'000});
  auto asleep = node.connect("s", Version::v5, {}, false);
  Bounded::subscribe(*asleep, {"b"}, 1, {Qos::at_least_once});
  node.world.settle();
  asleep->reset();
  auto old = node.connect("old", Version::v3_1_1);
  for (const std::string_view topic : {"a", "b"}) {  // a group's, a session's
    for (uint16_t id = 1; id <= 6; ++id) {
      Bounded::publish(*old, topic, std::string(5'000, 'x'), id);
      node.world.settle();
    }
  }
  EXPECT_EQ(node.dropped(record::DropReason::inbox_full_bytes), 6u);
  EXPECT_EQ(node.dropped(record::DropReason::inbox_full_messages), 0u);
}

// Three messages of a sleeping session, the second of them damaged on the disk.
class DamagedInbox {
 public:
  using Damage = std::function<void(store::MemoryImage&)>;
  DamagedInbox(broker::Limits limits, const Damage& damage) : limits_(limits) {
    Bounded before(limits);
    const auto asleep = before.connect("s", Version::v5, {}, false);
    Bounded::subscribe(*asleep, {"a"}, 1, {Qos::at_least_once});
    const auto second = before.connect("s2", Version::v5, {}, false);  // so that the messages are shared
    Bounded::subscribe(*second, {"a"}, 1, {Qos::at_least_once});
    before.world.settle();
    asleep->reset();
    second->reset();
    const auto publisher = before.connect("p");
    for (uint16_t id = 1; id <= 3; ++id) Bounded::publish(*publisher, "a", std::to_string(id), id);
    before.world.settle();
    before.world.checkpoint();
    store::MemoryImage image = before.world.image();
    damage(image);
    world = std::make_unique<World>(one_shard(limits), std::move(image));
    EXPECT_TRUE(world->start().has_value());
    world->settle();
  }
  // The value of the n-th row of inboxes: "s" has the first three.
  static std::string& row(store::MemoryImage& image, size_t n) {
    auto& rows = image.tables[static_cast<size_t>(store::Table::inbox)];
    EXPECT_EQ(rows.size(), 6u);
    return std::next(rows.begin(), static_cast<ptrdiff_t>(n))->second;
  }
  std::shared_ptr<Wire> connect(std::string_view id, bool clean) {
    auto wire = world->open(Version::v5);
    mqtt::Connect connect;
    connect.version = Version::v5;
    connect.client_id = id;
    connect.clean_start = clean;
    if (!clean) connect.session_expiry_seconds = 1000;
    wire->send(connect);
    world->settle();
    return wire;
  }
  void publish(int count) {
    const auto publisher = connect("p", true);
    for (uint16_t id = 1; id <= count; ++id) {
      Bounded::publish(*publisher, "a", "new " + std::to_string(id), id);
      world->settle();
    }
    EXPECT_EQ(Bounded::count<mqtt::Puback>(*publisher), static_cast<size_t>(count));
    publisher->reset();
    world->settle();
  }
  std::vector<std::string> waiting(std::string_view id) {
    const auto client = connect(id, false);
    std::vector<std::string> payloads;
    while (const auto message = Bounded::take<mqtt::Publish>(*client)) {
      payloads.emplace_back(message->payload);
    }
    return payloads;
  }
  double value(std::string_view name, std::string_view reason = "") {
    if (reason.empty()) return world->metrics().total(name);
    return world->metrics().value(name, {{"reason", std::string(reason)}, {"label", ""}}).value_or(0);
  }
  uint64_t messages(std::string_view id) {
    return world->node().shard(0).find("", id)->session.inbox.count();
  }

  std::unique_ptr<World> world;

 private:
  broker::Limits limits_;
};

TEST(NodeLimits, AnInboxGivesUpADamagedRowWhenItIsFull) {
  DamagedInbox node({.inbox_messages_max = 3},
                    [](store::MemoryImage& image) { DamagedInbox::row(image, 1) = "no row"; });
  EXPECT_EQ(node.value("courier_messages_dropped_total", "unreadable"), 0);
  node.publish(1);
  EXPECT_EQ(node.value("courier_messages_dropped_total", "unreadable"), 1) << "before anything readable";
  EXPECT_EQ(node.messages("s"), 3u);
  EXPECT_GE(node.value("courier_inbox_read_failures_total"), 1);
  EXPECT_EQ(node.waiting("s"), (std::vector<std::string>{"1", "3", "new 1"}));
}

TEST(NodeLimits, ManyMessagesGoPastADamagedRow) {
  DamagedInbox node({.inbox_messages_max = 3},
                    [](store::MemoryImage& image) { DamagedInbox::row(image, 1) = "no row"; });
  node.publish(20);
  EXPECT_EQ(node.messages("s"), 3u);
  EXPECT_EQ(node.messages("s2"), 3u);
  EXPECT_EQ(node.waiting("s"), (std::vector<std::string>{"new 18", "new 19", "new 20"}));
  EXPECT_EQ(node.value("courier_messages_dropped_total", "unreadable"), 1);
  node.world->checkpoint();
  EXPECT_TRUE(node.world->running());
}

TEST(NodeLimits, AnInboxGivesUpARowWhoseMessageIsDamaged) {
  DamagedInbox node({.inbox_messages_max = 3}, [](store::MemoryImage& image) {
    ASSERT_EQ(image.messages.size(), 3u);
    image.messages.erase(std::next(image.messages.begin()));
  });
  node.publish(2);
  EXPECT_EQ(node.value("courier_messages_dropped_total", "unreadable"), 2) << "of both sessions";
  EXPECT_EQ(node.waiting("s"), (std::vector<std::string>{"3", "new 1", "new 2"}));
}

TEST(NodeLimits, WhereItCannotBeToldWhatIsDamagedNewerMessagesMakeRoom) {
  DamagedInbox node({.inbox_messages_max = 3}, [](store::MemoryImage& image) {
    auto& rows = image.tables[static_cast<size_t>(store::Table::inbox)];
    const auto first = rows.begin();
    rows.emplace(first->first + "x", first->second);
  });
  node.publish(20);
  node.world->checkpoint();
  node.publish(20);
  EXPECT_EQ(node.messages("s"), 3u);
  EXPECT_EQ(node.messages("s2"), 3u);
  EXPECT_EQ(node.value("courier_messages_dropped_total", "unreadable"), 0);
  EXPECT_EQ(node.value("courier_messages_dropped_total", "inbox_full"), 80);
  EXPECT_GE(node.value("courier_inbox_read_failures_total"), 1);
}

TEST(NodeLimits, ADamagedRowStaysWhileThereIsRoom) {
  DamagedInbox node({.inbox_messages_max = 30},
                    [](store::MemoryImage& image) { DamagedInbox::row(image, 1) = "no row"; });
  node.publish(2);
  const auto client = node.connect("s", false);
  EXPECT_TRUE(client->closed());
  EXPECT_GE(node.value("courier_inbox_read_failures_total"), 1);
  EXPECT_EQ(node.messages("s"), 5u);
}

TEST(NodeLimits, ThatTheLogDoesNotAcceptIsAMetric) {
  Bounded node({});
  EXPECT_EQ(node.world.metrics().value("courier_log_accepting"), 1);
  node.world.log().stall("disk full");
  node.world.quiesce();
  EXPECT_EQ(node.world.metrics().value("courier_log_accepting"), 0);
  node.world.log().unstall();
  node.world.settle();
  EXPECT_EQ(node.world.metrics().value("courier_log_accepting"), 1);
}

TEST(NodeLimits, RefusedConnectsAreCountedByReason) {
  broker::Limits limits;
  limits.client_id_bytes_max = 30;
  Bounded node(limits);
  node.connect(std::string(31, 'x'));
  node.world.node().drain();
  node.connect("c");
  const auto refused = [&](std::string_view reason) {
    return node.world.metrics()
        .value("courier_connects_total", {{"result", "refused"}, {"reason", std::string(reason)}})
        .value_or(0);
  };
  EXPECT_EQ(refused("client_identifier_not_valid"), 1);
  EXPECT_EQ(refused("server_unavailable"), 1);
}

// Two shards, of which the caller says when one has its Turn: the publisher's is 0, the receiver's 1.
class Lagging : public testing::Test {
 protected:
  static constexpr uint16_t kMessages = 400;
  static broker::Limits limits() {
    broker::Limits limits;
    limits.uncommitted_bytes_max = 20'000;
    return limits;
  }
  static std::string name_on(uint32_t shard, std::string name) {
    while (record::session_hash("", name) % 2 != shard) name += 'x';
    return name;
  }
  Lagging() : node(limits(), 2) {}
  void subscribed(bool clean) {
    subscriber = node.connect(name_on(1, "s"), Version::v5, {}, clean);
    publisher = node.connect(name_on(0, "p"), Version::v3_1_1);
    node.subscribe(*subscriber, {"t"}, 1, {Qos::at_least_once});
    node.world.settle();
    ASSERT_TRUE(node.take<mqtt::Suback>(*subscriber));
  }
  // As far as it goes while the receiver's shard does nothing.
  void publisher_alone() {
    for (size_t left = SIZE_MAX; left > publisher->to_node_bytes();) {
      left = publisher->to_node_bytes();
      for (int i = 0; i < 10; ++i) {
        node.world.turn(0);
        node.world.log().pump();
      }
    }
  }
  // The receiver's shard has its Turn: that wakes the publisher's, once.
  void caught_up(size_t left) {
    size_t woken = 0;
    node.world.before_post = [&](uint32_t shard, const broker::Mail& mail) {
      if (std::holds_alternative<broker::RoomMail>(mail)) woken += shard == 0 ? 1 : 100;
    };
    node.world.turn(1);
    EXPECT_EQ(woken, 1u);
    EXPECT_EQ(publisher->to_node_bytes(), left);
    node.world.before_post = {};
    node.world.turn(0);  // at its end it is read again
    node.world.turn(0);
    EXPECT_LT(publisher->to_node_bytes(), left);
  }
  void expect_all_arrive() {
    node.world.settle();
    EXPECT_EQ(publisher->to_node_bytes(), 0u);
    for (uint16_t id = 1; id <= kMessages;) {
      const auto got = node.take<mqtt::Publish>(*subscriber);
      ASSERT_TRUE(got) << id;
      EXPECT_EQ(got->payload.substr(0, 3), std::to_string(100 + id++));
      if (got->qos == Qos::at_most_once) continue;
      subscriber->send(mqtt::Puback{{got->packet_id, {}, {}, {}}});
      node.world.settle();
    }
  }
  void publish(Qos qos) {
    for (uint16_t id = 1; id <= kMessages; ++id) {
      const std::string payload = std::to_string(100 + id) + std::string(200, 'x');
      node.publish(*publisher, "t", payload, qos == Qos::at_most_once ? 0 : id);
    }
  }

  Bounded node;
  std::shared_ptr<Wire> subscriber, publisher;
};

TEST_F(Lagging, WhoPublishesIsNotReadUntilTheReceiversShardHasCaughtUp) {
  subscribed(false);
  publish(Qos::at_least_once);
  publisher_alone();
  const size_t left = publisher->to_node_bytes();
  EXPECT_GT(left, kMessages * 100u);
  EXPECT_GT(node.count<mqtt::Puback>(*publisher), 10u);  // what was taken is answered
  caught_up(left);
  expect_all_arrive();
}

TEST_F(Lagging, SoIsWhoPublishesWhatSkipsTheLog) {
  for (const Qos qos : {Qos::at_most_once, Qos::at_least_once}) {
    subscribed(true);
    publish(qos);
    publisher_alone();
    const size_t left = publisher->to_node_bytes();
    EXPECT_GT(left, kMessages * 100u);
    caught_up(left);
    expect_all_arrive();
    subscriber->reset();
    publisher->reset();
    node.world.settle();
  }
}

// What a full inbox gives up in one Turn is one record, and each message is counted.
TEST(NodeLimits, AFloodIntoAFullInboxWritesOneRecordATurn) {
  Bounded node({.inbox_messages_max = 10});
  auto asleep = node.connect("s", Version::v5, {}, false);
  Bounded::subscribe(*asleep, {"t"}, 1, {Qos::at_least_once});
  node.world.settle();
  asleep->reset();
  auto publisher = node.connect("p", Version::v3_1_1);
  for (uint16_t id = 1; id <= 500; ++id) Bounded::publish(*publisher, "t", std::to_string(id), id);
  node.world.settle();
  EXPECT_EQ(node.count<mqtt::Puback>(*publisher), 500u);

  std::vector<size_t> dropped;
  for (const auto& entry : node.world.whole_log()) {
    const auto batch = record::decode_batch(entry.bytes);
    ASSERT_TRUE(batch);
    for (const record::Record& each : batch->records) {
      const auto* record = std::get_if<record::Dropped>(&each);
      if (!record) continue;
      EXPECT_EQ(record->reason, record::DropReason::inbox_full_messages);
      dropped.push_back(record->messages.size());
    }
  }
  EXPECT_EQ(dropped, std::vector<size_t>{490});
  EXPECT_EQ(node.world.metrics()
                .value("courier_messages_dropped_total", {{"reason", "inbox_full"}, {"label", ""}})
                .value_or(0),
            490);
  EXPECT_EQ(node.world.node().shard(0).find("", "s")->session.inbox.count(), 10u);
}

TEST(NodeLimits, WhatAFloodPushesOutOfASleepingInboxLeavesTheDiskToo) {
  constexpr uint16_t kStays = 3000;
  Bounded node({.inbox_messages_max = kStays});
  auto asleep = node.connect("s", Version::v5, {}, false);
  Bounded::subscribe(*asleep, {"t"}, 1, {Qos::at_least_once});
  node.world.settle();
  asleep->reset();
  auto publisher = node.connect("p", Version::v3_1_1);
  const auto flood = [&](int from) {
    for (uint16_t id = 1; id <= kStays; ++id)
      Bounded::publish(*publisher, "t", std::to_string(from + id), id);
    node.world.settle();
    node.world.checkpoint();
  };
  const auto rows = [&] {
    size_t count = 0;
    EXPECT_TRUE(node.world.store().scan(store::Table::inbox, "", "", [&](std::string_view, std::string_view) {
      ++count;
      return true;
    }));
    return count;
  };
  flood(0);
  EXPECT_EQ(rows(), kStays);
  flood(kStays);
  node.world.checkpoint();
  EXPECT_EQ(rows(), kStays);
  const auto dropped = [&] {
    return node.world.metrics()
        .value("courier_messages_dropped_total", {{"reason", "inbox_full"}, {"label", ""}})
        .value_or(0);
  };
  EXPECT_EQ(dropped(), kStays);

  node.world.crash();
  ASSERT_TRUE(node.world.start());
  node.world.settle();
  const auto awake = node.connect("s", Version::v5, {}, false);
  for (int i = 1; i <= kStays; ++i) {
    const auto got = Bounded::take<mqtt::Publish>(*awake);
    ASSERT_TRUE(got) << i;
    ASSERT_EQ(got->payload, std::to_string(kStays + i));
    awake->send(mqtt::Puback{{got->packet_id, {}, {}, {}}});
    if (i % 50 == 0) node.world.settle();
  }
}

}  // namespace
}  // namespace courier::sim
