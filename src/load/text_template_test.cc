#include "load/text_template.h"

#include <gtest/gtest.h>

namespace courier::load {
namespace {

std::string filled(std::string_view text, const TextTemplate::Values& values) {
  auto parsed = TextTemplate::parse(text);
  return parsed ? parsed->fill(values) : parsed.error().message;
}

TEST(Templates, FillTheirSlots) {
  EXPECT_EQ(filled("drv-{n:06}", {.number = 42}), "drv-000042");
  EXPECT_EQ(filled("driver/{pick}/orders", {.pick = 7}), "driver/7/orders");
  EXPECT_EQ(filled("{n}{n:2}{seq}", {.number = 123, .sequence = 9}), "1231239");
  EXPECT_EQ(filled("plain", {}), "plain");
  EXPECT_EQ(filled("", {}), "");
}

TEST(Templates, LeaveTheBracesOfJsonAlone) {
  EXPECT_EQ(filled(R"({"id":"{msg.id}","n":{seq}})", {.sequence = 3, .message_id = "abc"}),
            R"({"id":"abc","n":3})");
  EXPECT_EQ(filled(R"({"a":{"b":{}},"n":{n}})", {.number = 3}), R"({"a":{"b":{}},"n":3})");
  EXPECT_EQ(filled("{{n}}", {}), "{n}");
  EXPECT_EQ(filled("{ n }", {}), "{ n }");
  EXPECT_EQ(filled("{", {}), "{");
}

TEST(Templates, RefuseASlotThatIsNot) {
  EXPECT_FALSE(TextTemplate::parse("a/{number}"));
  EXPECT_FALSE(TextTemplate::parse("{n:99}"));
  EXPECT_FALSE(TextTemplate::parse("{n:}"));
  EXPECT_FALSE(TextTemplate::parse("{msg.id:4}"));
  EXPECT_NE(TextTemplate::parse("a/{number}").error().message.find("{number}"), std::string::npos);
}

TEST(Templates, KnowWhatTheyUse) {
  const auto parsed = TextTemplate::parse("a/{pick}");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->uses(TextTemplate::Slot::pick));
  EXPECT_FALSE(parsed->uses(TextTemplate::Slot::number));
  EXPECT_FALSE(parsed->constant());
  EXPECT_TRUE(TextTemplate::parse("a/{{n}}")->constant());
}

}  // namespace
}  // namespace courier::load
