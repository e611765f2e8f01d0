#include "events/kafka/kafka_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "kafka/kafka_test_cluster.h"

namespace courier::events::kafka {
namespace {

constexpr int kPartitions = 4;

using courier::kafka::test::Arrived;

EventPtr event(uint64_t number, Kind kind = Kind::publish, std::string_view client = "", size_t payload = 0) {
  std::string bytes;
  FieldWriter out(bytes);
  out.text(Field::id, std::to_string(number)).text(Field::kind, info(kind).name);
  out.text(Field::client_id, client.empty() ? "phone" + std::to_string(number % 7) : client);
  if (payload > 0) out.text(Field::payload, std::string(payload, 'x'));
  return std::make_shared<const Event>(Event{Position(number), kind, bytes});
}
std::vector<EventPtr> events(uint64_t from, uint64_t to) {
  std::vector<EventPtr> list;
  for (uint64_t i = from; i <= to; ++i) list.push_back(event(i));
  return list;
}

class KafkaSinkTest : public ::testing::Test {
 protected:
  std::unique_ptr<KafkaSink> open(KafkaSinkOptions more = {}) {
    more.name = "kafka";
    more.brokers = kafka_.brokers();
    more.source = "courier://test";
    auto sink = KafkaSink::open(std::move(more), metrics_);
    EXPECT_TRUE(sink) << sink.error().message;
    return *std::move(sink);
  }
  // Each at least once, and, by their first copies, in the order of each client.
  static void expect_complete(const std::vector<Arrived>& all, uint64_t count) {
    std::map<std::string, std::vector<uint64_t>> by_client;
    std::set<std::string> seen;
    for (const Arrived& each : all) {
      if (seen.insert(each.id()).second) by_client[each.key].push_back(std::stoull(each.id()));
    }
    EXPECT_EQ(seen.size(), count);
    for (const auto& [client, numbers] : by_client) EXPECT_TRUE(std::ranges::is_sorted(numbers)) << client;
  }

  std::vector<Arrived> read(Kind kind, size_t at_least) {
    return kafka_.read(topic_of("courier-", kind), at_least);
  }

  courier::kafka::test::Cluster kafka_{
      {topic_of("courier-", Kind::publish), topic_of("courier-", Kind::delivery_complete)}, kPartitions};
  Registry metrics_;
};

TEST_F(KafkaSinkTest, EventsStandInTheirTopicsWithKeysAndHeaders) {
  const auto sink = open();
  std::string bytes = event(1, Kind::delivery_complete, "phone")->bytes;
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  FieldWriter(bytes).text(Field::traceparent, trace);
  const std::vector<EventPtr> told{
      std::make_shared<const Event>(Event{Position(1), Kind::delivery_complete, bytes}), event(2)};
  ASSERT_TRUE(sink->tell({}, told));
  const auto completed = read(Kind::delivery_complete, 1);
  ASSERT_EQ(completed.size(), 1u);
  EXPECT_EQ(completed[0].key, "phone");
  EXPECT_EQ(completed[0].value, bytes);
  EXPECT_EQ(completed[0].headers.at("ce_id"), "1");
  EXPECT_EQ(completed[0].headers.at("ce_type"), "courier.delivery_complete");
  EXPECT_EQ(completed[0].headers.at("ce_source"), "courier://test");
  EXPECT_EQ(completed[0].headers.at("content-type"), "application/protobuf");
  EXPECT_EQ(completed[0].headers.at("traceparent"), trace);
  const auto published = read(Kind::publish, 1);
  ASSERT_EQ(published.size(), 1u);
  EXPECT_FALSE(published[0].headers.contains("traceparent"));
}

TEST_F(KafkaSinkTest, ValuesMayBeJson) {
  const auto sink = open({.format = Format::json});
  const EventPtr told[] = {event(1)};
  ASSERT_TRUE(sink->tell({}, told));
  std::string json;
  append_json(json, told[0]->bytes);
  EXPECT_EQ(read(Kind::publish, 1).at(0).value, json);
}

TEST_F(KafkaSinkTest, OneClientsEventsKeepTheirOrderOverErrorsOfBrokers) {
  const auto sink = open();
  for (uint64_t round = 0; round < 10; ++round) {
    rd_kafka_mock_push_request_errors(
        kafka_.cluster(), 0 /* Produce */, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    const int32_t leader = 1 + static_cast<int32_t>(round % 3);
    rd_kafka_mock_partition_set_leader(kafka_.cluster(), "courier-publish",
                                       static_cast<int32_t>(round % kPartitions), leader);
    ASSERT_TRUE(sink->tell({}, events(round * 100 + 1, round * 100 + 100)));
  }
  expect_complete(read(Kind::publish, 1000), 1000);
}

TEST_F(KafkaSinkTest, WhileKafkaIsAwayItSaysSoAndAfterwardsAllIsThere) {
  const auto sink = open({.patience_ms = 1'000});
  ASSERT_TRUE(sink->tell({}, events(1, 50)));
  kafka_.set_up(false);
  const auto refused = sink->tell({}, events(51, 100));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("has not taken anything for 1 s"), std::string::npos)
      << refused.error().message;
  kafka_.set_up(true);
  Result<Told> done = sink->tell({}, events(51, 100));
  for (int i = 0; i < 20 && !done; ++i) done = sink->tell({}, events(51, 100));
  ASSERT_TRUE(done) << done.error().message;
  expect_complete(read(Kind::publish, 100), 100);
}

TEST_F(KafkaSinkTest, WhatIsTooLargeIsGivenUpAndHoldsNothingUp) {
  const auto sink = open({.properties = {{"message.max.bytes", "2000"}}});
  const EventPtr told[] = {event(1), event(2, Kind::publish, "phone2", 5'000), event(3)};
  ASSERT_TRUE(sink->tell({}, told));
  EXPECT_EQ(read(Kind::publish, 2).size(), 2u);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "kafka"}}), 1);
}

TEST_F(KafkaSinkTest, WhatIsRefusedAloneIsGivenUp) {
  const auto sink = open({.patience_ms = 5'000});
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0 /* Produce */, 1,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_TRUE(sink->tell({}, events(1, 1)));
  ASSERT_TRUE(sink->tell({}, events(2, 2)));
  EXPECT_EQ(read(Kind::publish, 1).size(), 1u);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "kafka"}}), 1);
}

TEST_F(KafkaSinkTest, ABatchThatIsTooLargeIsToldInPartsAndNothingIsGivenUp) {
  const auto sink = open({.patience_ms = 5'000});
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0 /* Produce */, 1,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_TRUE(sink->tell({}, events(1, 100)));
  expect_complete(read(Kind::publish, 100), 100);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "kafka"}}), 0);
}

TEST_F(KafkaSinkTest, WhatKafkaHasIsNotSentAgainBecauseAnotherTopicIsRefused) {
  const auto sink = open({.patience_ms = 5'000});
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const EventPtr told[] = {event(1, Kind::publish, "a"), event(2, Kind::delivery_complete, "a")};
  const auto refused = sink->tell({}, told);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("does not let us write to the topic"), std::string::npos)
      << refused.error().message;
  Result<Told> done = sink->tell({}, told);
  for (int i = 0; i < 5 && !done; ++i) done = sink->tell({}, told);  // each broker refuses once
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(read(Kind::publish, 1).size() + read(Kind::delivery_complete, 1).size(), 2u);
}

TEST_F(KafkaSinkTest, ASettingThatLibrdkafkaDoesNotTakeIsNamed) {
  const auto sink = KafkaSink::open(
      {.name = "kafka", .brokers = "127.0.0.1:1", .properties = {{"no.such.setting", "1"}}}, metrics_);
  ASSERT_FALSE(sink);
  EXPECT_NE(sink.error().message.find("no.such.setting"), std::string::npos) << sink.error().message;
}

TEST_F(KafkaSinkTest, AStopEndsAnAttempt) {
  const auto sink = open({.patience_ms = 600'000});
  kafka_.set_up(false);
  sink->stop();
  EXPECT_FALSE(sink->tell({}, events(1, 10)));
}

}  // namespace
}  // namespace courier::events::kafka
