#include "mqtt/message.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "mqtt/limits.h"

namespace courier::mqtt {
namespace {

MessagePtr message_of(size_t payload_bytes) {
  return MessagePtr(Message::make("a/b", std::string(payload_bytes, 'x')));
}

TEST(Message, HoldsCopiesOfWhatItWasMadeOf) {
  std::string topic = "a/b", payload = "payload", properties = "properties";
  const MessagePtr message(Message::make(topic, payload, properties));
  topic = payload = properties = "";
  EXPECT_EQ(message->topic, "a/b");
  EXPECT_EQ(message->payload, "payload");
  EXPECT_EQ(message->properties, "properties");
}

TEST(Message, ItsMemoryIsUsedAgainByTheThreadThatLetItGo) {
  if (kSpareMessageBytesMax == 0) GTEST_SKIP();
  const void* first = message_of(100).get();
  const MessagePtr second = message_of(101);
  EXPECT_EQ(second.get(), first);
  EXPECT_NE(message_of(100).get(), first);  // that one is taken
}

TEST(Message, OneOfAnotherSizeDoesNotGetThatMemory) {
  const void* small = message_of(10).get();
  EXPECT_NE(message_of(500).get(), small);
}

TEST(Message, AThreadKeepsNoMoreThanItsBound) {
  std::thread([] {
    std::vector<MessagePtr> many;
    for (size_t bytes = 0; bytes < 2 * kSpareMessageBytesMax + 4096; bytes += 700)
      many.push_back(message_of(700));
    many.clear();
    EXPECT_LE(Message::spare_bytes(), kSpareMessageBytesMax);
    if (kSpareMessageBytesMax > 0) {
      EXPECT_GT(Message::spare_bytes(), kSpareMessageBytesMax - 1024);
    }
  }).join();
}

TEST(Message, ALargeOneIsNotKept) {
  std::thread([] {
    (void)message_of(100'000);
    EXPECT_EQ(Message::spare_bytes(), 0u);
  }).join();
}

}  // namespace
}  // namespace courier::mqtt
