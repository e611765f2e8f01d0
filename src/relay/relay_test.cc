// A relay between librdkafka's stand-in for Kafka and a backend on loopback.
#include "relay/relay.h"

#include <gtest/gtest.h>
#include <algorithm>

#include <chrono>
#include <optional>

#include "events/catalogue/json.h"
#include "kafka/kafka_test_cluster.h"
#include "relay/relay_test_bed.h"

namespace courier::relay {
namespace {

using namespace std::chrono_literals;
using test::answer;
using test::Asked;
using test::Backend;

constexpr auto kPatience = 60s;
const std::string kTopic = "courier-publish", kDead = "dead";

// What a backend took, by its clients, and what a test waits for.
class Book {
 public:
  void take(const Asked& asked) {
    const std::lock_guard lock(mutex_);
    for (const auto& each : asked.json()) {
      const uint64_t number = std::stoull(each["id"].get<std::string>());
      if (!seen_.insert(number).second) ++again_;
      by_client_[each["client_id"]].push_back(number);
    }
    changed_.notify_all();
  }
  bool wait_for(size_t events) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return seen_.size() >= events; });
  }
  size_t taken() {
    const std::lock_guard lock(mutex_);
    return seen_.size();
  }
  size_t again() {
    const std::lock_guard lock(mutex_);
    return again_;
  }
  // By the first copy of each.
  bool in_order() {
    const std::lock_guard lock(mutex_);
    for (const auto& [client, numbers] : by_client_) {
      std::set<uint64_t> seen;
      uint64_t last = 0;
      for (const uint64_t each : numbers) {
        if (!seen.insert(each).second) continue;
        if (each < last) return false;
        last = each;
      }
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<uint64_t>> by_client_;
  std::set<uint64_t> seen_;
  size_t again_ = 0;
};

// A relay on a thread of its own.
class Running {
 public:
  explicit Running(const Settings& settings) : relay_(Relay::open(settings, metrics_).value()) {
    thread_ = std::thread([this] { relay_->run([this] { return stop_.load(); }); });
  }
  ~Running() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  double total(std::string_view name) const { return metrics_.total(name); }
  double value(std::string_view name, std::string_view label, std::string_view value) const {
    return metrics_.value(name, {{std::string(label), std::string(value)}}).value_or(-1);
  }
  const Relay& relay() const { return *relay_; }

 private:
  Registry metrics_;
  std::unique_ptr<Relay> relay_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

template <typename Condition>
bool wait_until(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

class RelayTest : public ::testing::Test {
 protected:
  static constexpr int kPartitions = 4;

  Settings settings(const Backend& backend, std::string_view path = "/") {
    Settings settings;
    settings.kafka.connection.brokers = kafka_.brokers();
    // A short session, so that the group soon misses who is gone. And the stand-in forgets to answer who
    // joins at a bad moment: that is asked again after the poll interval.
    settings.kafka.connection.properties = {"session.timeout.ms=3000", "heartbeat.interval.ms=200",
                                            "max.poll.interval.ms=5000"};
    settings.kafka.group = "group";
    settings.kafka.topics = {kTopic};
    settings.http.url = backend.url(path);
    settings.http.linger = 2ms;
    settings.http.batch_events_max = 20;
    settings.http.parallel = 4;
    settings.retry.first = 5ms;
    settings.retry.max = 500ms;
    return settings;
  }
  void write(uint64_t from, uint64_t to, uint64_t clients = 10) {
    for (uint64_t i = from; i <= to; ++i) {
      const std::string client = "phone" + std::to_string(i % clients);
      kafka_.write(kTopic, client, test::event(i, client), {{"content-type", "application/protobuf"}});
    }
    kafka_.flush();
  }

  kafka::test::Cluster kafka_{{kTopic, kDead}, kPartitions};
  Book book_;
};

TEST_F(RelayTest, EveryEventComesOnceAndAClientsInOrder) {
  Backend backend([&](const Asked& asked) {
    EXPECT_EQ(asked.method, "POST");
    EXPECT_NE(asked.head.find("content-type: application/json"), std::string::npos) << asked.head;
    book_.take(asked);
    return answer(200);
  });
  write(1, 1'000);
  Running relay(settings(backend));
  ASSERT_TRUE(book_.wait_for(1'000));
  write(1'001, 1'200);
  ASSERT_TRUE(book_.wait_for(1'200));
  EXPECT_TRUE(wait_until([&] { return relay.relay().trouble().empty(); }));
  EXPECT_TRUE(relay.relay().alive());
  relay.stop();
  EXPECT_EQ(book_.again(), 0u);
  EXPECT_TRUE(book_.in_order());
  EXPECT_EQ(kafka_.committed("group", kTopic), 1'200);
  EXPECT_EQ(relay.total("courier_relay_events_read_total"), 1'200);
  EXPECT_EQ(relay.total("courier_relay_events_sent_total"), 1'200);
  EXPECT_EQ(relay.total("courier_relay_retries_total"), 0);
}

TEST_F(RelayTest, JsonAndCloudEventsComeAsWell) {
  std::atomic<int> good{0};
  Backend backend([&](const Asked& asked) {
    EXPECT_NE(asked.head.find("content-type: application/cloudevents-batch+json"), std::string::npos)
        << asked.head;
    for (const auto& each : asked.json()) {
      EXPECT_EQ(each["data"]["id"], each["id"]);
      EXPECT_EQ(each["source"], "courier://shop");
      ++good;
    }
    return answer(202);
  });
  for (uint64_t i = 1; i <= 10; ++i) {
    std::string json;
    events::append_json(json, test::event(i, "a"));
    kafka_.write(kTopic, "a", json, {{"content-type", "application/json"}, {"ce_source", "courier://shop"}});
  }
  kafka_.flush();
  Settings wanted = settings(backend);
  wanted.http.batch = Batch::cloudevents;
  Running relay(wanted);
  EXPECT_TRUE(wait_until([&] { return good == 10; }));
}

TEST_F(RelayTest, WhatTheFilterDoesNotLetPassCountsAsDone) {
  Backend backend([&](const Asked& asked) {
    book_.take(asked);
    return answer(200);
  });
  for (uint64_t i = 1; i <= 100; ++i) {
    kafka_.write(kTopic, "a", test::event(i, "a", i % 10 == 0 ? "orders/1" : "chat/1"));
  }
  kafka_.flush();
  Settings wanted = settings(backend);
  wanted.filter.topics = {"orders/#"};
  Running relay(wanted);
  ASSERT_TRUE(book_.wait_for(10));
  EXPECT_TRUE(wait_until([&] { return relay.total("courier_relay_events_filtered_total") == 90; }));
  relay.stop();
  EXPECT_EQ(book_.taken(), 10u);
  EXPECT_EQ(kafka_.committed("group", kTopic), 100);
}

// Errors of every kind, among them answers that break off and none in time: nothing is lost, and a client's
// events keep their order.
TEST_F(RelayTest, WhatFailsIsTriedAgainInOrder) {
  std::atomic<unsigned> count{0};
  Backend backend([&](const Asked& asked) -> std::string {
    switch (++count % 8) {
      case 0:
        return answer(500);
      case 1:
        return answer(429, "Retry-After: 0\r\n");
      case 2:
        return "";  // hangs up
      case 3:
        return "HTTP/1.1 200 X\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf";
      case 4:
        return answer(302, "Location: http://127.0.0.1:1/\r\n");
      default:
        book_.take(asked);
        return answer(200);
    }
  });
  write(1, 500);
  Running relay(settings(backend));
  ASSERT_TRUE(book_.wait_for(500));
  relay.stop();
  EXPECT_TRUE(book_.in_order());
  EXPECT_EQ(kafka_.committed("group", kTopic), 500);
  for (const char* reason : {"server_error", "busy", "broken_answer", "redirect"})
    EXPECT_GT(relay.value("courier_relay_retries_total", "reason", reason), 0) << reason;
}

TEST_F(RelayTest, AnAnswerThatComesTooLateIsNone) {
  std::mutex mutex;
  std::condition_variable released;
  bool late = false;
  std::atomic<int> count{0};
  Backend backend([&](const Asked& asked) {
    if (++count == 1) {  // a 200, but not before the second attempt is there
      std::unique_lock lock(mutex);
      EXPECT_TRUE(released.wait_for(lock, kPatience, [&] { return late; }));
      return answer(200);
    }
    book_.take(asked);
    const std::lock_guard lock(mutex);
    late = true;
    released.notify_all();
    return answer(200);
  });
  write(1, 5, 1);
  Settings wanted = settings(backend);
  wanted.http.timeout = 50ms;
  Running relay(wanted);
  ASSERT_TRUE(book_.wait_for(5));
  EXPECT_TRUE(
      wait_until([&] { return relay.value("courier_relay_retries_total", "reason", "timeout") >= 1; }));
  EXPECT_TRUE(book_.in_order());
}

TEST_F(RelayTest, RetryAfterIsWaitedFor) {
  std::atomic<int64_t> refused_at{0}, came_at{0};
  Backend backend([&](const Asked& asked) {
    if (refused_at == 0) {
      refused_at = system_clock().mono_ns();
      return answer(503, "Retry-After: 1\r\n");
    }
    came_at = system_clock().mono_ns();
    book_.take(asked);
    return answer(200);
  });
  write(1, 1);
  Settings wanted = settings(backend);
  wanted.retry.max = 10s;
  Running relay(wanted);
  ASSERT_TRUE(book_.wait_for(1));
  EXPECT_GE(came_at - refused_at, kNsPerSecond);
}

TEST_F(RelayTest, OnlyWhatTheBackendRefusesGoesToTheDeadLetters) {
  Backend backend([&](const Asked& asked) {
    const auto ids = asked.list("id");
    if (std::ranges::find(ids, "50") != ids.end() || std::ranges::find(ids, "77") != ids.end())
      return answer(422);
    book_.take(asked);
    return answer(200);
  });
  write(1, 200);
  kafka_.write(kTopic, "phone3", "no event");
  kafka_.flush();
  write(201, 210);
  Settings wanted = settings(backend);
  wanted.dead_letter_topic = kDead;
  Running relay(wanted);
  ASSERT_TRUE(book_.wait_for(208));
  ASSERT_TRUE(wait_until([&] { return relay.total("courier_relay_events_dead_lettered_total") == 3; }));
  relay.stop();
  EXPECT_TRUE(book_.in_order());
  EXPECT_EQ(kafka_.committed("group", kTopic), 211);
  const auto dead = kafka_.read(kDead, 3);
  ASSERT_EQ(dead.size(), 3u);
  std::map<std::string, kafka::test::Arrived> by_value;
  for (const auto& each : dead) by_value[each.value] = each;
  const auto& refused = by_value.at(test::event(50, "phone0"));
  EXPECT_EQ(refused.key, "phone0");
  EXPECT_EQ(refused.headers.at("content-type"), "application/protobuf");
  EXPECT_EQ(refused.headers.at("courier_status"), "422");
  EXPECT_EQ(refused.headers.at("courier_topic"), kTopic);
  EXPECT_EQ(refused.headers.at("courier_error"), "it answered 422");
  EXPECT_TRUE(refused.headers.contains("courier_partition") && refused.headers.contains("courier_offset"));
  EXPECT_EQ(by_value.at("no event").headers.at("courier_status"), "0");
  EXPECT_EQ(relay.value("courier_relay_events_dead_lettered_total", "reason", "refused"), 2);
  EXPECT_EQ(relay.value("courier_relay_events_dead_lettered_total", "reason", "unfit"), 1);
}

TEST_F(RelayTest, AnEventCountsAsDoneOnlyWhenItsDeadLetterIsSafe) {
  Backend backend([&](const Asked&) { return answer(400); });
  write(1, 1);
  rd_kafka_mock_push_request_errors(kafka_.cluster(), 0 /* Produce */, 1,
                                    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  Settings wanted = settings(backend);
  wanted.dead_letter_topic = kDead;
  Running relay(wanted);
  EXPECT_TRUE(
      wait_until([&] { return relay.value("courier_relay_retries_total", "reason", "dead_letter") >= 1; }));
  EXPECT_TRUE(wait_until([&] { return relay.total("courier_relay_events_dead_lettered_total") == 1; }));
  relay.stop();
  EXPECT_EQ(kafka_.committed("group", kTopic), 1);
}

// As if the process had been killed: nothing that was not committed is missing afterwards.
TEST_F(RelayTest, AfterADeathTheNextOneGoesOnFromWhatWasCommitted) {
  std::atomic<bool> slow{false};
  std::atomic<int> held{0};
  Backend backend([&](const Asked& asked) {
    if (slow && std::ranges::count(asked.list("client_id"), "phone3") != 0) {
      ++held;
      return answer(503);
    }
    book_.take(asked);
    return answer(200);
  });
  write(1, 300);
  Settings wanted = settings(backend);
  {
    Registry metrics;
    auto relay = Relay::open(wanted, metrics).value();
    std::atomic<bool> ended{false};
    std::thread thread([&] {
      while (!ended) relay->turn(10 * kNsPerMs);
    });
    EXPECT_TRUE(book_.wait_for(300));
    EXPECT_TRUE(wait_until([&] { return kafka_.committed("group", kTopic) == 300; }));
    slow = true;
    write(301, 600);
    EXPECT_TRUE(
        wait_until([&] { return held > 0 && metrics.total("courier_relay_events_read_total") == 600; }));
    ended = true;
    thread.join();
  }
  const int64_t committed = kafka_.committed("group", kTopic);
  EXPECT_LT(committed, 600);
  slow = false;
  Running next(wanted);
  ASSERT_TRUE(book_.wait_for(600));
  EXPECT_TRUE(wait_until([&] { return kafka_.committed("group", kTopic) == 600; }));
  EXPECT_TRUE(book_.in_order());
}

TEST_F(RelayTest, AStopLetsRequestsUnderWayFinishAndCommitsThem) {
  std::mutex mutex;
  std::condition_variable changed;
  bool asked_for = false, stopping = false;
  Backend backend([&](const Asked& asked) {
    std::unique_lock lock(mutex);
    asked_for = true;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return stopping; }));
    book_.take(asked);
    return answer(200);
  });
  write(1, 1);
  Running relay(settings(backend));
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return asked_for; }));
  }
  std::thread stopper([&] { relay.stop(); });
  {
    const std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  stopper.join();
  EXPECT_EQ(book_.taken(), 1u);
  EXPECT_EQ(kafka_.committed("group", kTopic), 1);
}

class RelayRebalanceTest : public RelayTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RelayRebalanceTest, TwoShareThePartitionsAndNothingIsLost) {
  Backend backend([&](const Asked& asked) {
    book_.take(asked);
    return answer(200);
  });
  Settings wanted = settings(backend);
  wanted.kafka.connection.properties.push_back(std::string("partition.assignment.strategy=") + GetParam());
  Running first(wanted);
  write(1, 500);
  ASSERT_TRUE(book_.wait_for(500));
  std::optional<Running> second(std::in_place, wanted);
  const auto has = [&](const Running& relay, double partitions) {
    return relay.total("courier_relay_partitions") == partitions;
  };
  for (uint64_t at = 501; !has(first, 2) || !has(*second, 2); at += 50) {
    ASSERT_LT(at, 20'000u);
    write(at, at + 49);
    ASSERT_TRUE(book_.wait_for(at + 49));
  }
  const size_t before = book_.taken();
  write(before + 1, before + 500);
  ASSERT_TRUE(book_.wait_for(before + 500));
  EXPECT_GT(second->total("courier_relay_events_sent_total"), 0);
  second->stop();
  EXPECT_TRUE(wait_until([&] { return has(first, 4); }));
  write(before + 501, before + 600);
  ASSERT_TRUE(book_.wait_for(before + 600));
  EXPECT_TRUE(
      wait_until([&] { return kafka_.committed("group", kTopic) == static_cast<int64_t>(before) + 600; }));
}
INSTANTIATE_TEST_SUITE_P(Strategies, RelayRebalanceTest, ::testing::Values("cooperative-sticky", "range"));

// What the first had under way when its partitions went counts for nothing, and comes by the second.
TEST_F(RelayTest, UnfinishedWorkOfARevokedPartitionIsDropped) {
  std::atomic<bool> closed{true};
  Backend backend([&](const Asked& asked) {
    if (closed) return answer(503);
    book_.take(asked);
    return answer(200);
  });
  write(1, 400, 50);
  Settings wanted = settings(backend);
  Running first(wanted);
  ASSERT_TRUE(wait_until([&] { return first.total("courier_relay_buffered_events") == 400; }));
  Running second(wanted);
  ASSERT_TRUE(wait_until([&] { return second.total("courier_relay_buffered_events") > 0; }));
  ASSERT_TRUE(wait_until([&] {
    return first.total("courier_relay_buffered_events") + second.total("courier_relay_buffered_events") ==
           400;
  }));
  closed = false;
  ASSERT_TRUE(book_.wait_for(400));
  EXPECT_TRUE(wait_until([&] { return kafka_.committed("group", kTopic) == 400; }));
}

TEST_F(RelayTest, WhatIsInMemoryIsBoundedWhileTheBackendIsAway) {
  std::atomic<bool> closed{true};
  Backend backend([&](const Asked& asked) {
    if (closed) return answer(503);
    book_.take(asked);
    return answer(200);
  });
  write(1, 5'000, 100);
  Settings wanted = settings(backend);
  wanted.kafka.buffer_events_max = 500;
  Running relay(wanted);
  ASSERT_TRUE(wait_until([&] { return relay.total("courier_relay_partitions_paused") == kPartitions; }));
  EXPECT_EQ(relay.total("courier_relay_events_read_total"), 500);
  EXPECT_EQ(relay.total("courier_relay_buffered_events"), 500);
  closed = false;
  ASSERT_TRUE(book_.wait_for(5'000));
  EXPECT_EQ(book_.again(), 0u);
  EXPECT_TRUE(book_.in_order());
}

TEST_F(RelayTest, APartitionDoesNotRunAheadWithoutEnd) {
  std::atomic<bool> closed{true};
  Backend backend([&](const Asked& asked) {
    if (closed && std::ranges::count(asked.list("client_id"), "stuck") != 0) return answer(503);
    book_.take(asked);
    return answer(200);
  });
  kafka_.write(kTopic, "stuck", test::event(1, "stuck"));
  kafka_.flush();
  write(2, 20'000, 100);
  Settings wanted = settings(backend);
  wanted.kafka.ahead_max = 100;
  wanted.http.parallel = 64;
  Running relay(wanted);
  ASSERT_TRUE(wait_until([&] { return relay.total("courier_relay_partitions_paused") >= 1; }));
  EXPECT_LT(relay.total("courier_relay_events_read_total"), 20'000);
  closed = false;
  ASSERT_TRUE(book_.wait_for(20'000));
  EXPECT_TRUE(book_.in_order());
}

TEST_F(RelayTest, ItIsReadyOnlyWhileKafkaIsThere) {
  Backend backend([&](const Asked& asked) {
    book_.take(asked);
    return answer(200);
  });
  Running relay(settings(backend));
  EXPECT_NE(relay.relay().trouble(), "");
  ASSERT_TRUE(wait_until([&] { return relay.relay().trouble().empty(); }));
  kafka_.set_up(false);
  ASSERT_TRUE(wait_until([&] { return !relay.relay().trouble().empty(); }));
  kafka_.set_up(true);
  ASSERT_TRUE(wait_until([&] { return relay.relay().trouble().empty(); }));
  write(1, 10);
  ASSERT_TRUE(book_.wait_for(10));
}

TEST_F(RelayTest, AStopComesToItsEndWithoutKafka) {
  Backend backend([&](const Asked& asked) {
    book_.take(asked);
    return answer(200);
  });
  write(1, 10);
  Running relay(settings(backend));
  ASSERT_TRUE(book_.wait_for(10));
  ASSERT_TRUE(wait_until([&] { return relay.relay().trouble().empty(); }));
  kafka_.set_up(false);
  ASSERT_TRUE(wait_until([&] { return !relay.relay().trouble().empty(); }));
  const MonoNs begun = system_clock().mono_ns();
  relay.stop();
  EXPECT_LT(system_clock().mono_ns() - begun, 20 * kNsPerSecond);
}

TEST_F(RelayTest, ASettingThatLibrdkafkaDoesNotTakeIsNamed) {
  Backend backend([](const Asked&) { return answer(200); });
  Settings wanted = settings(backend);
  wanted.kafka.connection.properties = {"no.such.setting=1"};
  Registry metrics;
  const auto relay = Relay::open(wanted, metrics);
  ASSERT_FALSE(relay);
  EXPECT_NE(relay.error().message.find("no.such.setting"), std::string::npos) << relay.error().message;
}

}  // namespace
}  // namespace courier::relay
