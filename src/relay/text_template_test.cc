#include "relay/text_template.h"

#include <gtest/gtest.h>

#include "relay/relay_test_bed.h"

namespace courier::relay {
namespace {

using Into = TextTemplate::Into;

std::string fill(std::string_view text, std::string_view client, Into into) {
  const auto made = TextTemplate::parse(text);
  EXPECT_TRUE(made) << made.error().message;
  kafka::Message message;
  message.value = test::event(7, client);
  std::string out;
  made->append(out, *Event::read(message, Format::automatic), into);
  return out;
}

TEST(TextTemplate, FieldsAreFilledInAndOtherBracesStay) {
  EXPECT_EQ(fill("", "a", Into::url), "");
  EXPECT_EQ(fill("/{client_id}/{kind}?m={message_id}", "phone", Into::url), "/phone/publish?m=7");
  EXPECT_EQ(fill("{qos}{retain}{label}", "a", Into::json), "1false");
  EXPECT_EQ(fill(R"({"a":{"b":"{topic}"},"c":{}})", "a", Into::json), R"({"a":{"b":"orders/1"},"c":{}})");
  EXPECT_EQ(fill("{{topic}} {{1} {", "a", Into::json), "{topic} {{1} {");
  EXPECT_EQ(fill(R"({"n":{"q":{qos}}})", "a", Into::json), R"({"n":{"q":1}})");
}

TEST(TextTemplate, WhatIsFilledInCannotLeaveItsPlace) {
  EXPECT_EQ(fill("/{client_id}", "a/b?c#d e%\n\xC3\xA4", Into::url), "/a%2Fb%3Fc%23d%20e%25%0A%C3%A4");
  EXPECT_EQ(fill(R"("{client_id}")", "a\"b\\\n\x01", Into::json), R"("a\"b\\\n\u0001")");
  EXPECT_EQ(fill("{client_id}", "a\r\nEvil: 1%", Into::header), "a%0D%0AEvil: 1%25");
}

TEST(TextTemplate, AFieldThatIsNoneIsNamedWithTheNearest) {
  const auto made = TextTemplate::parse("/{topc}");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("there is no field {topc}"), std::string::npos) << made.error().message;
  EXPECT_NE(made.error().message.find("did you mean {topic}?"), std::string::npos) << made.error().message;
  EXPECT_FALSE(TextTemplate::parse("{filters}"));  // a list
}

}  // namespace
}  // namespace courier::relay
