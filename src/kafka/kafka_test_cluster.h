// For tests: librdkafka's own stand-in for Kafka, brokers on loopback that do as they are told, and what
// there is in it.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#ifdef __SANITIZE_THREAD__
#include <pthread.h>
#include <threads.h>
#endif

#include <array>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

#ifdef __SANITIZE_THREAD__
// librdkafka starts its threads by C11's calls, which the thread sanitizer does not see, and falls over them.
extern "C" inline __attribute__((used)) int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  struct Call {
    thrd_start_t start;
    void* argument;
  };
  const auto run = [](void* given) -> void* {
    const Call call = *static_cast<Call*>(given);
    delete static_cast<Call*>(given);
    call.start(call.argument);
    return nullptr;
  };
  return ::pthread_create(thread, nullptr, run, new Call{start, argument}) == 0 ? thrd_success : thrd_error;
}
extern "C" inline __attribute__((used)) int thrd_join(thrd_t thread, int* result) {
  if (result) *result = 0;
  return ::pthread_join(thread, nullptr) == 0 ? thrd_success : thrd_error;
}
#endif

namespace courier::kafka::test {

struct Arrived {
  std::string key, value;
  std::map<std::string, std::string> headers;
  int32_t partition = 0;
  std::string id() const { return headers.at("ce_id"); }
};

class Cluster {
 public:
  Cluster(std::initializer_list<std::string> topics, int partitions) : partitions_(partitions) {
    std::array<char, 512> why{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "linger.ms", "1", nullptr, 0);
    rd_kafka_conf_set(conf, "queue.buffering.max.messages", "1000000", nullptr, 0);
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
    cluster_ = rd_kafka_mock_cluster_new(handle_, 3);
    for (const std::string& each : topics) rd_kafka_mock_topic_create(cluster_, each.c_str(), partitions_, 3);
  }
  ~Cluster() {
    if (writer_) rd_kafka_destroy(writer_);
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* cluster() { return cluster_; }
  void set_up(bool up) {
    for (int32_t broker = 1; broker <= 3; ++broker) {
      up ? rd_kafka_mock_broker_set_up(cluster_, broker) : rd_kafka_mock_broker_set_down(cluster_, broker);
    }
  }

  // Of one key to the same partition, as courierd does it. Safe when flush() comes back.
  void write(const std::string& topic, std::string_view key, std::string_view value,
             const std::map<std::string, std::string>& headers = {}) {
    if (!writer_)
      writer_ =
          client(RD_KAFKA_PRODUCER,
                 {{"partitioner", "murmur2_random"}, {"linger.ms", "100"}, {"compression.type", "zstd"}});
    rd_kafka_headers_t* list = rd_kafka_headers_new(headers.size());
    for (const auto& [name, text] : headers)
      rd_kafka_header_add(list, name.c_str(), -1, text.data(), static_cast<ssize_t>(text.size()));
    const auto error =
        rd_kafka_producev(writer_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(key.empty() ? nullptr : key.data(), key.size()),
                          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                          RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
    CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_poll(writer_, 0);
  }
  void flush() { CHECK(rd_kafka_flush(writer_, 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR); }

  // All that is in the topic, until it has been silent for a while.
  std::vector<Arrived> read(const std::string& topic, size_t at_least) {
    rd_kafka_t* reader = client(RD_KAFKA_CONSUMER, {{"group.id", "reader"}});
    rd_kafka_poll_set_consumer(reader);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions_);
    for (int32_t i = 0; i < partitions_; ++i)
      rd_kafka_topic_partition_list_add(list, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
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

  // The sum of what a group has committed, over the topic's partitions.
  int64_t committed(const std::string& group, const std::string& topic) {
    rd_kafka_t* reader = client(RD_KAFKA_CONSUMER, {{"group.id", group}});
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions_);
    for (int32_t i = 0; i < partitions_; ++i) rd_kafka_topic_partition_list_add(list, topic.c_str(), i);
    CHECK(rd_kafka_committed(reader, list, 10'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t sum = 0;
    for (int i = 0; i < list->cnt; ++i) sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
    return sum;
  }

 private:
  rd_kafka_t* client(rd_kafka_type_t type, const std::map<std::string, std::string>& settings) {
    std::array<char, 512> why{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers().c_str(), why.data(), why.size());
    for (const auto& [name, value] : settings)
      CHECK(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK);
    return rd_kafka_new(type, conf, why.data(), why.size());
  }
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

  const int partitions_;
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  rd_kafka_t* writer_ = nullptr;
};

}  // namespace courier::kafka::test
