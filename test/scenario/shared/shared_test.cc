// Shared subscriptions: each message to one member, and what happens to it when that member goes.
// Section 4.8.
#include <gtest/gtest.h>

#include <set>

#include "harness/client.h"

namespace courier::scenario {
namespace {

std::string group_of(const std::string& group, const std::string& filter) {
  return "$share/" + group + "/" + filter;
}

}  // namespace

// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
TEST(Shared, IllFormedSharedFiltersAreNeverGranted) {
  for (const Version version : {v3_1_1, v5}) {
    for (const char* filter : {"$share//a", "$share/+/a", "$share/#/a", "$share/g+/a", "$share/g#x/a",
                               "$share/g", "$share/g/", "$share/", "$share"}) {
      Client client({.version = version});
      client.send(subscribe_packet(version, 1, {{filter, 1}}));
      try {
        const Packet answer = client.expect(kSuback);
        ASSERT_EQ(answer.reasons.size(), 1u);
        EXPECT_GE(answer.reasons[0], 0x80) << "granted: " << filter;
      } catch (const Broken&) {
        // Ended: also right.
      }
    }
  }
}

// [MQTT-3.8.3-4]
TEST(Shared, NoLocalIsAProtocolError) {
  Client client;
  client.send(subscribe_packet(v5, 1, {{"$share/g/a", 1 | kNoLocal}}));
  client.expect_end({0x82});
}

// Section 4.8.2: one member gets it, all members get some; and 3.1.1 clients may take part.
TEST(Shared, EachMessageGoesToExactlyOneMember) {
  const std::string topic = unique("work/"), filter = group_of(unique("group"), topic);
  Client one, two, old({.version = v3_1_1}), publisher;
  for (Client* member : {&one, &two, &old}) EXPECT_EQ(member->subscribe(filter, 1).reasons[0], 1);
  constexpr int kCount = 60;
  for (int i = 0; i < kCount; ++i) publisher.publish(topic, std::to_string(i), 1);
  std::multiset<std::string> seen;
  for (Client* member : {&one, &two, &old}) {
    const std::string end = unique("end/");
    member->subscribe(end, 1);
    publisher.publish(end, "end", 1);
    size_t count = 0;
    for (Packet got = member->message(); got.topic != end; got = member->message()) {
      EXPECT_EQ(got.topic, topic);
      seen.insert(got.payload);
      ++count;
    }
    EXPECT_GT(count, 0u) << "a member that gets nothing shares nothing";
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kCount));
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(seen.count(std::to_string(i)), 1u) << i;
}

// Section 4.8.2: groups are apart from each other and from ordinary subscriptions.
TEST(Shared, EveryGroupAndEveryOrdinarySubscriptionGetsACopy) {
  const std::string topic = unique("copies/");
  Client a, b, plain, publisher;
  a.subscribe(group_of("a", topic), 1);
  b.subscribe(group_of("b", topic), 1);
  plain.subscribe(topic, 1);
  for (const int qos : {0, 1, 2}) {
    publisher.publish(topic, "x", qos);
    for (Client* client : {&a, &b, &plain}) client->message("x");
  }
}

// [MQTT-4.8.2-3]
TEST(Shared, GrantedQosIsRespected) {
  for (const int qos : {0, 1, 2}) {
    const std::string topic = unique("granted/");
    Client member, publisher;
    member.subscribe(group_of(unique("group"), topic), qos);
    publisher.publish(topic, "x", 2);
    EXPECT_EQ(member.message("x").qos, qos);
  }
}

TEST(Shared, WildcardsAndIdentifiersWorkInSharedFilters) {
  const std::string base = unique("wild");
  Client member, publisher;
  member.subscribe({{group_of("g", base + "/+/x/#"), 1}}, with(kSubscriptionId, 9u));
  publisher.publish(base + "/a/x/b", "yes", 1);
  const Packet got = member.message("yes");
  EXPECT_EQ(got.topic, base + "/a/x/b");
  EXPECT_EQ(got.properties.numbers(kSubscriptionId), std::vector<uint32_t>{9});
}

TEST(Shared, UnsubscribeLeavesTheGroup) {
  const std::string topic = unique("leave/"), filter = group_of(unique("group"), topic);
  Client stays, leaves, publisher;
  stays.subscribe(filter, 1);
  leaves.subscribe(filter, 1);
  EXPECT_EQ(leaves.unsubscribe({filter}).reasons, std::vector<uint8_t>{0});
  for (int i = 0; i < 10; ++i) {
    publisher.publish(topic, std::to_string(i), 1);
    stays.message(std::to_string(i));
  }
  leaves.expect_nothing_but_marker(publisher);
}

// [MQTT-4.8.2-4], [MQTT-4.8.2-5]: QoS 2 stays with the member that it was sent to.
TEST(Shared, Qos2MessageWaitsForItsMember) {
  const std::string topic = unique("stays/"), filter = group_of(unique("group"), topic),
                    id = unique("member");
  Client publisher, first(persistent(v5, id));
  first.subscribe(filter, 2);
  publisher.publish(topic, "mine", 2);
  const uint16_t packet_id = first.expect(kPublish).id;
  Client other;
  other.subscribe(filter, 2);
  first.drop();
  publisher.publish(topic, "yours", 2);
  other.message("yours");
  Client second(persistent(v5, id));
  const Packet again = second.await(kPublish);
  EXPECT_EQ(again.payload, "mine");
  EXPECT_EQ(again.id, packet_id);
  second.acknowledge(again);
  // And when that session ends, nobody else gets it.
  publisher.publish(topic, "a", 2);
  publisher.publish(topic, "b", 2);
  Packet sent = second.await(kPublish);
  other.message();
  second.disconnect(0, with(kSessionExpiry, 0u));
  other.expect_nothing_but_marker(publisher);
}

// [MQTT-4.8.2-6]: a refused message is not offered to another member.
TEST(Shared, RefusedMessageGoesToNobodyElse) {
  for (const int qos : {1, 2}) {
    const std::string topic = unique("refuse/"), filter = group_of(unique("group"), topic);
    Client member, publisher;
    member.subscribe(filter, qos);
    publisher.publish(topic, "refused", qos);
    const Packet got = member.expect(kPublish);
    Client other;
    other.subscribe(filter, qos);
    member.send(reply_packet(v5, qos == 1 ? kPuback : kPubrec, got.id, 0x80));
    member.ping();
    member.disconnect();
    other.expect_nothing_but_marker(publisher);
  }
}

// Strategy for members that leave: a QoS 1 message that nobody acknowledged moves to another.
TEST(Shared, UnacknowledgedQos1MovesToAnotherMember) {
  COURIER_ONLY();
  const std::string topic = unique("moves/"), filter = group_of(unique("group"), topic);
  Client publisher, first;
  first.subscribe(filter, 1);
  publisher.publish(topic, "work", 1);
  EXPECT_EQ(first.expect(kPublish).payload, "work");
  Client second;
  second.subscribe(filter, 1);
  first.drop();
  second.message("work");
}

// Strategy for offline members: those that are connected get the work; when nobody is, the group keeps it for
// the first that comes.
TEST(Shared, OfflineMembersGetNothingWhileOthersAreConnected) {
  COURIER_ONLY();
  const std::string topic = unique("offline/"), filter = group_of(unique("group"), topic);
  const std::string sleeper = unique("sleeper"), worker = unique("worker");
  Client publisher, asleep(persistent(v5, sleeper)), awake(persistent(v5, worker));
  asleep.subscribe(filter, 1);
  awake.subscribe(filter, 1);
  asleep.disconnect();
  for (int i = 0; i < 10; ++i) {
    publisher.publish(topic, std::to_string(i), 1);
    awake.message(std::to_string(i));
  }
  awake.disconnect();
  publisher.publish(topic, "kept", 1);
  Client back(persistent(v5, sleeper));
  back.message("kept");
}

TEST(Shared, MembershipOutlivesTheConnectionWithItsSession) {
  const std::string topic = unique("member/"), filter = group_of(unique("group"), topic),
                    id = unique("member");
  Client publisher, first(persistent(v5, id));
  first.subscribe(filter, 1);
  first.disconnect();
  Client second(persistent(v5, id));
  EXPECT_TRUE(second.connack().session_present);
  publisher.publish(topic, "x", 1);
  second.message("x");
}

}  // namespace courier::scenario
