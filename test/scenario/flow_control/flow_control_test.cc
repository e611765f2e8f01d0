// Receive Maximum in both directions: the window closes, everything else goes on, and every way in which a
// message ends opens it again. Sections 3.3.4 and 4.9.
#include <gtest/gtest.h>

#include <thread>

#include "harness/client.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

Connect with_window(uint32_t maximum) {
  return {.properties = with(kReceiveMaximum, maximum)};
}

}  // namespace

// [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2]
TEST(FlowControl, NoMoreThanReceiveMaximumAreUnacknowledged) {
  for (const uint32_t window : {1u, 3u}) {
    for (const int qos : {1, 2}) {
      const std::string topic = unique("window/");
      Client subscriber(with_window(window)), publisher;
      subscriber.subscribe(topic, qos);
      for (int i = 0; i < 8; ++i) publisher.publish(topic, std::to_string(i), qos);
      std::vector<Packet> open;
      for (uint32_t i = 0; i < window; ++i) open.push_back(subscriber.expect(kPublish));
      subscriber.ping();
      subscriber.expect_silence(200ms);
      // Each that is acknowledged makes room for exactly one.
      for (int i = static_cast<int>(window); i < 8; ++i) {
        subscriber.acknowledge(open.front());
        open.erase(open.begin());
        open.push_back(subscriber.await(kPublish));
        EXPECT_EQ(open.back().payload, std::to_string(i));
        subscriber.ping();
        subscriber.expect_silence(20ms);
      }
    }
  }
}

// [MQTT-3.3.4-10], [MQTT-4.9.0-3]: QoS 0 and every other packet pass a closed window.
TEST(FlowControl, OtherPacketsPassAClosedWindow) {
  const std::string topic = unique("closed/");
  Client subscriber(with_window(1)), publisher;
  subscriber.subscribe(topic, 2);
  publisher.publish(topic, "holds the window", 1);
  const Packet held = subscriber.expect(kPublish);
  publisher.publish(topic, "waits", 1);
  publisher.publish(topic, "passes", 0);
  EXPECT_EQ(subscriber.expect(kPublish).payload, "passes");
  subscriber.ping();
  EXPECT_EQ(subscriber.subscribe(unique("other/"), 1).reasons.size(), 1u);
  subscriber.unsubscribe({unique("other/")});
  EXPECT_LT(subscriber.publish(unique("other/"), "x", 1).reason, 0x80);
  EXPECT_LT(subscriber.publish(unique("other/"), "x", 2).reason, 0x80);
  subscriber.acknowledge(held);
  subscriber.message("waits");
}

// Section 4.9: PUBREC with an error, like PUBACK with one, opens the window.
TEST(FlowControl, RefusedMessageFreesItsSlot) {
  for (const int qos : {1, 2}) {
    const std::string topic = unique("refused/");
    Client subscriber(with_window(1)), publisher;
    subscriber.subscribe(topic, qos);
    publisher.publish(topic, "refused", qos);
    publisher.publish(topic, "next", qos);
    const Packet refused = subscriber.expect(kPublish);
    subscriber.send(reply_packet(v5, qos == 1 ? kPuback : kPubrec, refused.id, 0x97));
    subscriber.message("next");
  }
}

// Section 4.9: PUBREC alone does not open it; PUBCOMP does.
TEST(FlowControl, Qos2HoldsItsSlotUntilPubcomp) {
  const std::string topic = unique("pubcomp/");
  Client subscriber(with_window(1)), publisher;
  subscriber.subscribe(topic, 2);
  publisher.publish(topic, "one", 2);
  publisher.publish(topic, "two", 2);
  const Packet one = subscriber.expect(kPublish);
  subscriber.send(reply_packet(v5, kPubrec, one.id));
  subscriber.expect(kPubrel);
  subscriber.ping();
  subscriber.expect_silence(100ms);
  subscriber.send(reply_packet(v5, kPubcomp, one.id));
  subscriber.message("two");
}

// A message that expires, or is too large, while it waits takes no slot. [MQTT-3.3.2-5], [MQTT-3.1.2-28]
TEST(FlowControl, DroppedMessagesTakeNoSlot) {
  const std::string topic = unique("dropped/");
  Client subscriber({.properties = with(kReceiveMaximum, 1u).number(kMaximumPacketSize, 200)}), publisher;
  subscriber.subscribe(topic, 2);
  publisher.publish(topic, "first", 1);
  const Packet first = subscriber.expect(kPublish);
  publisher.publish({.topic = topic, .payload = "expires", .qos = 1, .properties = with(kMessageExpiry, 1u)});
  publisher.publish({.topic = topic, .payload = "expires", .qos = 2, .properties = with(kMessageExpiry, 1u)});
  publisher.publish(topic, std::string(500, 'x'), 1);
  publisher.publish(topic, std::string(500, 'x'), 2);
  publisher.publish(topic, "last", 1);
  std::this_thread::sleep_for(2100ms);
  subscriber.acknowledge(first);
  subscriber.message("last");
  publisher.publish(topic, "and on", 1);
  subscriber.message("and on");
}

// The window belongs to the connection: what is resent counts, and a larger one is used at once.
TEST(FlowControl, WindowIsThatOfTheNewConnection) {
  const std::string topic = unique("rewindow/"), id = unique("rewindow");
  Connect narrow = persistent(v5, id), wide = persistent(v5, id);
  narrow.properties.number(kReceiveMaximum, 1);
  wide.properties.number(kReceiveMaximum, 4);
  Client publisher, first(narrow);
  first.subscribe(topic, 1);
  for (int i = 0; i < 6; ++i) publisher.publish(topic, std::to_string(i), 1);
  EXPECT_EQ(first.expect(kPublish).payload, "0");
  first.drop();
  Client second(wide);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(second.expect(kPublish).payload, std::to_string(i));
  second.ping();
  second.expect_silence(100ms);
  second.drop();
  Client third(narrow);
  EXPECT_EQ(third.expect(kPublish).payload, "0");
  third.ping();
  third.expect_silence(100ms);
}

// Section 3.3.4: a client that sends more than the server's Receive Maximum is closed with 0x93.
TEST(FlowControl, ClientThatExceedsOurReceiveMaximumIsClosed) {
  COURIER_ONLY();
  Client publisher;
  const uint32_t maximum = publisher.connack().properties.number(kReceiveMaximum).value_or(65'535);
  std::string batch;
  for (uint32_t id = 1; id <= maximum; ++id) {
    batch += publish_packet(v5, {.topic = "t", .payload = "x", .qos = 2, .id = static_cast<uint16_t>(id)});
  }
  publisher.send(batch);
  for (uint32_t id = 1; id <= maximum; ++id) EXPECT_EQ(publisher.expect(kPubrec).id, id);
  publisher.ping();
  // One more is one too many: none has been released.
  publisher.send(
      publish_packet(v5, {.topic = "t", .payload = "x", .qos = 2, .id = static_cast<uint16_t>(maximum + 1)}));
  publisher.expect_end({0x93});
}

// A quota used by QoS 1 comes back with each PUBACK: a steady publisher is never closed.
TEST(FlowControl, SteadyPublisherStaysWithinItsQuota) {
  Client publisher;
  for (int i = 0; i < 300; ++i) EXPECT_LT(publisher.publish(unique("steady/"), "x", 1 + i % 2).reason, 0x80);
}

// 3.x has no Receive Maximum; a server may still bound what is in flight, but never lose anything.
TEST(FlowControl, OldClientsGetEverythingInTheEnd) {
  const std::string topic = unique("old/");
  Client subscriber({.version = v3_1_1}), publisher;
  subscriber.subscribe(topic, 1);
  constexpr int kCount = 400;
  for (int i = 0; i < kCount; ++i) publisher.publish(topic, std::to_string(i), 1);
  for (int i = 0; i < kCount; ++i) subscriber.message(std::to_string(i));
}

}  // namespace courier::scenario
