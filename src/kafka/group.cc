#include "kafka/group.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "kafka/errc.h"
#include "kafka/library.h"

namespace courier::kafka {
namespace {

using List = std::unique_ptr<rd_kafka_topic_partition_list_t, void (*)(rd_kafka_topic_partition_list_t*)>;

List new_list(size_t size) {
  return {rd_kafka_topic_partition_list_new(static_cast<int>(size)), rd_kafka_topic_partition_list_destroy};
}

List list_of(std::span<const Partition> partitions) {
  List list = new_list(partitions.size());
  for (const Partition& each : partitions)
    rd_kafka_topic_partition_list_add(list.get(), each.topic.c_str(), each.number);
  return list;
}

List list_of(std::span<const Offset> offsets) {
  List list = new_list(offsets.size());
  for (const Offset& each : offsets) {
    rd_kafka_topic_partition_list_add(list.get(), each.partition.topic.c_str(), each.partition.number)
        ->offset = each.next;
  }
  return list;
}

std::vector<Partition> partitions_of(const rd_kafka_topic_partition_list_t& list) {
  std::vector<Partition> partitions;
  for (int i = 0; i < list.cnt; ++i) partitions.push_back({list.elems[i].topic, list.elems[i].partition});
  return partitions;
}

Message taken(const rd_kafka_message_t& from) {
  Message message;
  message.partition = {rd_kafka_topic_name(from.rkt), from.partition};
  message.offset = from.offset;
  message.has_key = from.key != nullptr;
  if (from.key) message.key.assign(static_cast<const char*>(from.key), from.key_len);
  if (from.payload) message.value.assign(static_cast<const char*>(from.payload), from.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&from, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return message;
  message.headers.reserve(rd_kafka_header_cnt(headers));
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i)
    message.headers.emplace_back(name, std::string(static_cast<const char*>(value), value ? size : 0));
  return message;
}

void log_failure(std::string_view what, rd_kafka_resp_err_t error) {
  static log::Limit limit{{.per_second = 2}};
  log::warn(limit, what, {{"why", rd_kafka_err2str(error)}});
}

}  // namespace

const std::string* Message::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? nullptr : &found->second;
}

size_t Message::bytes() const {
  size_t bytes = sizeof(Message) + key.size() + value.size();
  for (const auto& [name, text] : headers) bytes += sizeof(headers[0]) + name.size() + text.size();
  return bytes;
}

// librdkafka's handle, and what its callbacks need; all of them run within poll() and leave().
struct Group::Consumer {
  explicit Consumer(Member& owner) : member(owner) {}
  ~Consumer() {
    if (queue) rd_kafka_queue_destroy(queue);
    if (handle) rd_kafka_destroy_flags(handle, left ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }

  static void rebalanced(rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* list,
                         void* opaque) {
    static_cast<Consumer*>(opaque)->rebalance(what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, list);
  }
  // Strategies differ in whether the list says all that is ours now, or what is added or taken away.
  void rebalance(bool assigned, rd_kafka_topic_partition_list_t* list) {
    const std::vector<Partition> partitions = partitions_of(*list);
    const bool incremental = std::string_view(rd_kafka_rebalance_protocol(handle)) == "COOPERATIVE";
    if (assigned) {
      member.on_assigned(partitions);
    } else {
      const std::vector<Offset> offsets = member.on_revoked(partitions);
      // With nobody there, that would wait for the session's time.
      if (!offsets.empty() && !away && !rd_kafka_assignment_lost(handle)) {
        const rd_kafka_resp_err_t error = rd_kafka_commit(handle, list_of(offsets).get(), 0);
        if (error)
          log_failure("what was done of revoked partitions cannot be committed: it comes again", error);
      }
    }
    if (incremental) {
      rd_kafka_error_t* error =
          assigned ? rd_kafka_incremental_assign(handle, list) : rd_kafka_incremental_unassign(handle, list);
      if (!error) return;
      log_failure("Kafka's partitions cannot be taken over or given back", rd_kafka_error_code(error));
      rd_kafka_error_destroy(error);
    } else if (const auto error = rd_kafka_assign(handle, assigned ? list : nullptr)) {
      log_failure("Kafka's partitions cannot be taken over or given back", error);
    }
  }

  static void committed(rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* list,
                        void* opaque) {
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
    log_failure("offsets cannot be committed; the next attempt is in a second", error);
    if (list) static_cast<Consumer*>(opaque)->member.on_commit_failed(partitions_of(*list));
  }

  static int told(rd_kafka_t*, char* json, size_t size, void* opaque) {
    static_cast<Consumer*>(opaque)->look(std::string_view(json, size));
    return 0;
  }
  void look(std::string_view statistics) {
    const auto facts = nlohmann::json::parse(statistics, nullptr, false);
    if (!facts.is_object() || !facts.contains("cgrp")) return;
    const auto& group = facts["cgrp"];
    joined = joined || group.value("join_state", "") == "steady";
    away = joined && group.value("state", "") != "up";
  }

  static void failed(rd_kafka_t*, int code, const char* why, void* opaque) {
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) static_cast<Consumer*>(opaque)->away = true;
    static log::Limit limit{{.per_second = 2}};
    log::warn(limit, "Kafka", {{"says", why}});
  }

  Member& member;
  rd_kafka_t* handle = nullptr;
  rd_kafka_queue_t* queue = nullptr;
  bool joined = false, away = false, left = false;
};

Group::Group(std::unique_ptr<Consumer> consumer) : consumer_(std::move(consumer)) {}

Group::~Group() = default;

Result<std::unique_ptr<Group>> Group::join(const GroupOptions& options, Member& member) {
  auto consumer = std::make_unique<Consumer>(member);
  Properties settings{
      {"client.id", "courier-relay"},
      {"group.id", options.group},
      {"auto.offset.reset", "earliest"},
      {"partition.assignment.strategy", "cooperative-sticky"},
      // What librdkafka reads ahead, beside what its owner keeps. Where that is full it waits for a second,
      // so one answer of a broker has to be much smaller, compressed as it is.
      {"queued.max.messages.kbytes", "65536"},
      {"queued.min.messages", "100000"},
      {"fetch.message.max.bytes", "262144"},
      {"log_level", "4"},
  };
  settings.insert(settings.end(), options.properties.begin(), options.properties.end());
  const Properties ours{
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"statistics.interval.ms", "1000"},
  };
  settings.insert(settings.end(), ours.begin(), ours.end());
  auto handle = start(RD_KAFKA_CONSUMER, settings, [&](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_opaque(conf, consumer.get());
    rd_kafka_conf_set_rebalance_cb(conf, Consumer::rebalanced);
    rd_kafka_conf_set_offset_commit_cb(conf, Consumer::committed);
    rd_kafka_conf_set_stats_cb(conf, Consumer::told);
    rd_kafka_conf_set_error_cb(conf, Consumer::failed);
  });
  if (!handle) return fail(std::move(handle.error()));
  consumer->handle = *handle;
  rd_kafka_poll_set_consumer(consumer->handle);
  consumer->queue = rd_kafka_queue_get_consumer(consumer->handle);
  const uint64_t one = 1;
  rd_kafka_queue_io_event_enable(consumer->queue, options.wake_fd, &one, sizeof one);
  List topics = new_list(options.topics.size());
  for (const std::string& each : options.topics)
    rd_kafka_topic_partition_list_add(topics.get(), each.c_str(), RD_KAFKA_PARTITION_UA);
  auto group = std::unique_ptr<Group>(new Group(std::move(consumer)));
  if (const auto error = rd_kafka_subscribe(group->consumer_->handle, topics.get()))
    return fail(errc::bad_options, std::string("these topics cannot be read: ") + rd_kafka_err2str(error));
  return group;
}

bool Group::poll(size_t messages_max) {
  for (size_t count = 0; count < messages_max;) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer_->handle, 0);
    if (!message) return false;
    bool more = true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++count;
      more = consumer_->member.on_message(taken(*message));
    } else {
      log_failure("Kafka cannot be read from", message->err);
    }
    rd_kafka_message_destroy(message);
    if (!more) break;
  }
  return true;
}

void Group::pause(std::span<const Partition> partitions) {
  rd_kafka_pause_partitions(consumer_->handle, list_of(partitions).get());
}

void Group::resume(std::span<const Partition> partitions) {
  rd_kafka_resume_partitions(consumer_->handle, list_of(partitions).get());
}

void Group::commit(std::span<const Offset> offsets) {
  if (!offsets.empty()) rd_kafka_commit(consumer_->handle, list_of(offsets).get(), 1);
}

int64_t Group::behind(const Offset& next) const {
  int64_t low = 0, high = 0;
  const auto error = rd_kafka_get_watermark_offsets(consumer_->handle, next.partition.topic.c_str(),
                                                    next.partition.number, &low, &high);
  return error ? 0 : std::max<int64_t>(0, high - next.next);
}

bool Group::connected() const {
  return consumer_->joined && !consumer_->away;
}

void Group::leave() {
  consumer_->left = true;
  rd_kafka_consumer_close(consumer_->handle);
}

}  // namespace courier::kafka
