#include "events/kafka/kafka_sink.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"

namespace courier::events::kafka {
namespace {

constexpr int kPartitions = 4;

struct Arrived {
  std::string key, value;
  std::map<std::string, std::string> headers;
  int32_t partition = 0;
  std::string id() const { return headers.at("ce_id"); }
};

// librdkafka's own stand-in: brokers on loopback that do as they are told.
class MockKafka {
 public:
  MockKafka() {
    std::array<char, 512> why{};
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why.data(), why.size());
    cluster_ = rd_kafka_mock_cluster_new(handle_, 3);
    for (const Kind kind : {Kind::publish, Kind::delivery_complete})
      rd_kafka_mock_topic_create(cluster_, topic_of("courier-", kind).c_str(), kPartitions, 3);
  }
  ~MockKafka() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* cluster() { return cluster_; }
  void set_up(bool up) {
    for (int32_t broker = 1; broker <= 3; ++broker) {
      up ? rd_kafka_mock_broker_set_up(cluster_, broker) : rd_kafka_mock_broker_set_down(cluster_, broker);
    }
  }

  // All that is in the topic, until it has been silent for a while.
  std::vector<Arrived> read(Kind kind, size_t at_least) {
    std::array<char, 512> why{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers().c_str(), why.data(), why.size());
    rd_kafka_conf_set(conf, "group.id", "reader", why.data(), why.size());
    rd_kafka_t* reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why.data(), why.size());
    rd_kafka_poll_set_consumer(reader);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(kPartitions);
    for (int32_t i = 0; i < kPartitions; ++i) {
      rd_kafka_topic_partition_list_add(list, topic_of("courier-", kind).c_str(), i)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    std::vector<Arrived> all;
    for (int idle = 0; idle < (all.size() < at_least ? 100 : 5);) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(reader, 100);
      if (!message) {
        ++idle;
        continue;
      }
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) all.push_back(taken(*message));
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return all;
  }

 private:
  static Arrived taken(rd_kafka_message_t& message) {
    Arrived arrived;
    arrived.key.assign(static_cast<const char*>(message.key), message.key_len);
    arrived.value.assign(static_cast<const char*>(message.payload), message.len);
    arrived.partition = message.partition;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name = nullptr;
      const void* value = nullptr;
      size_t size = 0;
      for (size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
        arrived.headers[name].assign(static_cast<const char*>(value), size);
    }
    return arrived;
  }
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

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

  MockKafka kafka_;
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
  const auto completed = kafka_.read(Kind::delivery_complete, 1);
  ASSERT_EQ(completed.size(), 1u);
  EXPECT_EQ(completed[0].key, "phone");
  EXPECT_EQ(completed[0].value, bytes);
  EXPECT_EQ(completed[0].headers.at("ce_id"), "1");
  EXPECT_EQ(completed[0].headers.at("ce_type"), "courier.delivery_complete");
  EXPECT_EQ(completed[0].headers.at("ce_source"), "courier://test");
  EXPECT_EQ(completed[0].headers.at("content-type"), "application/protobuf");
  EXPECT_EQ(completed[0].headers.at("traceparent"), trace);
  const auto published = kafka_.read(Kind::publish, 1);
  ASSERT_EQ(published.size(), 1u);
  EXPECT_FALSE(published[0].headers.contains("traceparent"));
}

TEST_F(KafkaSinkTest, ValuesMayBeJson) {
  const auto sink = open({.format = Format::json});
  const EventPtr told[] = {event(1)};
  ASSERT_TRUE(sink->tell({}, told));
  std::string json;
  append_json(json, told[0]->bytes);
  EXPECT_EQ(kafka_.read(Kind::publish, 1).at(0).value, json);
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
  expect_complete(kafka_.read(Kind::publish, 1000), 1000);
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
  expect_complete(kafka_.read(Kind::publish, 100), 100);
}

TEST_F(KafkaSinkTest, WhatIsTooLargeIsGivenUpAndHoldsNothingUp) {
  const auto sink = open({.properties = {{"message.max.bytes", "2000"}}});
  const EventPtr told[] = {event(1), event(2, Kind::publish, "phone2", 5'000), event(3)};
  ASSERT_TRUE(sink->tell({}, told));
  EXPECT_EQ(kafka_.read(Kind::publish, 2).size(), 2u);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "kafka"}}), 1);
}

TEST_F(KafkaSinkTest, WhatIsRefusedAloneIsGivenUp) {
  const auto sink = open({.patience_ms = 5'000});
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0 /* Produce */, 1,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_TRUE(sink->tell({}, events(1, 1)));
  ASSERT_TRUE(sink->tell({}, events(2, 2)));
  EXPECT_EQ(kafka_.read(Kind::publish, 1).size(), 1u);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "kafka"}}), 1);
}

TEST_F(KafkaSinkTest, ABatchThatIsTooLargeIsToldInPartsAndNothingIsGivenUp) {
  const auto sink = open({.patience_ms = 5'000});
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0 /* Produce */, 1,
                                    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  ASSERT_TRUE(sink->tell({}, events(1, 100)));
  expect_complete(kafka_.read(Kind::publish, 100), 100);
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
  EXPECT_EQ(kafka_.read(Kind::publish, 1).size() + kafka_.read(Kind::delivery_complete, 1).size(), 2u);
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
