// The limits table: each limit is reached, refused with its own code, and costs nobody else anything.
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {
namespace {

// A broker whose limits are small enough to be reached.
class Limits : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  static void TearDownTestSuite() { broker_.reset(); }
  static Broker& broker() {
    if (!broker_) {
      broker_ = std::make_unique<Broker>(BrokerOptions{.toml = R"(
[limits]
client_id_bytes_max = 40
topic_levels_max = 5
topic_bytes_max = 100
packet_bytes_max = "4KB"
inflight_max = 4
receive_maximum = 8
topic_alias_max = 3
inbox_messages_max = 10
subscriptions_per_client_max = 3
retained_messages_max = 5
output_bytes_max = "64KB"
session_expiry_max = "1h"
[[listener]]
name = "narrow"
bind = "127.0.0.1:{port}"
connections_max = 2
)"});
    }
    return *broker_;
  }
  Client connect(Connect connect = {}) {
    if (connect.client_id.empty()) connect.client_id = unique("limited");
    return Client(connect, broker().port());
  }

 private:
  static inline std::unique_ptr<Broker> broker_;
};

}  // namespace

TEST_F(Limits, ClientIdLength) {
  connect({.client_id = std::string(40, 'x')});
  Client longer = Client::open(broker().port());
  EXPECT_EQ(longer.handshake({.client_id = std::string(41, 'x')}).reason, 0x85);  // [MQTT-3.1.3-8]
  EXPECT_TRUE(longer.read_until_end().empty());
}

TEST_F(Limits, TopicDepthAndLengthOfAPublish) {
  Client client = connect();
  EXPECT_LT(client.publish("1/2/3/4/5", "x", 1).reason, 0x80);
  EXPECT_LT(client.publish(std::string(100, 't'), "x", 1).reason, 0x80);
  EXPECT_EQ(client.publish("1/2/3/4/5/6", "x", 1).reason, 0x90);
  EXPECT_EQ(client.publish(std::string(101, 't'), "x", 2).reason, 0x90);
  client.ping();
}

TEST_F(Limits, TopicDepthAndLengthOfAFilter) {
  for (const Version version : kVersions) {
    Client client = connect({.version = version});
    const uint8_t refused = version == v5 ? 0x8F : 0x80;
    EXPECT_EQ(client.subscribe({{"1/2/3/4/5", 1}, {"1/2/3/4/5/6", 1}, {std::string(101, 't'), 0}}).reasons,
              (std::vector<uint8_t>{1, refused, refused}));
  }
}

TEST_F(Limits, WillTopicDepth) {
  Client client = Client::open(broker().port());
  EXPECT_EQ(
      client.handshake({.client_id = unique("will"), .will = Will{.topic = "1/2/3/4/5/6", .payload = "x"}})
          .reason,
      0x90);
  EXPECT_TRUE(client.read_until_end().empty());
}

// [MQTT-3.2.2-15]: what a client was told is enforced, from the fixed header alone.
TEST_F(Limits, PacketSizeOfAClient) {
  for (const Version version : kVersions) {
    Client client = connect({.version = version});
    if (version == v5) {
      EXPECT_EQ(client.connack().properties.number(kMaximumPacketSize), 4096u);
    }
    // 4,096 bytes in all: 3 of fixed header, 3 of topic, the properties' length.
    const size_t room = 4096 - 3 - 3 - (version == v5 ? 1 : 0);
    client.send(publish_packet(version, {.topic = "t", .payload = std::string(room, 'x')}));
    client.ping();
    client.send(u8(0x30) + varint(4094));
    client.expect_end({0x95});
  }
  Client huge = Client::open(broker().port());
  huge.send(u8(0x10) + varint(200'000'000));
  EXPECT_TRUE(huge.read_to_end().size() <= 16);
}

// [MQTT-3.1.2-27], [MQTT-3.1.2-28]: dropped for the one client that cannot take it, and completed.
TEST_F(Limits, PacketSizeOfAReceiver) {
  for (const int qos : {0, 1, 2}) {
    Client small = connect({.properties = with(kMaximumPacketSize, 100u)}), large = connect(),
           publisher = connect();
    const std::string topic = unique("size/");
    small.subscribe(topic, qos);
    large.subscribe(topic, qos);
    // More of them than the window has places.
    for (int i = 0; i < 6; ++i) {
      publisher.publish(topic, std::string(200, 'x'), qos);
      EXPECT_EQ(large.message().payload.size(), 200u);
    }
    publisher.publish(topic, "small", qos);
    small.message("small");
    large.message("small");
  }
}

// [MQTT-3.1.2-28] for a retained message and for one that waited offline.
TEST_F(Limits, PacketSizeOfAReceiverThatComesLater) {
  const std::string id = unique("late"), topic = unique("late/");
  Client first = connect(persistent(v5, id)), publisher = connect();
  first.subscribe(topic, 1);
  first.disconnect();
  publisher.publish(topic, std::string(300, 'x'), 1, true);
  publisher.publish(topic, "small", 1);
  Connect narrow = persistent(v5, id);
  narrow.properties.number(kMaximumPacketSize, 100);
  Client second = connect(narrow);
  second.message("small");
  second.subscribe(topic, 1);
  publisher.publish(topic, "on", 1);
  second.message("on");
  publisher.publish(topic, "", 1, true);
}

// [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2], [MQTT-3.5.2-3],
// [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3], [MQTT-3.9.2-1], [MQTT-3.9.2-2],
// [MQTT-3.11.2-1], [MQTT-3.11.2-2], [MQTT-3.14.2-3], [MQTT-3.14.2-4], [MQTT-3.1.2-27]: reason strings leave
// rather than break the client's maximum. The harness refuses whatever is larger.
TEST_F(Limits, ReasonStringsYieldToThePacketSize) {
  size_t with_text = 0;
  for (const uint32_t maximum : {26u, 30u, 10'000u}) {
    const Properties told = with(kMaximumPacketSize, maximum).number(kSessionExpiry, 60);
    Client client = connect({.properties = told});
    const auto count = [&](const Packet& packet) {
      with_text += packet.properties.has(kReasonString) ? 1 : 0;
    };
    count(client.publish("1/2/3/4/5/6", "x", 1));
    count(client.publish("1/2/3/4/5/6", "x", 2));
    client.send(reply_packet(v5, kPubrel, 9));
    count(client.expect(kPubcomp));
    client.send(reply_packet(v5, kPubrec, 9));
    count(client.expect(kPubrel));
    count(client.subscribe("1/2/3/4/5/6", 1));
    count(client.unsubscribe({"1/2/3/4/5/6"}));
    client.send(frame(0x36, text("t") + u16(1) + u8(0)));
    for (const Packet& packet : client.read_until_end()) count(packet);

    Client refused = Client::open(broker().port());
    count(refused.handshake({.client_id = std::string(41, 'x'), .properties = told}));
  }
  // Where there is room they are sent: otherwise nothing was tested.
  EXPECT_GE(with_text, 3u);
}

// [MQTT-3.1.2-32]
TEST_F(Limits, NoReasonStringsWithoutRequestProblemInformation) {
  Client client = connect({.properties = with(kRequestProblem, 0u)});
  const auto expect_bare = [](const Packet& packet) {
    EXPECT_FALSE(packet.properties.has(kReasonString));
    EXPECT_TRUE(packet.properties.user().empty());
  };
  const Packet puback = client.publish("1/2/3/4/5/6", "x", 1);
  EXPECT_EQ(puback.reason, 0x90);
  expect_bare(puback);
  expect_bare(client.publish("1/2/3/4/5/6", "x", 2));
  client.send(reply_packet(v5, kPubrel, 9));
  expect_bare(client.expect(kPubcomp));
  client.send(reply_packet(v5, kPubrec, 9));
  expect_bare(client.expect(kPubrel));
  expect_bare(client.subscribe("1/2/3/4/5/6", 1));
  expect_bare(client.unsubscribe({"1/2/3/4/5/6"}));
}

TEST_F(Limits, SubscriptionsPerClient) {
  for (const Version version : kVersions) {
    Client client = connect({.version = version});
    const uint8_t refused = version == v5 ? 0x97 : 0x80;
    EXPECT_EQ(client.subscribe({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}}).reasons,
              (std::vector<uint8_t>{1, 1, 1, refused}));
    EXPECT_EQ(client.subscribe("b", 2).reasons[0], 2);  // replacing is no new one
    client.unsubscribe({"a"});
    EXPECT_EQ(client.subscribe("d", 1).reasons[0], 1);
  }
}

TEST_F(Limits, InflightWindowOfEveryClient) {
  for (const Version version : kVersions) {
    const std::string topic = unique("inflight/");
    Client subscriber = connect({.version = version}), publisher = connect();
    subscriber.subscribe(topic, 1);
    for (int i = 0; i < 8; ++i) publisher.publish(topic, std::to_string(i), 1);
    std::vector<Packet> open;
    for (int i = 0; i < 4; ++i) open.push_back(subscriber.expect(kPublish));
    subscriber.ping();
    subscriber.expect_silence(std::chrono::milliseconds(100));
    for (const Packet& packet : open) subscriber.acknowledge(packet);
    for (int i = 4; i < 8; ++i) subscriber.message(std::to_string(i));
  }
}

// Section 3.3.4: 0x93.
TEST_F(Limits, ReceiveMaximumIsToldAndEnforced) {
  Client client = connect();
  EXPECT_EQ(client.connack().properties.number(kReceiveMaximum), 8u);
  for (uint16_t id = 1; id <= 8; ++id) {
    client.send(publish_packet(v5, {.topic = "t", .payload = "x", .qos = 2, .id = id}));
    client.expect(kPubrec);
  }
  client.send(publish_packet(v5, {.topic = "t", .payload = "x", .qos = 2, .id = 9}));
  client.expect_end({0x93});
}

// [MQTT-3.3.2-9], [MQTT-3.3.2-12]
TEST_F(Limits, TopicAliasMaximumIsToldAndEnforced) {
  Client client = connect();
  EXPECT_EQ(client.connack().properties.number(kTopicAliasMaximum), 3u);
  client.publish({.topic = "t", .payload = "x", .qos = 1, .properties = with(kTopicAlias, 3u)});
  client.send(publish_packet(v5, {.topic = "t", .payload = "x", .properties = with(kTopicAlias, 4u)}));
  client.expect_end({0x94});
}

// A full inbox, drop_oldest: the newest stay.
TEST_F(Limits, FullInboxDropsTheOldest) {
  const std::string id = unique("full"), topic = unique("full/");
  Client first = connect(persistent(v5, id)), publisher = connect();
  first.subscribe(topic, 1);
  first.disconnect();
  for (int i = 0; i < 25; ++i) EXPECT_EQ(publisher.publish(topic, std::to_string(i), 1).reason, 0);
  Client second = connect(persistent(v5, id));
  for (int i = 15; i < 25; ++i) second.message(std::to_string(i));
  second.expect_nothing_but_marker(publisher);
}

TEST_F(Limits, RetainedMessages) {
  Client client = connect();
  const std::string base = unique("retained");
  // $SYS is not counted against clients.
  for (int i = 0; i < 5; ++i)
    EXPECT_LT(client.publish(base + "/" + std::to_string(i), "x", 1, true).reason, 0x80);
  EXPECT_EQ(client.publish(base + "/5", "x", 1, true).reason, 0x97);
  EXPECT_LT(client.publish(base + "/4", "replaced", 1, true).reason, 0x80);
  EXPECT_LT(client.publish(base + "/3", "", 1, true).reason, 0x80);
  EXPECT_LT(client.publish(base + "/5", "x", 1, true).reason, 0x80);
  for (int i = 0; i <= 5; ++i) client.publish(base + "/" + std::to_string(i), "", 1, true);
}

// Section 3.2.2.3.2: a session expiry interval that the server shortened is told.
TEST_F(Limits, SessionExpiryIsShortenedAndTold) {
  EXPECT_EQ(
      connect({.properties = with(kSessionExpiry, 0xFFFFFFFFu)}).connack().properties.number(kSessionExpiry),
      3600u);
  EXPECT_FALSE(connect({.properties = with(kSessionExpiry, 60u)}).connack().properties.has(kSessionExpiry));
}

TEST_F(Limits, ConnectionsOfAListener) {
  ONE_NODE("how many connections a listener has is its own affair");
  const uint16_t port = broker().extra_port();
  Client one({.client_id = unique("narrow")}, port), two({.client_id = unique("narrow")}, port);
  Client three = Client::open(port);
  three.send(connect_packet({.client_id = unique("narrow")}));
  three.expect_end();
  one.disconnect();
  // The place is free again as soon as the end was noticed.
  Client four({.client_id = unique("narrow")}, port);
  two.ping();
  connect().ping();
}

// A client that does not read is bounded: QoS 0 is dropped for it, QoS 1 waits in its inbox, others do not
// notice.
TEST_F(Limits, SlowReaderIsBounded) {
  const std::string topic = unique("slow/"), last = unique("last/");
  Client slow = connect(), fast = connect(), publisher = connect();
  slow.subscribe({{topic, 0}, {last, 1}});
  fast.subscribe(topic, 0);
  const std::string payload(3000, 'x');
  constexpr int kCount = 6000;  // 18 MB: far more than sockets and output_bytes_max hold
  for (int i = 0; i < kCount; ++i) {
    publisher.publish(topic, payload, 0);
    fast.message(payload);
  }
  publisher.publish(last, "last", 1);
  int got = 0;
  while (slow.message().topic != last) ++got;
  EXPECT_GT(got, 0);
  EXPECT_LT(got, kCount);
  publisher.publish(topic, "served again", 0);
  slow.message("served again");
}

// Past the memory ceiling new work is refused; when what filled it is gone, it is taken again.
TEST(MemoryCeiling, RefusesNewWorkUntilThereIsRoomAgain) {
  COURIER_ONLY();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's memory is not the broker's";
#endif
  Broker broker({.toml = "[limits]\nmemory_max = \"80MB\"\n"});
  Client backend({.client_id = "backend"}, broker.port()),
      old({.version = v3_1_1, .client_id = "old"}, broker.port());
  std::vector<Client> readers;  // who do not read
  for (int i = 0; i < 60; ++i) {
    readers.emplace_back(Connect{.client_id = "slow" + std::to_string(i)}, broker.port());
    readers.back().subscribe("flood", 0);
  }
  const std::string payload(20'000, 'x');
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  // Everything is refused, and goes on being refused: what the broker wrote to sockets meanwhile is room
  // again.
  for (int refused = 0; refused < 5;) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it was never past its ceiling";
    if (backend.publish("t", "x", 1).reason == 0x97 &&
        Client::open(broker.port()).handshake({.client_id = "new"}).reason == 0x97 &&
        backend.subscribe("more", 1).reasons[0] == 0x97) {
      ++refused;
      backend.expect_silence(std::chrono::milliseconds(100));
    } else {
      refused = 0;
      for (int i = 0; i < 20; ++i) backend.publish("flood", payload, 0);
    }
  }
  // 3.x cannot be told: it is not read.
  old.send(publish_packet(v3_1_1, {.topic = "t", .payload = "x", .qos = 1, .id = 1}));
  old.await(kPuback, 1);
  old.send(publish_packet(v3_1_1, {.topic = "t", .payload = "x", .qos = 1, .id = 2}));

  for (Client& reader : readers) reader.drop();
  old.await(kPuback, 2);
  deadline = std::chrono::steady_clock::now() + kPatience;
  while (backend.publish("t", "x", 1).reason >= 0x80) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  // In a cluster at another node, which has memory of its own.
  while (Client::open(broker.port()).handshake({.client_id = "new"}).reason != 0)
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

// A full inbox, refuse: a 5.0 publisher is told, and its QoS 2 identifier is free; a 3.x publisher cannot be.
TEST(InboxPolicy, RefuseTellsThe5Publisher) {
  COURIER_ONLY();
  Broker broker({.toml = "[limits]\ninbox_messages_max = 5\ninbox_policy = \"refuse\"\n"});
  Client subscriber(persistent(v5, "phone"), broker.port());
  subscriber.subscribe("t", 2);
  subscriber.disconnect();
  Client publisher({.client_id = "backend"}, broker.port()),
      old({.version = v3_1_1, .client_id = "old"}, broker.port());
  // The shards tell each other that it is full; one or two messages may come in before they know.
  int accepted = 0;
  while (publisher.publish("t", std::to_string(accepted), 1).reason == 0) ASSERT_LT(++accepted, 10);
  EXPECT_GE(accepted, 5);
  EXPECT_EQ(publisher.publish("t", "refused", 1).reason, 0x97);
  EXPECT_EQ(publisher.publish("t", "refused", 2).reason, 0x97);
  old.publish("t", "acknowledged all the same", 1);
  Client back(persistent(v5, "phone"), broker.port());
  for (int i = 0; i < accepted; ++i) EXPECT_EQ(back.message().payload, std::to_string(i));
  back.message("acknowledged all the same");
  // Room again, as soon as the acknowledgements have come back from the log.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (publisher.publish("t", "room", 1).reason != 0) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  back.message("room");
}

// What a publisher sent before it could know is not acknowledged and then dropped.
TEST(InboxPolicy, RefuseKeepsWhatItHasAcknowledged) {
  COURIER_ONLY();
  Broker broker({.toml = "[limits]\ninbox_messages_max = 5\ninbox_policy = \"refuse\"\n"});
  Client subscriber(persistent(v5, "phone"), broker.port());
  subscriber.subscribe("t", 1);
  subscriber.disconnect();
  Client publisher({.client_id = "backend"}, broker.port());
  std::string all;
  for (int i = 1; i <= 100; ++i) {
    all += publish_packet(
        v5, {.topic = "t", .payload = std::to_string(i), .qos = 1, .id = static_cast<uint16_t>(i)});
  }
  publisher.send(all);
  std::vector<int> accepted;
  for (int i = 1; i <= 100; ++i) {
    const Packet ack = publisher.expect(kPuback);
    if (ack.reason == 0) accepted.push_back(ack.id);
  }
  EXPECT_GE(accepted.size(), 5u);
  Client back(persistent(v5, "phone"), broker.port());
  for (const int id : accepted) EXPECT_EQ(back.message().payload, std::to_string(id));
}

}  // namespace courier::scenario
