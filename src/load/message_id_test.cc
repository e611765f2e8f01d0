#include "load/message_id.h"

#include <gtest/gtest.h>

namespace courier::load {
namespace {

const MessageId kId{0xA1B2C3D4, 7, stream_of("driver/7/orders"), 42, 1'795'000'000'123'456};

TEST(AnId, ComesBackFromThePayload) {
  std::string payload(600, 'x');
  stamp(payload, kId);
  const auto found = find_stamp(payload);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, kId);
  EXPECT_FALSE(found->damaged);
  EXPECT_TRUE(found->as_text.empty());
}

TEST(AnId, OfTheLeastPayloadFits) {
  std::string payload(kIdBytes, '\0');
  stamp(payload, kId);
  EXPECT_EQ(find_stamp(payload)->id, kId);
  EXPECT_FALSE(find_stamp(payload)->damaged);
}

TEST(AnId, ComesBackFromText) {
  const std::string text = id_text(kId);
  EXPECT_EQ(text.size(), kIdTextBytes);
  const std::string json = R"({"order":1,"id":")" + text + R"("})";
  const auto found = find_stamp(json);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, kId);
  EXPECT_FALSE(found->damaged);
  EXPECT_EQ(found->as_text, text);
}

// Each byte of the payload is under the checksum, the id's own among them.
TEST(AnId, TellsThatAByteWasChanged) {
  std::string payload(64, 'x');
  stamp(payload, kId);
  for (size_t i = 4; i < payload.size(); ++i) {
    std::string changed = payload;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    ASSERT_TRUE(find_stamp(changed)) << i;
    EXPECT_TRUE(find_stamp(changed)->damaged) << i;
  }
  std::string text = id_text(kId);
  text[20] = text[20] == '0' ? '1' : '0';
  EXPECT_TRUE(find_stamp(text)->damaged);
  text[20] = 'z';
  EXPECT_TRUE(find_stamp(text)->damaged);
}

TEST(AnId, IsNotFoundWhereNoneIs) {
  EXPECT_FALSE(find_stamp(""));
  EXPECT_FALSE(find_stamp("CLm1"));
  EXPECT_FALSE(find_stamp(std::string(600, 'x')));
  EXPECT_FALSE(find_stamp(id_text(kId).substr(0, kIdTextBytes - 1)));
}

}  // namespace
}  // namespace courier::load
