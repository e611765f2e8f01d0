#include "events/catalogue/json.h"

#include <gtest/gtest.h>

#include "events/catalogue/fields.h"

namespace courier::events {
namespace {

std::string json_of(std::string_view event) {
  std::string out;
  append_json(out, event);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_text(out, text);
  return out;
}

TEST(Json, EachShapeIsWrittenAsProtobufsMappingSays) {
  std::string event;
  const uint32_t granted[] = {1, 128, 300};
  FieldWriter(event)
      .text(Field::client_id, "phone-7")
      .flag(Field::clean_start, true)
      .flag(Field::session_present, false)
      .number(Field::qos, 0)
      .number(Field::latency_ns, 18'446'744'073'709'551'615u)
      .text(Field::payload, std::string_view("\x00\xFF\x10", 3))
      .more(Field::filters, "a/#")
      .more(Field::filters, "")
      .number_list(Field::granted_qos, granted);
  EXPECT_EQ(json_of(event), R"({"client_id":"phone-7","clean_start":true,"session_present":false,"qos":0,)"
                            R"("latency_ns":"18446744073709551615","payload":"AP8Q","filters":["a/#",""],)"
                            R"("granted_qos":[1,128,300]})");
}

TEST(Json, AListMayBeTheLast) {
  std::string event;
  FieldWriter(event).more(Field::filters, "a");
  EXPECT_EQ(json_of(event), R"({"filters":["a"]})");
  EXPECT_EQ(json_of(""), "{}");
}

TEST(Json, UserPropertiesAreAListOfPairs) {
  std::string event;
  FieldWriter(event).pair(Field::user_properties, "a", "1").pair(Field::user_properties, "a", "");
  EXPECT_EQ(json_of(event), R"({"user_properties":[{"name":"a","value":"1"},{"name":"a","value":""}]})");
}

TEST(Json, BytesOfAnyLengthAreBase64) {
  for (const auto& [bytes, expected] : {std::pair("f", "Zg=="), std::pair("fo", "Zm8="),
                                        std::pair("foo", "Zm9v"), std::pair("foob", "Zm9vYg==")}) {
    std::string event;
    FieldWriter(event).text(Field::payload, bytes);
    EXPECT_EQ(json_of(event), std::string(R"({"payload":")") + expected + "\"}");
  }
}

TEST(Json, TextIsEscapedAndWhatIsNotUtf8Replaced) {
  EXPECT_EQ(quoted("a\"b\\c\nd\x01"), R"("a\"b\\c\nd\u0001")");
  EXPECT_EQ(quoted("grüße €"), "\"grüße €\"");
  EXPECT_EQ(quoted("\xC3"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(quoted("a\xFF\x7F"), "\"a\xEF\xBF\xBD\x7F\"");
}

TEST(Json, WhatTheCatalogueDoesNotKnowIsLeftOut) {
  std::string event;
  FieldWriter(event).text(Field::client_id, "a");
  event += std::string("\xF2\x3F\x01x", 4);  // field 1022, one byte of text
  event += std::string(
      "\xF9\x3F"
      "12345678",
      10);                                   // field 1023, 64 bits fixed
  event += std::string("\x90\x01\x02", 3);   // qos 2
  event += std::string("\x8A\x01\x01t", 4);  // topic (17) "t"
  event += std::string("\x88\x01\x05", 3);   // topic again, written as a number
  EXPECT_EQ(json_of(event), R"({"client_id":"a","qos":2,"topic":"t"})");
}

TEST(Json, BytesThatEndInTheMiddleGiveWhatCameBefore) {
  std::string event;
  FieldWriter(event).text(Field::client_id, "a").text(Field::topic, "orders/1");
  const std::string cut = event.substr(0, event.size() - 1);
  EXPECT_EQ(json_of(cut), R"({"client_id":"a"})");
  FieldReader reader(cut);
  while (reader.next()) {
  }
  EXPECT_FALSE(reader.ok());
}

TEST(Fields, AFieldIsFoundByItsName) {
  std::string event;
  FieldWriter(event).text(Field::client_id, "phone").number(Field::message_id, 7);
  EXPECT_EQ(text_of(event, Field::client_id), "phone");
  EXPECT_EQ(find(event, Field::message_id)->value, 7u);
  EXPECT_EQ(text_of(event, Field::topic), "");
  EXPECT_FALSE(find(event, Field::topic));
}

}  // namespace
}  // namespace courier::events
