#include "relay/request_maker.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "relay/relay_test_bed.h"

namespace courier::relay {
namespace {

kafka::Message message(uint64_t number, std::string_view client) {
  kafka::Message made;
  made.value = test::event(number, client);
  made.headers = {{"ce_source", "courier://shop"}};
  return made;
}
Event event(const kafka::Message& from) {
  return *Event::read(from, Format::automatic);
}
std::string body(const HttpSettings& settings, const std::vector<kafka::Message>& messages) {
  const auto maker = RequestMaker::open(settings);
  std::string text;
  for (const kafka::Message& each : messages) EXPECT_TRUE(maker->append(text, each, event(each)));
  return maker->request({}, std::move(text)).body;
}
std::string header(const Target& target, std::string_view name) {
  for (const auto& [each, value] : target.headers)
    if (each == name) return value;
  return "";
}

TEST(RequestMaker, ABodyIsAnArrayABatchOfCloudEventsOrOneEvent) {
  const std::vector<kafka::Message> two{message(1, "a"), message(2, "b")};
  const auto array = nlohmann::json::parse(body({.url = "http://b/"}, two));
  ASSERT_EQ(array.size(), 2u);
  EXPECT_EQ(array[1]["client_id"], "b");
  const auto cloud = nlohmann::json::parse(body({.url = "http://b/", .batch = Batch::cloudevents}, two));
  ASSERT_EQ(cloud.size(), 2u);
  EXPECT_EQ(cloud[0]["specversion"], "1.0");
  EXPECT_EQ(cloud[0]["id"], "1");
  EXPECT_EQ(cloud[0]["source"], "courier://shop");
  EXPECT_EQ(cloud[0]["type"], "courier.publish");
  EXPECT_EQ(cloud[0]["time"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(cloud[0]["data"]["topic"], "orders/1");
  const auto one = nlohmann::json::parse(body({.url = "http://b/", .batch = Batch::none}, {message(3, "c")}));
  EXPECT_EQ(one["id"], "3");
}

TEST(RequestMaker, ATemplateStandsForEachEvent) {
  EXPECT_EQ(body({.url = "http://b/", .body = R"({"c":"{client_id}","m":{message_id}})"},
                 {message(1, "a\""), message(2, "b")}),
            R"([{"c":"a\"","m":1},{"c":"b","m":2}])");
}

TEST(RequestMaker, ABodyEndsBeforeItGrowsTooLargeButAlwaysHasOne) {
  const auto maker = RequestMaker::open({.url = "http://b/", .batch_bytes_max = 300});
  std::string text;
  const kafka::Message large = message(1, std::string(400, 'x')), small = message(2, "b");
  EXPECT_TRUE(maker->append(text, large, event(large)));
  const std::string before = text;
  EXPECT_FALSE(maker->append(text, small, event(small)));
  EXPECT_EQ(text, before);
}

TEST(RequestMaker, EventsOfOneRequestHaveUrlAndHeadersInCommon) {
  const kafka::Message a = message(1, "a"), b = message(2, "b/c");
  const auto plain = RequestMaker::open({.url = "http://b/", .headers = {"X-Fixed:  y"}});
  EXPECT_EQ(plain->target(event(a)), plain->target(event(b)));
  EXPECT_EQ(header(*plain->target(event(a)), "X-Fixed"), "y");
  EXPECT_EQ(header(*plain->target(event(a)), "content-type"), "application/json");
  const auto templates =
      RequestMaker::open({.url = "http://b/{client_id}", .headers = {"Content-Type: x/{topic}"}});
  EXPECT_EQ(templates->target(event(b))->url, "http://b/b%2Fc");
  EXPECT_EQ(templates->target(event(b))->headers.size(), 1u);
  EXPECT_EQ(header(*templates->target(event(b)), "Content-Type"), "x/orders/1");
  EXPECT_NE(*templates->target(event(a)), *templates->target(event(b)));
}

TEST(RequestMaker, AClientWhoseNameIsAStepInThePathHasNoTarget) {
  const auto maker = RequestMaker::open({.url = "http://b/v1/{client_id}/x"});
  for (const char* client : {".", ".."}) EXPECT_EQ(maker->target(event(message(1, client))), nullptr);
  EXPECT_NE(maker->target(event(message(1, "..."))), nullptr);
  const auto inside = RequestMaker::open({.url = "http://b/.{client_id}?c={client_id}"});
  EXPECT_EQ(inside->target(event(message(1, "."))), nullptr);
  EXPECT_NE(inside->target(event(message(1, ".."))), nullptr);
}

TEST(RequestMaker, AuthorizationComesFromAFile) {
  char path[] = "/tmp/relay-authorization-XXXXXX";
  const int file = ::mkstemp(path);
  ASSERT_GE(file, 0);
  ::close(file);
  std::ofstream(path) << "Bearer {topic}\nrest\n";
  const auto maker = RequestMaker::open({.url = "http://b/", .authorization_file = path});
  EXPECT_EQ(header(*maker->target(event(message(1, "a"))), "Authorization"), "Bearer {topic}");
  ::unlink(path);
  EXPECT_FALSE(RequestMaker::open({.url = "http://b/", .authorization_file = path}));
}

}  // namespace
}  // namespace courier::relay
