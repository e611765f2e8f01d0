#include "sinks.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "admin/errc.h"
#include "base/file.h"
#include "config/kafka.h"
#include "events/file/file_sink.h"
#include "events/kafka/kafka_sink.h"
#include "events/webhook/signature.h"
#include "record/record.h"

namespace courier::courierd {
namespace {

constexpr size_t kSecretsBytesMax = 64 * 1024;

// Who says so, in CloudEvents.
std::string source_of(const config::Settings& settings) {
  return "courier://" + (settings.cluster.name.empty() ? std::string("courier") : settings.cluster.name);
}

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
  options.source = source_of(settings);
  auto properties = config::kafka_properties(from.kafka);
  if (!properties) return fail(std::move(properties.error()));
  options.properties = *std::move(properties);
  return options;
}

events::webhook::Profile profile_of(const config::Sink& sink) {
  switch (sink.profile) {
    case config::WebhookProfile::cloudevents:
      return events::webhook::Profile::cloudevents;
    case config::WebhookProfile::vernemq:
      return events::webhook::Profile::vernemq;
    case config::WebhookProfile::otlp:
      return events::webhook::Profile::otlp;
  }
  std::abort();
}

std::string_view name_of(config::WebhookProfile profile) {
  switch (profile) {
    case config::WebhookProfile::cloudevents:
      return "cloudevents";
    case config::WebhookProfile::vernemq:
      return "vernemq";
    case config::WebhookProfile::otlp:
      return "otlp";
  }
  std::abort();
}

Result<events::webhook::WebhookSinkOptions> webhook_of(const config::Settings& settings,
                                                       const config::Sink& from) {
  events::webhook::WebhookSinkOptions options{.name = from.name, .url = from.url};
  options.profile = profile_of(from);
  options.span_part = std::strtod(from.trace_sample.c_str(), nullptr);
  static_assert(static_cast<int>(config::WebhookMode::batch) ==
                static_cast<int>(events::webhook::Mode::batch));
  options.mode = static_cast<events::webhook::Mode>(from.mode);
  options.source = source_of(settings);
  if (!from.secret_file.empty()) {
    const auto text = read_file(from.secret_file, kSecretsBytesMax);
    if (!text) return fail(text.error());
    auto secrets = events::webhook::parse_secrets(*text);
    if (!secrets) return fail(secrets.error().within(from.secret_file));
    options.secrets = *std::move(secrets);
  }
  for (const std::string& each : from.headers) {
    const size_t colon = each.find(':'), value = each.find_first_not_of(' ', colon + 1);
    options.headers.emplace_back(each.substr(0, colon), value == std::string::npos ? "" : each.substr(value));
  }
  options.ca_file = from.kafka.ca_file;
  options.certificate_file = from.kafka.certificate_file;
  options.key_file = from.kafka.key_file;
  options.link_local = from.allow_link_local;
  options.timeout_ms = from.timeout.count();
  options.parallel = from.parallel;
  options.batch_events_max = from.batch_events_max;
  options.dead_letters_path = settings.data_dir + "/dead-letters/" + from.name + ".jsonl";
  options.dead_letters_bytes_max = from.dead_letters_bytes_max;
  return options;
}

}  // namespace

Result<std::unique_ptr<events::Sink>> Sinks::sink_of(const config::Settings& settings,
                                                     const config::Sink& from, Registry& registry) {
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
    case config::SinkKind::webhook: {
      auto options = webhook_of(settings, from);
      if (!options) return fail(std::move(options.error()));
      auto sink = events::webhook::WebhookSink::open(*std::move(options), registry);
      if (!sink) return fail(std::move(sink.error()));
      webhooks_[from.name] = sink->get();
      return *std::move(sink);
    }
  }
  std::abort();
}

Result<std::unique_ptr<Sinks>> Sinks::open(const config::Settings& settings, const store::StateStore& state,
                                           Registry& registry) {
  std::unique_ptr<Sinks> sinks(new Sinks(settings));
  std::vector<std::string> names;
  for (const config::Sink& one : settings.sinks) names.push_back(one.name);
  events::OutboxOptions options;
  options.bytes_max = settings.events.bytes_max;
  options.run = fmt::format("{}{:x}", settings.cluster.node.empty() ? "" : settings.cluster.node + "-",
                            system_clock().wall_ms());
  sinks->outbox_ = std::make_unique<events::Outbox>(options, names, state, registry);
  for (size_t i = 0; i < settings.sinks.size(); ++i) {
    const config::Sink& one = settings.sinks[i];
    auto sink = sinks->sink_of(settings, one, registry);
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

std::vector<admin::SinkFacts> Sinks::facts() const {
  std::vector<admin::SinkFacts> all;
  for (size_t i = 0; i < settings_.sinks.size(); ++i) {
    const config::Sink& one = settings_.sinks[i];
    const events::SinkState state = dispatchers_[i]->state();
    admin::SinkFacts facts{.name = one.name,
                           .events = one.events,
                           .active = state.active,
                           .told = state.events,
                           .missed = state.missed,
                           .trouble = state.trouble};
    switch (one.kind) {
      case config::SinkKind::file:
        facts.kind = "file";
        facts.target = one.path;
        break;
      case config::SinkKind::kafka:
        facts.kind = "kafka";
        facts.target = one.kafka.brokers;
        break;
      case config::SinkKind::webhook: {
        const events::webhook::WebhookState of = webhooks_.at(one.name)->state();
        facts.kind = "webhook";
        facts.target = http::without_secrets(one.url);
        facts.webhook = admin::SinkFacts::Webhook{.profile = std::string(name_of(one.profile)),
                                                  .waiting = of.waiting,
                                                  .under_way = of.under_way,
                                                  .taken = of.taken,
                                                  .failed = of.failed,
                                                  .given_up = of.given_up,
                                                  .dead_letters = of.dead_letters,
                                                  .last_failure = of.trouble,
                                                  .failing_since = of.trouble_since,
                                                  .resting = of.resting,
                                                  .gone = of.gone};
        break;
      }
    }
    all.push_back(std::move(facts));
  }
  return all;
}

Result<events::webhook::WebhookSink*> Sinks::webhook(const std::string& name) const {
  if (const auto found = webhooks_.find(name); found != webhooks_.end()) return found->second;
  const bool is_sink = std::ranges::find(settings_.sinks, name, &config::Sink::name) != settings_.sinks.end();
  if (is_sink) return fail(admin::errc::conflict, "the sink \"" + name + "\" is no webhook");
  return fail(admin::errc::not_found, "there is no sink \"" + name + "\" in the settings");
}

void Sinks::test(const std::string& name, events::Kind kind,
                 std::function<void(Result<admin::SinkTrial>)> done) const {
  const auto sink = webhook(name);
  if (!sink) return done(fail(sink.error()));
  const events::webhook::WebhookSinkOptions& options = (*sink)->options();
  if (options.profile == events::webhook::Profile::vernemq && events::webhook::hook_of(kind, false).empty()) {
    return done(
        fail(admin::errc::conflict, "VerneMQ has no webhook for " + std::string(events::info(kind).name)));
  }
  (*sink)->test(kind, [done = std::move(done)](Result<events::webhook::Trial> trial) {
    if (!trial) return done(fail(admin::errc::unreachable, std::move(trial.error().message)));
    done(admin::SinkTrial{trial->status, trial->took_ms, std::move(trial->body)});
  });
}

Result<uint64_t> Sinks::replay(const std::string& name) const {
  const auto sink = webhook(name);
  if (!sink) return fail(sink.error());
  return (*sink)->replay();
}

void Sinks::stop() {
  for (const auto& each : dispatchers_) each->stop();
}

}  // namespace courier::courierd
