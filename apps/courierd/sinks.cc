#include "sinks.h"

#include <cstdlib>

#include <fmt/format.h>

#include "config/kafka.h"
#include "events/file/file_sink.h"
#include "events/kafka/kafka_sink.h"
#include "record/record.h"

namespace courier::courierd {
namespace {

events::Kinds kinds_of(const config::Sink& sink) {
  events::Kinds kinds;
  for (const std::string& name : sink.events) kinds |= events::Kinds::of(*events::kind_of(name));
  return kinds;
}

Result<events::kafka::KafkaSinkOptions> kafka_of(const config::Settings& settings, const config::Sink& from) {
  events::kafka::KafkaSinkOptions options{
      .name = from.name, .brokers = from.kafka.brokers, .topic_prefix = from.topic_prefix};
  options.format = from.format == config::KafkaFormat::json ? events::kafka::Format::json
                                                            : events::kafka::Format::protobuf;
  options.source =
      "courier://" + (settings.cluster.name.empty() ? std::string("courier") : settings.cluster.name);
  auto properties = config::kafka_properties(from.kafka);
  if (!properties) return fail(std::move(properties.error()));
  options.properties = *std::move(properties);
  return options;
}

Result<std::unique_ptr<events::Sink>> sink_of(const config::Settings& settings, const config::Sink& from,
                                              Registry& registry) {
  switch (from.kind) {
    case config::SinkKind::file: {
      auto sink = events::file::FileSink::open(
          {.path = from.path, .file_bytes_max = from.file_bytes_max, .files_max = from.files_max});
      if (!sink) return fail(std::move(sink.error()));
      return *std::move(sink);
    }
    case config::SinkKind::kafka: {
      auto options = kafka_of(settings, from);
      if (!options) return fail(std::move(options.error()));
      auto sink = events::kafka::KafkaSink::open(*std::move(options), registry);
      if (!sink) return fail(std::move(sink.error()));
      return *std::move(sink);
    }
  }
  std::abort();
}

}  // namespace

Result<std::unique_ptr<Sinks>> Sinks::open(const config::Settings& settings, const store::StateStore& state,
                                           Registry& registry) {
  std::unique_ptr<Sinks> sinks;
  if (settings.sinks.empty()) return sinks;
  sinks.reset(new Sinks(settings));
  std::vector<std::string> names;
  for (const config::Sink& one : settings.sinks) names.push_back(one.name);
  events::OutboxOptions options;
  options.bytes_max = settings.events.bytes_max;
  options.run = fmt::format("{}{:x}", settings.cluster.node.empty() ? "" : settings.cluster.node + "-",
                            system_clock().wall_ms());
  sinks->outbox_ = std::make_unique<events::Outbox>(options, names, state, registry);
  for (size_t i = 0; i < settings.sinks.size(); ++i) {
    const config::Sink& one = settings.sinks[i];
    auto sink = sink_of(settings, one, registry);
    if (!sink) return fail(sink.error().within("sink \"" + one.name + "\""));
    sinks->dispatchers_.push_back(
        std::make_unique<events::Dispatcher>(*sinks->outbox_, i, kinds_of(one), *std::move(sink), registry));
  }
  return sinks;
}

void Sinks::use(broker::Node& node, auth::acl::Labels& labels) const {
  events::Kinds all;
  bool payloads = false;
  for (const config::Sink& one : settings_.sinks) {
    all |= kinds_of(one);
    payloads = payloads || one.payload;
  }
  for (const std::string& each : settings_.events.sample) {
    const size_t equals = each.find('=');
    node.interest().sample(labels.id(each.substr(0, equals)),
                           std::strtod(each.c_str() + equals + 1, nullptr));
  }
  node.interest().set(all, payloads);
}

void Sinks::start() {
  for (const auto& each : dispatchers_) each->start(settings_.cluster.name.empty());
}

void Sinks::look(broker::Node& node) {
  if (settings_.cluster.name.empty()) return;
  node.run_on_feed([this, &node](const record::Directory& directory) {
    const record::Attachments& attachments = directory.attachments();
    for (const auto& each : dispatchers_) {
      const uint16_t partition = record::Attachments::partition(record::session_hash("", each->state().name),
                                                                attachments.owners().size());
      each->set_active(attachments.owns(partition, node.epoch()));
    }
  });
}

bool Sinks::quiet() const {
  for (const auto& each : dispatchers_) {
    const events::SinkState state = each->state();
    if (state.active && state.trouble.empty() && !each->idle()) return false;
  }
  return true;
}

void Sinks::stop() {
  for (const auto& each : dispatchers_) each->stop();
}

}  // namespace courier::courierd
