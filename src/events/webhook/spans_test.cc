#include "events/webhook/spans.h"

#include <gtest/gtest.h>

#include "events/catalogue/fields.h"
#include "jose/json_object.h"

namespace courier::events::webhook {
namespace {

using jose::Json;

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

EventPtr event(Kind kind, int id, std::string_view traceparent, uint64_t message_id = 8) {
  auto made = std::make_shared<Event>();
  made->kind = kind;
  FieldWriter out(made->bytes);
  out.text(Field::id, std::to_string(id))
      .number(Field::time_ns, 5'000'000'000)
      .text(Field::client_id, "a\"b");
  if (kind != Kind::connect) out.number(Field::message_id, message_id).text(Field::topic, "orders/7");
  if (kind == Kind::delivery_complete) out.number(Field::latency_ns, 1'000'000'000);
  out.text(Field::traceparent, traceparent);
  return made;
}
Json spans(const std::vector<EventPtr>& events) {
  return Json::parse(spans_json(events))["resourceSpans"][0]["scopeSpans"][0]["spans"];
}

TEST(Spans, AMessageIsInItsPublishersTrace) {
  const Json said = spans({event(Kind::publish, 9, kSampled), event(Kind::deliver, 10, kSampled),
                           event(Kind::delivery_complete, 11, kSampled)});
  ASSERT_EQ(said.size(), 3u);
  for (const Json& span : said) EXPECT_EQ(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(said[0]["name"], "publish");
  EXPECT_EQ(said[0]["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_EQ(said[0]["kind"], 4);
  EXPECT_EQ(said[1]["parentSpanId"], said[0]["spanId"]);
  EXPECT_EQ(said[2]["parentSpanId"], said[0]["spanId"]);
  EXPECT_NE(said[1]["spanId"], said[2]["spanId"]);
  EXPECT_EQ(said[2]["name"], "ack");
  EXPECT_EQ(said[2]["startTimeUnixNano"], "4000000000");
  EXPECT_EQ(said[2]["endTimeUnixNano"], "5000000000");
  EXPECT_EQ(spans({event(Kind::publish, 9, kSampled)})[0], said[0]) << "told again it is the same";
}

TEST(Spans, AttributesSayWhatItIsAbout) {
  const Json span = spans({event(Kind::publish, 9, kSampled)})[0];
  std::map<std::string, std::string> attributes;
  for (const Json& each : span["attributes"]) attributes[each["key"]] = each["value"]["stringValue"];
  EXPECT_EQ(attributes["messaging.system"], "mqtt");
  EXPECT_EQ(attributes["messaging.destination.name"], "orders/7");
  EXPECT_EQ(attributes["messaging.message.id"], "8");
  EXPECT_EQ(attributes["messaging.client.id"], "a\"b");
}

TEST(Spans, WhoeverSaysSampledIsAndTheOthersAreInPart) {
  EXPECT_TRUE(is_span(*event(Kind::publish, 1, kSampled), 0));
  EXPECT_FALSE(is_span(*event(Kind::publish, 1, kNotSampled), 1));
  EXPECT_FALSE(is_span(*event(Kind::publish, 1, ""), 0));
  EXPECT_TRUE(is_span(*event(Kind::connect, 1, ""), 1));
  EXPECT_FALSE(is_span(*event(Kind::drop, 1, kSampled), 1));
  int some = 0;
  for (uint64_t message = 1; message <= 10'000; ++message) {
    const bool published = is_span(*event(Kind::publish, 1, "", message), 0.1);
    EXPECT_EQ(is_span(*event(Kind::delivery_complete, 2, "", message), 0.1), published)
        << "all of a message, or none";
    some += published ? 1 : 0;
  }
  EXPECT_NEAR(some, 1000, 150);
}

TEST(Spans, WithoutATraceparentATraceIsMadeOfTheMessage) {
  const Json said = spans(
      {event(Kind::publish, 9, ""), event(Kind::delivery_complete, 11, ""), event(Kind::connect, 3, "")});
  EXPECT_EQ(said[0]["traceId"], said[1]["traceId"]);
  EXPECT_EQ(said[0]["traceId"].get<std::string>().size(), 32u);
  EXPECT_EQ(said[0]["parentSpanId"], "");
  EXPECT_EQ(said[1]["parentSpanId"], said[0]["spanId"]);
  EXPECT_NE(said[2]["traceId"], said[0]["traceId"]);
  EXPECT_EQ(said[2]["name"], "connect");
  EXPECT_EQ(said[2]["kind"], 2);
}

}  // namespace
}  // namespace courier::events::webhook
