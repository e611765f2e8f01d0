// Events as messages of Kafka: a topic for each kind, "courier-delivery-complete", keyed by client id, so
// that those of one client keep their order.
//
// By librdkafka, whose producer is idempotent and waits for all replicas. An event is safe when Kafka has
// said so. While Kafka is away tell() fails, and the events wait in the outbox.
//
// The value is the protobuf message or JSON; the headers are those of CloudEvents 1.0 (Kafka binding, binary
// mode), and traceparent.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "events/sink.h"

namespace courier::events::kafka {

enum class Format : uint8_t { protobuf, json };

struct KafkaSinkOptions {
  std::string name;  // of the sink: for metrics and logs
  std::string brokers;
  std::string topic_prefix = "courier-";
  Format format = Format::protobuf;
  std::string source;            // of CloudEvents: who says so
  int64_t patience_ms = 10'000;  // without a word from Kafka, before tell() gives up for now
  // librdkafka's own settings: security.protocol, sasl.mechanism, …
  std::vector<std::pair<std::string, std::string>> properties;
};

// "courier-delivery-complete".
std::string topic_of(const std::string& prefix, Kind kind);

class KafkaSink final : public Sink {
 public:
  // Does not connect yet. Errors: settings that librdkafka refuses, in its words.
  static Result<std::unique_ptr<KafkaSink>> open(KafkaSinkOptions options, Registry& metrics);
  ~KafkaSink() override;

  Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) override;
  void stop() override { stopping_ = true; }

 private:
  struct Producer;
  KafkaSink(KafkaSinkOptions options, Registry& metrics);
  Result<void> begin();  // a producer anew
  Result<void> tell_in_parts(std::span<const EventPtr> events);
  Result<void> tell_together(std::span<const EventPtr> events, bool& too_large);
  Result<void> produce(const Event& event);
  Result<void> wait_for_all();
  void give_up(const Event& event, int error);
  bool uses_scram() const;
  bool is_silent() const;
  std::string silence() const;

  const KafkaSinkOptions options_;
  std::vector<std::string> topics_;  // by kind
  std::unique_ptr<Producer> producer_;
  std::atomic<bool> stopping_{false};
  // Ids, of what tell() has to repeat, that Kafka has or will never have: not twice.
  std::unordered_set<std::string> taken_;
  std::string scratch_;
  Counter& given_up_;
};

}  // namespace courier::events::kafka
