#include "relay/event.h"

#include <gtest/gtest.h>

#include "events/catalogue/json.h"
#include "relay/filter.h"
#include "relay/relay_test_bed.h"

namespace courier::relay {
namespace {

using events::Field;

kafka::Message message(std::string value, std::string_view type = "") {
  kafka::Message made;
  made.value = std::move(value);
  if (!type.empty()) made.headers.emplace_back("content-type", type);
  return made;
}
std::string as_json(std::string_view bytes) {
  std::string json;
  events::append_json(json, bytes);
  return json;
}
std::string value(const Event& event, Field field) {
  std::string out;
  event.append_value(out, field);
  return out;
}

TEST(RelayEvent, ProtobufAndJsonSayTheSame) {
  std::string bytes = test::event(18'000'000'000'000'000'000u, "phone");
  events::FieldWriter(bytes).text(Field::payload, "\x01\x02\x03");
  events::FieldWriter(bytes).pair(Field::user_properties, "a", "b");
  for (const kafka::Message& each : {message(bytes), message(bytes, "application/protobuf"),
                                     message(as_json(bytes)), message(as_json(bytes), "application/json")}) {
    const auto event = Event::read(each, Format::automatic);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->text(Field::client_id), "phone");
    EXPECT_EQ(value(*event, Field::message_id), "18000000000000000000");
    EXPECT_EQ(value(*event, Field::retain), "false");
    EXPECT_EQ(value(*event, Field::payload), "AQID");
    EXPECT_EQ(value(*event, Field::label), "");
    EXPECT_EQ(value(*event, Field::user_properties), "");
    std::string json;
    event->append_json(json);
    EXPECT_EQ(json, as_json(bytes));
  }
}

TEST(RelayEvent, WhatIsNoEventIsNotTakenForOne) {
  const std::string good = test::event(1, "a");
  for (const std::string& bad : std::initializer_list<std::string>{
           "", "hello", "{", "[]", "{}", R"({"id":"1"})", R"({"id":1,"kind":"publish"})",
           good.substr(0, good.size() - 1), R"({"id":"1","kind":"publish","qos":"many"})",
           std::string("\x0a\x01x", 3)})
    EXPECT_FALSE(Event::read(message(bad), Format::automatic)) << bad;
  EXPECT_FALSE(Event::read(message(good), Format::json));
  EXPECT_FALSE(Event::read(message(as_json(good)), Format::protobuf));
  EXPECT_FALSE(Event::read(message(good, "application/json"), Format::automatic));
}

bool passes(const FilterSettings& settings, const std::string& bytes) {
  const kafka::Message one = message(bytes);
  return Filter(settings).passes(*Event::read(one, Format::automatic));
}

TEST(RelayFilter, AnEventPassesAllOfIt) {
  const std::string one = test::event(1, "phone-1", "orders/7");
  EXPECT_TRUE(passes({}, one));
  EXPECT_TRUE(passes({.events = {"drop", "publish"}}, one));
  EXPECT_FALSE(passes({.events = {"drop"}}, one));
  EXPECT_TRUE(passes({.topics = {"chat/#", "orders/+"}}, one));
  EXPECT_FALSE(passes({.topics = {"chat/#"}}, one));
  EXPECT_FALSE(passes({.topics = {"#"}}, test::event(1, "phone-1", "")));
  EXPECT_TRUE(passes({.client_id_prefix = "phone-"}, one));
  EXPECT_FALSE(passes({.client_id_prefix = "phone-2"}, one));
  EXPECT_FALSE(passes({.labels = {"order"}}, one));
  std::string labelled = one;
  events::FieldWriter(labelled).text(Field::label, "order");
  EXPECT_TRUE(passes({.events = {"publish"}, .topics = {"orders/#"}, .labels = {"order"}}, labelled));
}

}  // namespace
}  // namespace courier::relay
