// The node's main paths, everything in order. The simulator (sim_test) does the same in disorder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::Version;

struct Client {
  std::shared_ptr<Wire> wire;
  template <typename T>
  std::optional<T> take() {
    while (auto packet = wire->receive()) {
      if (auto* wanted = std::get_if<T>(&*packet)) return std::move(*wanted);
    }
    return std::nullopt;
  }
};

class Node : public ::testing::Test {
 protected:
  Node() {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
  }

  Client connect(std::string_view id, bool clean = false, Version version = Version::v3_1_1,
                 bool expect_present = false, std::optional<mqtt::Will> will = {}, uint32_t expiry = 1000) {
    Client client{world.open(version)};
    mqtt::Connect connect;
    connect.version = version;
    connect.client_id = id;
    connect.clean_start = clean;
    connect.will = will;
    if (version == Version::v5) connect.session_expiry_seconds = expiry;
    client.wire->send(connect);
    world.settle();
    const auto connack = client.take<mqtt::Connack>();
    EXPECT_TRUE(connack.has_value());
    if (connack) {
      EXPECT_EQ(connack->reason, mqtt::ReasonCode::success);
      EXPECT_EQ(connack->session_present, expect_present);
    }
    return client;
  }
  void subscribe(Client& client, std::string_view filter, Qos qos, mqtt::SubscriptionOptions options = {}) {
    options.qos = qos;
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(7);
    packet.entries.push_back({filter, options});
    client.wire->send(packet);
    world.settle();
  }
  void publish(Client& client, std::string_view topic, std::string_view payload, Qos qos, uint16_t id = 1,
               bool retain = false, std::optional<uint32_t> expiry_seconds = {}) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = qos;
    packet.retain = retain;
    packet.message_expiry_seconds = expiry_seconds;
    if (qos != Qos::at_most_once) packet.packet_id = PacketId(id);
    client.wire->send(packet);
    world.settle();
  }
  void restart() {
    world.crash();
    ASSERT_TRUE(world.start().has_value());
    world.settle();
  }
  template <typename T>
  void reply(Client& client, PacketId id) {
    client.wire->send(T{{id, {}, {}, {}}});
    world.settle();
  }

  World world{{}};
};

TEST_F(Node, DeliversQos0BetweenCleanSessionsWithoutTheLog) {
  auto publisher = connect("p", true), subscriber = connect("s", true);
  subscribe(subscriber, "a/+", Qos::at_most_once);
  ASSERT_TRUE(subscriber.take<mqtt::Suback>());
  publish(publisher, "a/b", "hello", Qos::at_most_once);
  const auto got = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "hello");
}

TEST_F(Node, Qos1IsAcknowledgedAndDelivered) {
  auto publisher = connect("p"), subscriber = connect("s");
  subscribe(subscriber, "a/b", Qos::at_least_once);
  publish(publisher, "a/b", "hello", Qos::at_least_once, 9);
  const auto puback = publisher.take<mqtt::Puback>();
  ASSERT_TRUE(puback);
  EXPECT_EQ(puback->packet_id, PacketId(9));
  const auto got = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->qos, Qos::at_least_once);
  EXPECT_FALSE(got->dup);
  reply<mqtt::Puback>(subscriber, got->packet_id);
  world.advance(1000);
  EXPECT_EQ(world.metrics().total("courier_queue_messages"), 0);
}

TEST_F(Node, NothingIsAcknowledgedBeforeItsRecordIsBack) {
  auto publisher = connect("p"), subscriber = connect("s");
  subscribe(subscriber, "a", Qos::at_least_once);
  world.log().stall("full");
  publish(publisher, "a", "1", Qos::at_least_once, 9);
  EXPECT_FALSE(publisher.take<mqtt::Puback>());
  EXPECT_FALSE(subscriber.take<mqtt::Publish>());
  world.log().unstall();
  world.settle();
  EXPECT_TRUE(publisher.take<mqtt::Puback>());
  EXPECT_TRUE(subscriber.take<mqtt::Publish>());
}

TEST_F(Node, Qos2GoesThroughItsWholeHandshakeOnBothSides) {
  auto publisher = connect("p"), subscriber = connect("s");
  subscribe(subscriber, "a", Qos::exactly_once);
  publish(publisher, "a", "x", Qos::exactly_once, 5);
  ASSERT_TRUE(publisher.take<mqtt::Pubrec>());
  const auto got = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  publish(publisher, "a", "x", Qos::exactly_once, 5);  // again: answered, not delivered twice
  ASSERT_TRUE(publisher.take<mqtt::Pubrec>());
  EXPECT_FALSE(subscriber.take<mqtt::Publish>());
  reply<mqtt::Pubrel>(publisher, PacketId(5));
  ASSERT_TRUE(publisher.take<mqtt::Pubcomp>());
  reply<mqtt::Pubrec>(subscriber, got->packet_id);
  ASSERT_TRUE(subscriber.take<mqtt::Pubrel>());
  reply<mqtt::Pubcomp>(subscriber, got->packet_id);
  world.advance(1000);
  EXPECT_EQ(world.metrics().total("courier_queue_messages"), 0);
}

class Restarted : public Node, public ::testing::WithParamInterface<bool> {};

TEST_P(Restarted, QueuedMessagesSubscriptionsAndRetainedOutliveACrash) {
  {
    auto publisher = connect("p"), subscriber = connect("s");
    subscribe(subscriber, "a/#", Qos::exactly_once);
    subscriber.wire->reset();
    world.settle();
    for (uint16_t i = 1; i <= 5; ++i) publish(publisher, "a/b", std::to_string(i), Qos::at_least_once, i);
    publish(publisher, "a/r", "kept", Qos::at_least_once, 6, true);
    if (GetParam()) world.checkpoint();
    publish(publisher, "a/b", "6", Qos::exactly_once, 7);
    if (GetParam()) world.checkpoint();
  }
  restart();
  auto publisher = connect("p", false, Version::v3_1_1, true);
  auto subscriber = connect("s", false, Version::v3_1_1, true);
  std::vector<std::string> got;
  while (auto packet = subscriber.take<mqtt::Publish>()) {
    got.emplace_back(packet->payload);
    if (packet->qos == Qos::at_least_once) reply<mqtt::Puback>(subscriber, packet->packet_id);
  }
  EXPECT_EQ(got, (std::vector<std::string>{"1", "2", "3", "4", "5", "kept", "6"}));
  publish(publisher, "a/b", "6", Qos::exactly_once, 7);  // its id is still taken
  EXPECT_TRUE(publisher.take<mqtt::Pubrec>());
  EXPECT_FALSE(subscriber.take<mqtt::Publish>());
  auto other = connect("o", true);
  subscribe(other, "a/r", Qos::at_least_once);
  const auto retained = other.take<mqtt::Publish>();
  ASSERT_TRUE(retained);
  EXPECT_TRUE(retained->retain);
  EXPECT_EQ(retained->payload, "kept");
}
INSTANTIATE_TEST_SUITE_P(Checkpoint, Restarted, ::testing::Bool());

TEST_F(Node, UnackedMessagesAreSentAgainWithDupAndTheSameId) {
  auto publisher = connect("p"), subscriber = connect("s");
  subscribe(subscriber, "a", Qos::at_least_once);
  publish(publisher, "a", "1", Qos::at_least_once);
  const auto first = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(first);
  const PacketId id = first->packet_id;
  world.checkpoint();
  restart();
  subscriber = connect("s", false, Version::v3_1_1, true);
  const auto again = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->dup);
  EXPECT_EQ(again->packet_id, id);
}

TEST_F(Node, ALaterConnectionTakesOver) {
  auto first = connect("x", false, Version::v5);
  auto second = connect("x", false, Version::v5, true);
  const auto bye = first.take<mqtt::Disconnect>();
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->reason, mqtt::ReasonCode::session_taken_over);
  EXPECT_TRUE(first.wire->closed());
  EXPECT_FALSE(second.wire->closed());
}

TEST_F(Node, AWillIsPublishedAfterACrash) {
  auto watcher = connect("w");
  subscribe(watcher, "will", Qos::at_least_once);
  mqtt::Will will;
  will.topic = "will";
  will.payload = "gone";
  will.qos = Qos::at_least_once;
  connect("x", true, Version::v3_1_1, false, will);
  restart();
  watcher = connect("w", false, Version::v3_1_1, true);
  world.advance(10);
  const auto got = watcher.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "gone");
}

TEST_F(Node, AWillIsPublishedThoughTheClockWasSetBack) {
  mqtt::Will will;
  will.topic = "will";
  will.payload = "gone";
  will.qos = Qos::at_least_once;
  auto subscriber = connect("s");
  subscribe(subscriber, "will", Qos::at_least_once);
  auto dying = connect("w", false, Version::v5, false, will);
  world.crash();
  world.clock().jump(-3'600'000);
  ASSERT_TRUE(world.start().has_value());
  world.settle();
  dying = connect("w", false, Version::v5, true, will);
  subscriber = connect("s", false, Version::v3_1_1, true);
  const auto got = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "gone");
}

TEST_F(Node, ASharedGroupKeepsMessagesForWhoComesBack) {
  auto publisher = connect("p"), member = connect("m");
  subscribe(member, "$share/g/a", Qos::at_least_once);
  member.wire->reset();
  world.settle();
  publish(publisher, "a", "1", Qos::at_least_once);
  world.checkpoint();
  publish(publisher, "a", "2", Qos::at_least_once, 2);
  restart();
  member = connect("m", false, Version::v3_1_1, true);
  auto got = member.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "1");
  got = member.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "2");
}

TEST_F(Node, ADeepInboxIsReadBackFromTheStoreInOrder) {
  auto publisher = connect("p"), subscriber = connect("s");
  subscribe(subscriber, "a", Qos::at_least_once);
  subscriber.wire->reset();
  world.settle();
  for (uint16_t i = 1; i <= 2000; ++i) {
    publish(publisher, "a", std::to_string(i), Qos::at_least_once, i);
    if (i % 300 == 0) world.checkpoint();
  }
  restart();
  subscriber = connect("s", false, Version::v3_1_1, true);
  int next = 1;
  for (;;) {
    const auto packet = subscriber.take<mqtt::Publish>();
    if (!packet) break;
    EXPECT_EQ(packet->payload, std::to_string(next++));
    reply<mqtt::Puback>(subscriber, packet->packet_id);
    if (next % 700 == 0) world.checkpoint();
  }
  EXPECT_EQ(next, 2001);
}

// --- what threads may do to one another ---

// A client id whose session falls to this shard.
std::string id_on(uint32_t shard, const std::string& name, uint32_t shards = 2) {
  for (int i = 0;; ++i) {
    std::string id = name + std::to_string(i);
    if (record::session_hash("", id) % shards == shard) return id;
  }
}

// The next checkpoint begins between the end of this one and the shards' hearing of it, and cannot be
// written.
TEST_F(Node, WhatTheNextCheckpointHasMarkedStaysInMemoryUntilThatOneIsWritten) {
  auto subscriber = connect("s");
  subscribe(subscriber, "a", Qos::at_least_once);
  subscriber.wire->reset();
  auto publisher = connect("p");
  publish(publisher, "a", "1", Qos::at_least_once, 1);
  bool once = true;
  world.before_post = [&](uint32_t, const broker::Mail& mail) {
    if (!std::holds_alternative<broker::CheckpointedMail>(mail) || !std::exchange(once, false)) return;
    world.store().fail_writes(Error{std::make_error_code(std::errc::io_error), "the disk is full"});
    world.node().checkpoint();
    world.log().pump();
  };
  world.node().checkpoint();
  world.log().pump(0);
  for (uint32_t shard = 0; shard < 2; ++shard) world.turn(shard);  // the barrier
  mqtt::Publish packet;
  packet.topic = "a";
  packet.payload = "2";
  packet.qos = Qos::at_least_once;
  packet.packet_id = PacketId(2);
  publisher.wire->send(packet);
  for (uint32_t shard = 0; shard < 2; ++shard) world.turn(shard);
  world.log().pump();
  world.settle();  // the workers
  EXPECT_FALSE(once);
  subscriber = connect("s", false, Version::v3_1_1, true);
  for (const char* payload : {"1", "2"}) {
    const auto got = subscriber.take<mqtt::Publish>();
    ASSERT_TRUE(got) << payload;
    EXPECT_EQ(got->payload, payload);
  }
}

TEST_F(Node, WhatSkipsTheLogDoesNotOvertakeWhatIsStillBeingHandedOut) {
  auto publisher = connect(id_on(0, "p"), true), subscriber = connect(id_on(1, "s"), true);
  subscribe(subscriber, "a", Qos::at_most_once);
  mqtt::Publish packet;
  packet.topic = "a";
  packet.payload = "retained, so it goes through the log";
  packet.retain = true;
  publisher.wire->send(packet);
  world.turn(0);
  packet.payload = "skips the log";
  packet.retain = false;
  // The publisher's shard is quicker than the thread that hands out what came back.
  bool quicker = true;
  world.after_post = [&](uint32_t shard) {
    if (shard != 0 || !std::exchange(quicker, false)) return;
    publisher.wire->send(packet);
    world.turn(0);
  };
  world.log().pump();
  world.settle();
  std::vector<std::string> got;
  while (const auto publish = subscriber.take<mqtt::Publish>()) got.emplace_back(publish->payload);
  EXPECT_THAT(got, ::testing::ElementsAre("retained, so it goes through the log", "skips the log"));
}

// --- groups ---

// A member that goes while its SUBSCRIBE is on its way would be given messages for ever.
TEST_F(Node, AMemberThatLeavesBeforeItsSubackHoldsNothing) {
  auto stays = connect("stays");
  subscribe(stays, "$share/g/a", Qos::at_least_once);
  auto leaves = connect("leaves", true);
  mqtt::Subscribe packet;
  packet.packet_id = PacketId(1);
  packet.entries.push_back({"$share/g/a", {Qos::at_least_once}});
  leaves.wire->send(packet);
  for (uint32_t shard = 0; shard < 2; ++shard) world.turn(shard);
  leaves.wire->reset();
  for (uint32_t shard = 0; shard < 2; ++shard) world.turn(shard);
  world.settle();
  auto publisher = connect("p");
  for (uint16_t id = 1; id <= 6; ++id) publish(publisher, "a", std::to_string(id), Qos::at_least_once, id);
  for (int i = 1; i <= 6; ++i) {
    const auto got = stays.take<mqtt::Publish>();
    ASSERT_TRUE(got) << i;
    EXPECT_EQ(got->payload, std::to_string(i));
  }
}

TEST_F(Node, AMemberThatUnsubscribedAndLeftGivesItsMessagesBack) {
  auto leaves = connect("leaves", true), stays = connect("stays");
  subscribe(leaves, "$share/g/a", Qos::at_least_once);
  auto publisher = connect("p");
  publish(publisher, "a", "1", Qos::at_least_once, 1);
  ASSERT_TRUE(leaves.take<mqtt::Publish>());  // and does not answer
  subscribe(stays, "$share/g/a", Qos::at_least_once);
  mqtt::Unsubscribe packet;
  packet.packet_id = PacketId(2);
  packet.filters.push_back("$share/g/a");
  leaves.wire->send(packet);
  world.settle();
  leaves.wire->reset();
  world.settle();
  const auto got = stays.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "1");
}

// It expired for the group while a member was on its way that then had it: nobody will answer for it.
TEST_F(Node, AMessageThatItsGroupTakesBackFreesItsPlaceInTheWindow) {
  auto member = connect("m");
  subscribe(member, "$share/g/a", Qos::at_least_once);
  member.wire->reset();
  world.settle();
  auto publisher = connect("p", false, Version::v5);
  publish(publisher, "a", "old", Qos::at_least_once, 1, false, 1);

  const auto turns = [&] {
    for (uint32_t i = 0; i < 6; ++i) world.turn(i % 2);
  };
  member = {world.open(Version::v5)};
  mqtt::Connect again;
  again.version = Version::v5;
  again.client_id = "m";
  again.clean_start = false;
  again.session_expiry_seconds = 1000;
  again.receive_maximum = 1;
  member.wire->send(again);
  turns();
  ASSERT_EQ(world.log().waiting(), 1u) << "the ATTACH";
  world.clock().jump(2000);
  world.node().housekeeping();
  world.log().pump(0);
  ASSERT_EQ(world.log().waiting(), 2u) << "the EXPIRED";
  world.clock().jump(-2000);  // the member's shard saw the time a little earlier
  ASSERT_TRUE(world.log().commit_next());
  turns();
  const auto old = member.take<mqtt::Publish>();
  ASSERT_TRUE(old);
  EXPECT_EQ(old->payload, "old");
  world.settle();
  reply<mqtt::Puback>(member, old->packet_id);
  publish(publisher, "a", "new", Qos::at_least_once, 2);
  const auto got = member.take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->payload, "new");
}

TEST_F(Node, AMessageHasNoMoreTimeLeftThanItWasGivenHoweverClocksDiffer) {
  auto subscriber = connect("s", false, Version::v5), publisher = connect("p", false, Version::v5);
  subscribe(subscriber, "a", Qos::at_least_once);
  subscriber.wire->reset();
  world.settle();
  publish(publisher, "a", "", Qos::at_least_once, 1, false, 60);
  world.clock().jump(-20);  // another node's clock, by which the message was taken, was ahead
  const auto got = connect("s", false, Version::v5, true).take<mqtt::Publish>();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->message_expiry_seconds, 60);
}

// Ids of clean sessions come again in each run.
TEST_F(Node, AMemberThatUnsubscribedOwesNothingAfterACrash) {
  auto stays = connect("stays"), leaves = connect("leaves", true);
  subscribe(stays, "$share/g/a", Qos::at_least_once);
  stays.wire->reset();
  world.settle();
  subscribe(leaves, "$share/g/a", Qos::at_least_once);
  auto publisher = connect("p");
  publish(publisher, "a", "1", Qos::at_least_once, 1);
  ASSERT_TRUE(leaves.take<mqtt::Publish>());  // and does not answer
  for (const bool stored : {false, true}) {
    SCOPED_TRACE(stored);
    mqtt::Unsubscribe packet;
    packet.packet_id = PacketId(2);
    packet.filters.push_back("$share/g/a");
    leaves.wire->send(packet);
    world.settle();
    if (stored) world.checkpoint();
    restart();
    leaves = connect("leaves", true);
    subscribe(leaves, "$share/g/a", Qos::at_least_once);
    const auto got = leaves.take<mqtt::Publish>();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->payload, "1");
  }
}

// --- deep inboxes ---

// Its packet id is out until it is answered, whatever happens to those behind it.
TEST_F(Node, AnAnswerThatIsLongInComingKeepsItsMessageAndItsPacketId) {
  auto subscriber = connect("s"), publisher = connect("p");
  subscribe(subscriber, "a", Qos::exactly_once);
  publish(publisher, "a", "first", Qos::at_least_once, 1);
  const auto first = subscriber.take<mqtt::Publish>();
  ASSERT_TRUE(first);
  const PacketId first_id = first->packet_id;
  mqtt::Publish packet;
  packet.topic = "a";
  packet.qos = Qos::at_least_once;
  const std::string empty;
  uint32_t sent = 0, received = 0;
  bool met_again = false;
  for (; sent < 66'000; ++sent) {
    packet.packet_id = PacketId(static_cast<uint16_t>(1 + sent % 60'000));
    packet.payload = empty;
    publisher.wire->send(packet);
    if (sent % 100 != 0) continue;
    world.settle();
    while (publisher.wire->receive()) continue;
    for (uint32_t before = received - 1; before != received; world.settle()) {
      before = received;
      while (const auto got = subscriber.take<mqtt::Publish>()) {
        ++received;
        met_again |= got->packet_id == first_id;
        subscriber.wire->send(mqtt::Puback{{got->packet_id, {}, {}, {}}});
      }
    }
    if (sent % 1000 == 0) world.checkpoint();
  }
  EXPECT_FALSE(met_again) << "an id that is out was given to another message";
  EXPECT_EQ(received, 65'534u);  // then it waits
  reply<mqtt::Puback>(subscriber, first_id);
  world.advance(1000);
  ASSERT_TRUE(subscriber.take<mqtt::Publish>());
}

// --- what does not grow ---

TEST_F(Node, APhoneThatComesAndGoesAllDayLeavesOneDeadline) {
  for (int i = 0; i < 5000; ++i) {
    connect("phone", false, Version::v5, i > 0, {}, 7 * 86'400).wire->reset();
    world.advance(1000);
  }
  EXPECT_LE(world.node().shard(0).deadline_count() + world.node().shard(1).deadline_count(), 2u);
  for (int i = 0; i < 5000; ++i) {  // each time another session
    connect("phone", true, Version::v5, false, {}, 7 * 86'400).wire->reset();
    world.settle();
  }
  EXPECT_LE(world.node().shard(0).deadline_count() + world.node().shard(1).deadline_count(), 2100u);
  world.advance(7 * 86'400'000ll + 1000);
  world.settle();
  EXPECT_EQ(world.node().shard(0).client_count() + world.node().shard(1).client_count(), 0u);
}

TEST_F(Node, WhatIsDueWhileTheLogStallsIsDecidedOnce) {
  auto publisher = connect("p", false, Version::v5);
  publish(publisher, "a", "x", Qos::at_least_once, 1, true, 1);
  world.log().stall("the disk is full");
  for (int i = 0; i < 100; ++i) {
    world.clock().advance(1000);
    world.node().housekeeping();
    world.log().pump();
  }
  EXPECT_LE(world.log().waiting(), 1u);
}

}  // namespace
}  // namespace courier::sim
