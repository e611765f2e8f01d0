#include "events/kafka/kafka_sink.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/log.h"
#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "events/errc.h"
#include "kafka/library.h"

namespace courier::events::kafka {

using courier::kafka::not_taken;

namespace {

constexpr int kPollMs = 100;
constexpr int kFlushMs = 1'000;
// Before it librdkafka answers a challenge of SCRAM as Kafka 4 does not take it.
constexpr int kScramVersion = 0x020601ff;

// What Kafka will never take, however often it is told.
bool is_hopeless(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
         error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

// Not a reason, but what becomes of messages for another one.
bool is_let_go(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
         error == RD_KAFKA_RESP_ERR__FATAL;
}

// Why nothing is heard of Kafka; "": that says it all.
std::string reason(rd_kafka_resp_err_t error, const char* text, bool scram) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return fmt::format(
          "Kafka does not know us: check the user name and the password{}",
          scram && rd_kafka_version() < kScramVersion
              ? fmt::format("; if they are right, librdkafka {} cannot do SCRAM with Kafka 4: use "
                            "PLAIN over TLS, or a certificate",
                            rd_kafka_version_str())
              : "");
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return "Kafka does not let us write to any topic: give this user the right to";
    case RD_KAFKA_RESP_ERR__SSL:
      return fmt::format("Kafka cannot be reached by TLS: {}", text);
    default:
      return "";
  }
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
  std::string trouble;     // the first, of a message that has to come again
  std::string why_silent;  // the newest reason
  bool too_large = false;  // Kafka refused a batch
  bool alone = false;      // what is under way is one message
  KafkaSink* owner = nullptr;

  ~Producer() {
    if (!handle) return;
    let_go();
    rd_kafka_destroy(handle);
  }
  // Of what is under way, once all is heard that there is to hear.
  void let_go() {
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle, kFlushMs);
  }
  // On the thread that polls: the sink's own.
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    Producer& self = *static_cast<Producer*>(opaque);
    --self.under_way;
    self.heard_at = system_clock().mono_ns();
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      self.why_silent.clear();
      self.owner->taken_.emplace(text_of(static_cast<const Event*>(message->_private)->bytes, Field::id));
      return;
    }
    if (is_hopeless(message->err)) {
      self.too_large = true;
      if (self.alone) self.owner->give_up(*static_cast<const Event*>(message->_private), message->err);
      return;
    }
    if (self.trouble.empty() && !is_let_go(message->err))
      self.trouble = not_taken(message->err, rd_kafka_topic_name(message->rkt));
  }
  static void failed(rd_kafka_t*, int error, const char* text, void* opaque) {
    Producer& self = *static_cast<Producer*>(opaque);
    std::string why = reason(static_cast<rd_kafka_resp_err_t>(error), text, self.owner->uses_scram());
    if (!why.empty()) self.why_silent = std::move(why);
  }
  // "": it goes on.
  std::string end() const {
    std::array<char, 512> text{};
    const rd_kafka_resp_err_t error = rd_kafka_fatal_error(handle, text.data(), text.size());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return "";
    std::string why = reason(error, text.data(), false);
    return why.empty() ? fmt::format("Kafka's producer came to its end: {}", text.data()) : why;
  }
};

KafkaSink::KafkaSink(KafkaSinkOptions options, Registry& metrics)
    : options_(std::move(options)), given_up_(given_up_counter(metrics, options_.name)) {
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
      // What Kafka refuses ends the producer: nothing behind it comes before it.
      {"enable.gapless.guarantee", "true"},
      {"acks", "all"},
      {"compression.type", "zstd"},
      {"linger.ms", "5"},
      {"partitioner", "murmur2_random"},  // as Java's: the same client, the same partition
      // Never by itself: one that came too late would leave a gap for those behind it to pass through.
      {"message.timeout.ms", "0"},
      {"queue.buffering.max.messages", "100000"},
      // A topic that does not exist is said to be missing before patience ends.
      {"topic.metadata.propagation.max.ms", "3000"},
      {"log_level", "4"},
  };
  settings.insert(settings.end(), options_.properties.begin(), options_.properties.end());
  auto handle = courier::kafka::start(RD_KAFKA_PRODUCER, settings, [&](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_opaque(conf, producer.get());
    rd_kafka_conf_set_dr_msg_cb(conf, Producer::delivered);
    rd_kafka_conf_set_error_cb(conf, Producer::failed);
  });
  if (!handle) return fail(std::move(handle.error()));
  producer->handle = *handle;
  producer_ = std::move(producer);
  return {};
}

Result<Told> KafkaSink::tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) {
  for (const auto part : {noted, events}) {
    if (part.empty()) continue;
    if (auto done = tell_in_parts(part); !done) return fail(std::move(done.error()));
  }
  taken_.clear();
  return Told{events.size(), {}};
}

// Kafka refuses a whole batch for one event in it that is too large. Halves are told until that one is alone.
Result<void> KafkaSink::tell_in_parts(std::span<const EventPtr> events) {
  bool too_large = false;
  Result<void> done = tell_together(events, too_large);
  if (!too_large) return done;
  if (events.size() == 1) return {};  // given up
  const size_t half = events.size() / 2;
  if (auto first = tell_in_parts(events.first(half)); !first) return first;
  return tell_in_parts(events.subspan(half));
}

Result<void> KafkaSink::tell_together(std::span<const EventPtr> events, bool& too_large) {
  if (!producer_) {
    if (auto begun = begin(); !begun) return begun;
  }
  producer_->heard_at = system_clock().mono_ns();
  producer_->alone = events.size() == 1;
  Result<void> done;
  for (const EventPtr& event : events) {
    if (!taken_.empty() && taken_.contains(std::string(text_of(event->bytes, Field::id)))) continue;
    done = produce(*event);
    if (!done) break;
  }
  if (done) done = wait_for_all();
  if (done && producer_->trouble.empty() && !producer_->too_large) return done;
  producer_->let_go();
  too_large = producer_->too_large;
  if (!producer_->trouble.empty()) done = fail(errc::away, producer_->trouble);
  // Another one next time. What is under way points at events that the caller may let go of.
  producer_.reset();
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
  const std::string type = type_of(event.kind);
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
    if (is_hopeless(error)) {
      give_up(event, error);
      return {};
    }
    if (error == RD_KAFKA_RESP_ERR__FATAL) return fail(errc::away, producer_->end());
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(errc::away, not_taken(error, topic));
    rd_kafka_poll(producer_->handle, kPollMs);
    if (is_silent()) return fail(errc::away, silence());
  }
  return fail(errc::stopped, "the sink is stopped");
}

bool KafkaSink::uses_scram() const {
  return std::ranges::any_of(options_.properties, [](const auto& each) {
    return each.first == "sasl.mechanism" && each.second.starts_with("SCRAM");
  });
}

bool KafkaSink::is_silent() const {
  return system_clock().mono_ns() - producer_->heard_at > options_.patience_ms * kNsPerMs;
}

std::string KafkaSink::silence() const {
  if (!producer_->why_silent.empty()) return producer_->why_silent;
  return fmt::format("Kafka ({}) has not taken anything for {} s", options_.brokers,
                     options_.patience_ms / 1000);
}

Result<void> KafkaSink::wait_for_all() {
  while (producer_->under_way > 0) {
    rd_kafka_poll(producer_->handle, kPollMs);
    if (std::string end = producer_->end(); !end.empty()) return fail(errc::away, std::move(end));
    if (is_silent()) return fail(errc::away, silence());
    if (stopping_) return fail(errc::stopped, "the sink is stopped");
  }
  return {};
}

void KafkaSink::give_up(const Event& event, int error) {
  const std::string_view id = text_of(event.bytes, Field::id);
  taken_.emplace(id);
  given_up_.add();
  static log::Limit limit{{.per_second = 5}};
  log::error(limit, "an event is given up: Kafka will never take it",
             {{"sink", options_.name},
              {"id", id},
              {"kind", info(event.kind).name},
              {"bytes", event.bytes.size()},
              {"why", rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error))}});
}

}  // namespace courier::events::kafka
