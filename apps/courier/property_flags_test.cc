#include "courier/property_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "courier/mosquitto_arguments.h"

namespace courier::cli {
namespace {

std::string flag(std::initializer_list<std::string> words) {
  std::string joined;
  for (const std::string& word : words)
    joined += (joined.empty() ? "" : std::string(1, kWordSeparator)) + word;
  return joined;
}

std::string complaint(std::initializer_list<std::string> words) {
  const auto parsed = PropertyFlags::parse({flag(words)});
  return parsed ? "" : parsed.error().message;
}

TEST(PropertyFlags, EachCommandHasItsOwn) {
  const auto parsed = PropertyFlags::parse({
      flag({"publish", "content-type", "text/plain"}),
      flag({"publish", "user-property", "k", "1"}),
      flag({"PUBLISH", "user-property", "k", "2"}),
      flag({"publish", "message-expiry-interval", "60"}),
      flag({"publish", "payload-format-indicator", "1"}),
      flag({"publish", "topic-alias", "4"}),
      flag({"publish", "response-topic", "r"}),
      flag({"publish", "correlation-data", "c"}),
      flag({"will", "will-delay-interval", "5"}),
      flag({"will", "content-type", "w"}),
      flag({"connect", "session-expiry-interval", "4294967295"}),
      flag({"connect", "receive-maximum", "10"}),
      flag({"connect", "maximum-packet-size", "1000"}),
      flag({"connect", "topic-alias-maximum", "7"}),
      flag({"connect", "request-problem-information", "0"}),
      flag({"subscribe", "subscription-identifier", "9"}),
      flag({"subscribe", "user-property", "s", "1"}),
      flag({"unsubscribe", "user-property", "u", "1"}),
      flag({"disconnect", "session-expiry-interval", "3"}),
  });
  ASSERT_TRUE(parsed) << parsed.error().message;
  const client::MessageProperties publish{.message_expiry_seconds = 60,
                                          .payload_is_utf8 = true,
                                          .content_type = "text/plain",
                                          .response_topic = "r",
                                          .correlation_data = "c",
                                          .user_properties = {{"k", "1"}, {"k", "2"}}};
  EXPECT_EQ(parsed->publish, publish);
  EXPECT_EQ(parsed->topic_alias, 4);
  EXPECT_EQ(parsed->will_delay_seconds, 5u);
  EXPECT_EQ(parsed->will.content_type, "w");
  EXPECT_EQ(parsed->subscription_identifier, 9u);
  EXPECT_EQ(parsed->disconnect.session_expiry_seconds, 3u);
  EXPECT_EQ(parsed->subscribe.size(), 1u);
  EXPECT_EQ(parsed->unsubscribe.size(), 1u);
  client::ConnectOptions options;
  parsed->apply_to(options);
  EXPECT_EQ(options.session_expiry_seconds, 0xFFFFFFFFu);
  EXPECT_EQ(options.receive_maximum, 10);
  EXPECT_EQ(options.maximum_packet_size, 1000u);
  EXPECT_EQ(options.topic_alias_maximum, 7);
  EXPECT_FALSE(options.request_problem_information);
}

TEST(PropertyFlags, MistakesAreNamed) {
  using testing::HasSubstr;
  EXPECT_THAT(complaint({"pubish", "content-type", "x"}), HasSubstr("it is one of connect, publish"));
  EXPECT_THAT(complaint({"publish", "content-typo", "x"}),
              HasSubstr("has no such property; it has content-type"));
  EXPECT_THAT(complaint({"publish", "topic-alias", "0"}), HasSubstr("not a number from 1 to 65535"));
  EXPECT_THAT(complaint({"publish", "topic-alias", "12x"}), HasSubstr("\"12x\" is not a number"));
  EXPECT_THAT(complaint({"connect", "receive-maximum", "65536"}), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(complaint({"publish", "content-type"}), HasSubstr("it takes COMMAND PROPERTY VALUE"));
  EXPECT_THAT(complaint({"publish", "user-property", "k"}), HasSubstr("user-property NAME VALUE"));
  EXPECT_THAT(complaint({"subscribe", "content-type", "x"}), HasSubstr("it has subscription-identifier"));
}

}  // namespace
}  // namespace courier::cli
