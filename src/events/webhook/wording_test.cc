#include "events/webhook/wording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/catalogue/fields.h"
#include "jose/json_object.h"

namespace courier::events::webhook {
namespace {

using jose::Json;

EventPtr event(Kind kind, const std::function<void(FieldWriter&)>& put, std::string_view id = "19") {
  auto made = std::make_shared<Event>();
  made->kind = kind;
  FieldWriter out(made->bytes);
  out.text(Field::id, id)
      .text(Field::kind, info(kind).name)
      .number(Field::time_ns, 1'795'483'243'071'000'000)
      .text(Field::client_id, "phone/ü 1");
  put(out);
  return made;
}
void put_message(FieldWriter& out) {
  out.text(Field::username, "eve")
      .number(Field::message_id, 8)
      .text(Field::topic, "orders/7")
      .number(Field::qos, 1)
      .flag(Field::retain, false)
      .text(Field::payload, std::string_view("\x00\xFFz", 3));
}
Worded vernemq(const EventPtr& told) {
  return word(Profile::vernemq, Mode::structured, "courier://c", {&told, 1});
}
std::string header(const Worded& worded, std::string_view name) {
  std::string all;
  for (const auto& [key, value] : worded.headers) {
    if (key == name) all += value;
  }
  return all;
}

TEST(VernemqWording, IsWhatItsConsumersRead) {
  const Worded publish = vernemq(event(Kind::publish, put_message));
  EXPECT_EQ(header(publish, "vernemq-hook"), "on_publish");
  EXPECT_EQ(header(publish, "Content-Type"), "application/json");
  EXPECT_EQ(Json::parse(publish.body),
            Json::parse(R"({"mountpoint":"","client_id":"phone/ü 1","username":"eve",
      "qos":1,"topic":"orders/7","payload":"AP96","retain":false,"message_id":"8"})"));

  const Worded done = vernemq(event(Kind::delivery_complete, put_message));
  EXPECT_EQ(header(done, "vernemq-hook"), "on_delivery_complete");
  EXPECT_EQ(Json::parse(done.body)["message_id"], "8");

  const Worded subscribe = vernemq(event(Kind::subscribe, [](FieldWriter& out) {
    out.more(Field::filters, "a")
        .more(Field::filters, "b/#")
        .number_list(Field::granted_qos, std::array{2u, 128u});
  }));
  EXPECT_EQ(header(subscribe, "vernemq-hook"), "on_subscribe");
  EXPECT_EQ(Json::parse(subscribe.body),
            Json::parse(R"({"mountpoint":"","client_id":"phone/ü 1","username":null,
      "topics":[{"topic":"a","qos":2},{"topic":"b/#","qos":128}]})"));

  const Worded offline = vernemq(event(Kind::client_offline, [](FieldWriter&) {}));
  EXPECT_EQ(header(offline, "vernemq-hook"), "on_client_offline");
  EXPECT_EQ(Json::parse(offline.body), Json::parse(R"({"mountpoint":"","client_id":"phone/ü 1"})"));

  const Worded drop = vernemq(event(Kind::drop, [](FieldWriter& out) {
    put_message(out);
    out.text(Field::reason, "expired");
  }));
  EXPECT_EQ(header(drop, "vernemq-hook"), "on_message_drop");
  EXPECT_EQ(Json::parse(drop.body)["reason"], "expired");
}

TEST(VernemqWording, ClientsOf50HaveTheirTwins) {
  const Worded connect = vernemq(event(Kind::connect, [](FieldWriter& out) {
    out.text(Field::protocol, "5.0").text(Field::peer, "[2001:db8::1]:40123").flag(Field::clean_start, true);
    out.number(Field::expiry_seconds, 60);
  }));
  EXPECT_EQ(header(connect, "vernemq-hook"), "on_register_m5");
  EXPECT_EQ(Json::parse(connect.body),
            Json::parse(R"({"mountpoint":"","client_id":"phone/ü 1","username":null,
      "peer_addr":"2001:db8::1","peer_port":40123,"clean_start":true,"properties":{"p_session_expiry_interval":60}})"));
  const Worded publish = vernemq(event(Kind::publish, [](FieldWriter& out) {
    put_message(out);
    out.text(Field::protocol, "5.0")
        .text(Field::content_type, "text/plain")
        .pair(Field::user_properties, "k", "v");
  }));
  EXPECT_EQ(header(publish, "vernemq-hook"), "on_publish_m5");
  EXPECT_EQ(
      Json::parse(publish.body)["properties"],
      Json::parse(R"({"p_content_type":"text/plain","p_user_property":[{"key":"aw==","val":"dg=="}]})"));
}

TEST(VernemqWording, EachKindHasAHookOrNone) {
  for (const KindInfo& kind : kinds()) {
    const bool none =
        kind.kind == Kind::disconnect || kind.kind == Kind::unsubscribe || kind.kind == Kind::deliver;
    EXPECT_EQ(hook_of(kind.kind, false).empty(), none) << kind.name;
    EXPECT_EQ(hook_of(kind.kind, true).empty(), none) << kind.name;
  }
}

TEST(CloudEventsWording, AStructuredOneHoldsAll) {
  const EventPtr told = event(Kind::publish, [](FieldWriter& out) {
    put_message(out);
    out.text(Field::traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  });
  const Worded worded = word(Profile::cloudevents, Mode::structured, "courier://c", {&told, 1});
  EXPECT_EQ(header(worded, "Content-Type"), "application/cloudevents+json");
  EXPECT_EQ(header(worded, "traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const Json json = Json::parse(worded.body);
  EXPECT_EQ(json["specversion"], "1.0");
  EXPECT_EQ(json["id"], "19");
  EXPECT_EQ(json["source"], "courier://c");
  EXPECT_EQ(json["type"], "courier.publish");
  EXPECT_EQ(json["time"], "2026-11-24T01:20:43.071Z");
  EXPECT_EQ(json["subject"], "phone/ü 1");
  EXPECT_EQ(json["datacontenttype"], "application/json");
  EXPECT_EQ(json["data"]["topic"], "orders/7");
  EXPECT_EQ(json["data"]["payload"], "AP96");
}

TEST(CloudEventsWording, ABinaryOneHasItsAttributesInHeadersThatNothingCanBreakOutOf) {
  auto told = std::make_shared<Event>();
  told->kind = Kind::connect;
  FieldWriter(told->bytes).text(Field::id, "7").text(Field::client_id, "a\r\nx-evil: 1\"%ü");
  const EventPtr events[] = {told};
  const Worded worded = word(Profile::cloudevents, Mode::binary, "courier://c", events);
  EXPECT_EQ(header(worded, "ce-id"), "7");
  EXPECT_EQ(header(worded, "ce-type"), "courier.connect");
  EXPECT_EQ(header(worded, "ce-subject"), "a%0D%0Ax-evil:%201%22%25%C3%BC");
  EXPECT_EQ(header(worded, "Content-Type"), "application/json");
  EXPECT_EQ(Json::parse(worded.body)["client_id"], "a\r\nx-evil: 1\"%ü");
}

TEST(CloudEventsWording, ABatchIsAListAndItsIdIsThatOfItsEvents) {
  const auto none = [](FieldWriter&) {};
  const EventPtr a = event(Kind::connect, none, "1"), b = event(Kind::drop, none, "2"),
                 c = event(Kind::drop, none, "3");
  const EventPtr two[] = {a, b}, others[] = {a, c}, reversed[] = {b, a};
  const Worded worded = word(Profile::cloudevents, Mode::batch, "courier://c", two);
  EXPECT_EQ(header(worded, "Content-Type"), "application/cloudevents-batch+json");
  const Json json = Json::parse(worded.body);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[1]["type"], "courier.drop");
  EXPECT_EQ(id_of(two), id_of(std::vector<EventPtr>{a, b}));
  EXPECT_NE(id_of(two), id_of(others));
  EXPECT_NE(id_of(two), id_of(reversed));
  EXPECT_EQ(id_of({&a, 1}), "1");
}

}  // namespace
}  // namespace courier::events::webhook
