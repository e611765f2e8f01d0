// The $SYS tree: the node's figures as topics, seen only by those who ask for them by name. Section 4.7.2.
#include <gtest/gtest.h>

#include <map>

#include "harness/client.h"

namespace courier::scenario {

// [MQTT-4.7.2-1]
TEST(Sys, FiguresArePublishedRegularly) {
  Client watcher;
  watcher.subscribe("$SYS/#", 0);
  std::map<std::string, int> seen;
  // The same topic twice: it is published again and again, not only retained.
  while (true) {
    const Packet got = watcher.message();
    ASSERT_EQ(got.topic.rfind("$SYS/", 0), 0u);
    EXPECT_FALSE(got.payload.empty()) << got.topic;
    if (++seen[got.topic] == 3) break;
  }
  EXPECT_GE(seen.size(), 5u);
}

TEST(Sys, FiguresAreThereForANewSubscriberAtOnce) {
  Client first, second;
  first.subscribe("$SYS/#", 0);
  const std::string topic = first.message().topic;
  second.subscribe(topic, 0);
  EXPECT_EQ(second.message().topic, topic);
}

// Section 4.7.2: clients do not publish there.
TEST(Sys, ClientsCannotPublishThere) {
  COURIER_ONLY();
  Client watcher, forger;
  watcher.subscribe("$SYS/forged/#", 1);
  EXPECT_GE(forger.publish("$SYS/forged/topic", "x", 1).reason, 0x80);
  watcher.expect_nothing_but_marker(forger);
}

}  // namespace courier::scenario
