#include "events/kafka/kafka_sink.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/log.h"
#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "kafka/errc.h"
#include "kafka/library.h"

namespace courier::events::kafka {

using courier::kafka::errc;
using courier::kafka::not_taken;

namespace {

constexpr int kPollMs = 100;
constexpr int kFlushMs = 1'000;

// What Kafka will never take, however often it is told.
bool is_hopeless(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
         error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

}  // namespace

std::string topic_of(const std::string& prefix, Kind kind) {
  std::string topic = prefix + std::string(info(kind).name);
  std::replace(topic.begin() + static_cast<ptrdiff_t>(prefix.size()), topic.end(), '_', '-');
  return topic;
}

// librdkafka's handle, and what its delivery reports say of the messages under way.
struct KafkaSink::Producer {
  rd_kafka_t* handle = nullptr;
  size_t under_way = 0;
  MonoNs heard_at = 0;
  std::string trouble;  // the first, of a message that has to come again
  KafkaSink* owner = nullptr;

  ~Producer() {
    if (!handle) return;
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle, kFlushMs);
    rd_kafka_destroy(handle);
  }
  // On the thread that polls: the sink's own.
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    Producer& self = *static_cast<Producer*>(opaque);
    --self.under_way;
    self.heard_at = system_clock().mono_ns();
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      self.owner->taken_.emplace(text_of(static_cast<const Event*>(message->_private)->bytes, Field::id));
      return;
    }
    if (self.owner->give_up(*static_cast<const Event*>(message->_private), message->err)) return;
    if (self.trouble.empty()) self.trouble = not_taken(message->err, rd_kafka_topic_name(message->rkt));
  }
};

KafkaSink::KafkaSink(KafkaSinkOptions options, Registry& metrics)
    : options_(std::move(options)),
      given_up_(metrics.counter("courier_sink_given_up_total",
                                "Events that the sink will never take: too large, or not as it wants them.",
                                {{"sink", options_.name}})) {
  for (const KindInfo& each : kinds()) topics_.push_back(topic_of(options_.topic_prefix, each.kind));
}

KafkaSink::~KafkaSink() {
  producer_.reset();  // whose last words need the others
}

Result<std::unique_ptr<KafkaSink>> KafkaSink::open(KafkaSinkOptions options, Registry& metrics) {
  std::unique_ptr<KafkaSink> sink(new KafkaSink(std::move(options), metrics));
  if (auto begun = sink->begin(); !begun) return fail(std::move(begun.error()));
  return sink;
}

Result<void> KafkaSink::begin() {
  producer_.reset();
  auto producer = std::make_unique<Producer>();
  producer->owner = this;
  courier::kafka::Properties settings{
      {"bootstrap.servers", options_.brokers},
      {"client.id", "courierd"},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"compression.type", "zstd"},
      {"linger.ms", "5"},
      {"partitioner", "murmur2_random"},  // as Java's: the same client, the same partition
      // Never by itself: one that came too late would leave a gap for those behind it to pass through.
      {"message.timeout.ms", "0"},
      {"queue.buffering.max.messages", "100000"},
      {"log_level", "4"},
  };
  settings.insert(settings.end(), options_.properties.begin(), options_.properties.end());
  auto handle = courier::kafka::start(RD_KAFKA_PRODUCER, settings, [&](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_opaque(conf, producer.get());
    rd_kafka_conf_set_dr_msg_cb(conf, Producer::delivered);
  });
  if (!handle) return fail(std::move(handle.error()));
  producer->handle = *handle;
  producer_ = std::move(producer);
  return {};
}

Result<void> KafkaSink::tell(std::span<const EventPtr> events) {
  if (!producer_) {
    if (auto begun = begin(); !begun) return begun;
  }
  producer_->trouble.clear();
  producer_->heard_at = system_clock().mono_ns();
  for (const EventPtr& event : events) {
    if (!taken_.empty() && taken_.contains(std::string(text_of(event->bytes, Field::id)))) continue;
    if (auto produced = produce(*event); !produced) {
      // What is under way points at events that the caller may let go of.
      producer_.reset();
      return produced;
    }
  }
  Result<void> done = wait_for_all();
  if (done) taken_.clear();
  return done;
}

Result<void> KafkaSink::produce(const Event& event) {
  std::string_view id, client_id, traceparent;
  FieldReader fields(event.bytes);
  while (const auto field = fields.next()) {
    if (!field->is_text) continue;
    if (field->number == static_cast<uint32_t>(Field::id)) id = field->text;
    if (field->number == static_cast<uint32_t>(Field::client_id)) client_id = field->text;
    if (field->number == static_cast<uint32_t>(Field::traceparent)) traceparent = field->text;
  }
  std::string_view value = event.bytes;
  const bool json = options_.format == Format::json;
  if (json) {
    scratch_.clear();
    append_json(scratch_, event.bytes);
    value = scratch_;
  }
  const std::string& topic = topics_[static_cast<size_t>(event.kind) - 1];
  const std::string type = "courier." + std::string(info(event.kind).name);
  while (!stopping_) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(6);
    const auto add = [&](const char* name, std::string_view text) {
      rd_kafka_header_add(headers, name, -1, text.data(), static_cast<ssize_t>(text.size()));
    };
    add("ce_specversion", "1.0");
    add("ce_id", id);
    add("ce_source", options_.source);
    add("ce_type", type);
    add("content-type", json ? "application/json" : "application/protobuf");
    if (!traceparent.empty()) add("traceparent", traceparent);
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer_->handle, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(client_id.empty() ? nullptr : client_id.data(), client_id.size()),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(const_cast<Event*>(&event)), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++producer_->under_way;
      return {};
    }
    rd_kafka_headers_destroy(headers);
    if (give_up(event, error)) return {};
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(errc::away, not_taken(error, topic));
    rd_kafka_poll(producer_->handle, kPollMs);
    if (is_silent()) return fail(errc::away, silence());
  }
  return fail(errc::stopped, "the sink is stopped");
}

bool KafkaSink::is_silent() const {
  return system_clock().mono_ns() - producer_->heard_at > options_.patience_ms * kNsPerMs;
}

std::string KafkaSink::silence() const {
  return fmt::format("Kafka ({}) has not taken anything for {} s", options_.brokers,
                     options_.patience_ms / 1000);
}

Result<void> KafkaSink::wait_for_all() {
  while (producer_->under_way > 0) {
    rd_kafka_poll(producer_->handle, kPollMs);
    if (producer_->under_way == 0) break;
    const bool silent = is_silent();
    if (!silent && !stopping_) continue;
    // What is under way points at events that the caller may let go of.
    producer_.reset();
    return silent ? fail(errc::away, silence()) : fail(errc::stopped, "the sink is stopped");
  }
  std::array<char, 512> why{};
  if (rd_kafka_fatal_error(producer_->handle, why.data(), why.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    producer_.reset();  // the next attempt has another
    return fail(errc::away, fmt::format("Kafka's producer came to its end: {}", why.data()));
  }
  if (!producer_->trouble.empty()) return fail(errc::away, producer_->trouble);
  return {};
}

// True: it will never be taken, and must not hold up the others.
bool KafkaSink::give_up(const Event& event, int error) {
  if (!is_hopeless(static_cast<rd_kafka_resp_err_t>(error))) return false;
  given_up_.add();
  static log::Limit limit{{.per_second = 5}};
  log::error(limit, "an event is given up: Kafka will never take it",
             {{"sink", options_.name},
              {"id", text_of(event.bytes, Field::id)},
              {"kind", info(event.kind).name},
              {"bytes", event.bytes.size()},
              {"why", rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error))}});
  return true;
}

}  // namespace courier::events::kafka
