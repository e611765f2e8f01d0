#include "courier/message_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "client/properties.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;

class Format : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    properties_ = client::encode_forwarded({.payload_is_utf8 = true,
                                            .content_type = "text/plain",
                                            .response_topic = "r/t",
                                            .correlation_data = "cd",
                                            .user_properties = {{"k", "1"}, {"k", "2"}}});
    publish_.topic = "a/b";
    publish_.payload = "hello";
    publish_.qos = mqtt::Qos::at_least_once;
    publish_.packet_id = PacketId(7);
    publish_.retain = true;
    publish_.forwarded_properties = properties_;
    publish_.message_expiry_seconds = 30;
    publish_.subscription_identifiers = {3, 4};
  }
  std::string format(const std::string& text) {
    auto parsed = MessageFormat::parse(text);
    EXPECT_TRUE(parsed) << parsed.error().message;
    std::string out;
    parsed->append(out, {publish_, 1'470'818'943'786'368'637});
    return out;
  }
  std::string complaint(const std::string& text) {
    auto parsed = MessageFormat::parse(text);
    return parsed ? "" : parsed.error().message;
  }

  std::string properties_;
  mqtt::Publish publish_;
};

TEST_F(Format, EachLetterStandsForItsField) {
  EXPECT_EQ(format("%t|%p|%q|%r|%m|%l|%x|%X"), "a/b|hello|1|1|7|5|68656c6c6f|68656C6C6F");
  EXPECT_EQ(format("%C|%D|%E|%F|%P|%R|%S"), "text/plain|cd|30|1|k:1 k:2|r/t|3 4");
  EXPECT_EQ(format("%U"), "1470818943.786368637");
  EXPECT_EQ(format("%I"), "2016-08-10T08:49:03+0000");
  EXPECT_EQ(format("@Y-@m-@d @N"), "2016-08-10 786368637");
}

TEST_F(Format, EscapesAndPlainText) {
  EXPECT_EQ(format("%%@@\\\\|\\t\\n\\r\\a\\e\\v"), "%@\\|\t\n\r\a\x1b\v");
  EXPECT_EQ(format("\\0"), std::string(1, '\0'));
}

TEST_F(Format, WidthAlignmentAndPrecision) {
  EXPECT_EQ(format("[%6t]"), "[   a/b]");
  EXPECT_EQ(format("[%-6t]"), "[a/b   ]");
  EXPECT_EQ(format("[%.2p]"), "[he]");
  EXPECT_EQ(format("[%05m]"), "[00007]");
}

TEST_F(Format, MistakesAreNamed) {
  EXPECT_THAT(complaint("%z"), HasSubstr("%z means nothing"));
  EXPECT_THAT(complaint("100%"), HasSubstr("a percent sign is %%"));
  EXPECT_THAT(complaint("\\q"), HasSubstr("\\q means nothing"));
  EXPECT_THAT(complaint("\\"), HasSubstr("a backslash is"));
  EXPECT_THAT(complaint("@"), HasSubstr("strftime"));
}

TEST_F(Format, JsonCarriesEverything) {
  EXPECT_EQ(
      format("%j"),
      R"({"tst":"2016-08-10T08:49:03.786368+0000","topic":"a/b","qos":1,"retain":1,"payloadlen":5,"mid":7,)"
      R"("properties":{"payload-format-indicator":1,"message-expiry-interval":30,"content-type":"text/plain",)"
      R"("response-topic":"r/t","correlation-data":"cd","user-properties":[["k","1"],["k","2"]],)"
      R"("subscription-identifiers":[3,4]},"payload":"hello"})");
}

TEST_F(Format, JsonPayloadIsEmbeddedOnlyOnDemandAndIfItIsJson) {
  publish_.payload = "{\"b\":1,\"a\":[2]}";
  EXPECT_THAT(format("%J"), HasSubstr(R"("payload":{"b":1,"a":[2]})"));
  EXPECT_THAT(format("%j"), HasSubstr(R"("payload":"{\"b\":1)"));
  publish_.payload = "{";
  EXPECT_THAT(format("%J"), HasSubstr(R"("payload":"{")"));
}

TEST_F(Format, BinaryPayloadIsBase64InJson) {
  publish_.payload = "\xff\xfe";
  EXPECT_THAT(format("%j"), HasSubstr(R"("payload_base64":"//4=")"));
  publish_.payload = "\xff";
  EXPECT_THAT(format("%j"), HasSubstr(R"("payload_base64":"/w==")"));
  publish_.payload = "\xff\xfe\xfd";
  EXPECT_THAT(format("%j"), HasSubstr(R"("payload_base64":"//79")"));
}

TEST_F(Format, TableLineIsOneLineWhateverThePayload) {
  const std::string hostile("a\nb\x1b[31m\0", 9);
  publish_.payload = hostile;
  EXPECT_EQ(table_line({publish_, 1'470'818'943'786'368'637}),
            "08:49:03.786  1  r  a/b                               a\\nb\\x1b[31m\\x00");
  publish_.payload = "\xff";
  EXPECT_THAT(table_line({publish_, 0}), HasSubstr("\\xff"));
}

}  // namespace
}  // namespace courier::cli
