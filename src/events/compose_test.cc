#include "events/compose.h"

#include <gtest/gtest.h>

#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "mqtt/properties.h"

namespace courier::events {
namespace {

constexpr WallMs kClock = 1'700'000'000'123;
constexpr std::string_view kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

mqtt::MessagePtr message_with(std::string_view properties = {}) {
  auto* message = mqtt::Message::make("orders/7", "two pizzas", properties);
  message->qos = mqtt::Qos::at_least_once;
  message->received_at = kClock - 5;
  return mqtt::MessagePtr(message);
}

std::string json(std::string_view event) {
  std::string out;
  append_json(out, event);
  return out;
}

TEST(Compose, APublishSaysWhatItsMessageSays) {
  const std::string properties = mqtt::ForwardedPropertiesBuilder()
                                     .content_type("text/plain")
                                     .user_property("order", "7")
                                     .user_property("traceparent", kTrace)
                                     .take();
  const record::Record record = record::Publish{message_with(properties), "", {}, {}};
  record::Event event{static_cast<uint8_t>(Kind::publish), false, {}};
  FieldWriter(event.fields).text(Field::client_id, "backend");
  const Subject subject = Subject::of(record, Position(41));
  EXPECT_EQ(json(compose(event, Kind::publish, Position(42), kClock, subject, false)),
            R"({"id":"42","kind":"publish","time_ns":"1700000000123000000","client_id":"backend",)"
            R"("message_id":"41","topic":"orders/7","qos":1,"retain":false,"content_type":"text/plain",)"
            R"("user_properties":[{"name":"order","value":"7"},{"name":"traceparent","value":)"
            R"("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}],)"
            R"("traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})");
  const std::string with_payload = compose(event, Kind::publish, Position(42), kClock, subject, true);
  EXPECT_EQ(text_of(with_payload, Field::payload), "two pizzas");
}

TEST(Compose, AConnectNamesTheSessionThatItsAttachCreated) {
  record::Attach attach;
  attach.client_id = "phone";
  const SessionId created = record::session_created_at(Position(9), record::session_hash("", "phone"));
  const record::Event event{static_cast<uint8_t>(Kind::connect), false, {}};
  EXPECT_EQ(
      text_of(compose(event, Kind::connect, Position(10), kClock, Subject::of(attach, Position(9)), false),
              Field::session_id),
      session_text(created));
  attach.before = created;  // resumed: its event says so itself
  EXPECT_EQ(
      text_of(compose(event, Kind::connect, Position(10), kClock, Subject::of(attach, Position(9)), false),
              Field::session_id),
      "");
}

TEST(Compose, WhatWasNeverInTheLogSaysThatItIsBestEffort) {
  EXPECT_EQ(json(compose_noted(Kind::deliver, "", "n1-18c", 7, kClock)),
            R"({"id":"n1-18c.7","kind":"deliver","time_ns":"1700000000123000000","best_effort":true})");
}

TEST(Compose, OnlyAWellFormedTraceContextIsOne) {
  const auto of = [](std::string_view value) {
    return traceparent_of(
        *message_with(mqtt::ForwardedPropertiesBuilder().user_property("traceparent", value).take()));
  };
  EXPECT_EQ(of(kTrace), kTrace);
  const std::string trace(kTrace);
  EXPECT_EQ(of(trace + "-more"), "") << "version 00 has no more";
  EXPECT_EQ(of("01" + trace.substr(2) + "-more"), "01" + trace.substr(2) + "-more");
  EXPECT_EQ(of("01" + trace.substr(2) + "more"), "");
  EXPECT_EQ(of("ff" + trace.substr(2)), "");
  EXPECT_EQ(of(trace.substr(0, 54)), "");
  EXPECT_EQ(of("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), "") << "capitals";
  EXPECT_EQ(of("00-00000000000000000000000000000000-b7ad6b7169203331-01"), "");
  EXPECT_EQ(of("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"), "");
  EXPECT_EQ(traceparent_of(*message_with()), "");
}

}  // namespace
}  // namespace courier::events
