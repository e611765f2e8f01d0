#include "relay/relay.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "config/kafka.h"

namespace courier::relay {
namespace {

constexpr size_t kMessagesAtOnce = 1'000;
constexpr MonoNs kWaitNsMax = 100 * kNsPerMs;
constexpr MonoNs kTickNs = kNsPerSecond;
// A turn that takes longer hangs; a commit may wait for Kafka for most of it.
constexpr MonoNs kTurnNsMax = 60 * kNsPerSecond;

constexpr std::string_view kCauses[] = {"refused", "tried", "unfit"};
constexpr std::string_view kVerdicts[] = {"taken", "retry", "refused"};

LaneRules rules_of(const Settings& settings) {
  return {.lanes = settings.http.parallel,
          .linger_ns = settings.http.linger.count() * kNsPerMs,
          .retry_first_ns = settings.retry.first.count() * kNsPerMs,
          .retry_max_ns = settings.retry.max.count() * kNsPerMs,
          .attempts = settings.retry.attempts,
          .may_bury = !settings.dead_letter_topic.empty(),
          .batch_bytes_max = settings.http.batch_bytes_max};
}

}  // namespace

struct Relay::Metrics {
  explicit Metrics(Registry& registry)
      : read(registry.counter("courier_relay_events_read_total", "Messages read from Kafka.")),
        filtered(registry.counter("courier_relay_events_filtered_total",
                                  "Events that the filter does not let pass.")),
        sent(registry.counter("courier_relay_events_sent_total", "Events that the backend took.")),
        lag(registry.gauge("courier_relay_lag_events",
                           "Messages of our partitions that are not done, in Kafka or here.")),
        in_flight(registry.gauge("courier_relay_requests_in_flight", "Lanes that wait for an answer.")),
        events(registry.gauge("courier_relay_buffered_events", "Events in memory.")),
        bytes(registry.gauge("courier_relay_buffered_bytes", "Their bytes.")),
        partitions(registry.gauge("courier_relay_partitions", "Partitions that are ours.")),
        paused(registry.gauge("courier_relay_partitions_paused", "Of these, not read for now.")),
        oldest(registry.gauge("courier_relay_oldest_unfinished_seconds",
                              "Since when the oldest event in memory has been there.")) {
    for (const std::string_view each : kCauses) {
      buried.push_back(&registry.counter("courier_relay_events_dead_lettered_total",
                                         "Events that went to the dead letters.",
                                         {{"reason", std::string(each)}}));
    }
    for (const std::string_view each : kRetryReasons) {
      retries.push_back(&registry.counter("courier_relay_retries_total", "Requests to be sent again.",
                                          {{"reason", std::string(each)}}));
    }
    for (const std::string_view each : kVerdicts) {
      seconds.push_back(&registry.histogram("courier_relay_request_seconds", "How long an answer took.",
                                            {{"result", std::string(each)}}));
    }
  }
  Counter &read, &filtered, &sent;
  Gauge &lag, &in_flight, &events, &bytes, &partitions, &paused, &oldest;
  std::vector<Counter*> buried, retries;
  std::vector<Histogram*> seconds;
};

Relay::Relay(const Settings& settings, RequestMaker maker, Registry& metrics)
    : settings_(settings),
      maker_(std::move(maker)),
      filter_(settings.filter),
      metrics_(std::make_unique<Metrics>(metrics)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      answers_(*this),
      sent_at_(settings.http.parallel),
      lanes_(rules_of(settings), maker_, settings.kafka.format, *this, std::random_device()()),
      turned_at_(system_clock().mono_ns()) {}

Relay::~Relay() {
  requests_.reset();
}

Result<std::unique_ptr<Relay>> Relay::open(const Settings& settings, Registry& metrics) {
  auto maker = RequestMaker::open(settings.http);
  if (!maker) return fail(std::move(maker.error()));
  std::unique_ptr<Relay> relay(new Relay(settings, *std::move(maker), metrics));
  if (auto started = relay->start(); !started) return fail(std::move(started.error()));
  return relay;
}

Result<void> Relay::start() {
  auto properties = config::kafka_properties(settings_.kafka.connection);
  if (!properties) return fail(std::move(properties.error()));
  auto requests = http::Requests::open(settings_.http.parallel);
  if (!requests) return fail(std::move(requests.error()));
  requests_ = *std::move(requests);
  if (!settings_.dead_letter_topic.empty()) {
    auto writer = kafka::Writer::open(
        {.topic = settings_.dead_letter_topic, .properties = *properties, .wake_fd = wake_fd_.get()});
    if (!writer) return fail(writer.error().within("[kafka]"));
    dead_letters_ = *std::move(writer);
  }
  auto group = kafka::Group::join({.group = settings_.kafka.group,
                                   .topics = settings_.kafka.topics,
                                   .properties = *std::move(properties),
                                   .wake_fd = wake_fd_.get()},
                                  *this);
  if (!group) return fail(group.error().within("[kafka]"));
  group_ = *std::move(group);
  return {};
}

// --- the loop ---

void Relay::run(const std::function<bool()>& stopped) {
  while (!stopped()) turn(kWaitNsMax);
  log::info("the relay stops", {{"requests_in_flight", lanes_.under_way()}});
  stopping_ = true;
  lanes_.stop();
  const MonoNs until = system_clock().mono_ns() + settings_.stop_timeout.count() * kNsPerMs;
  while (lanes_.under_way() > 0 && system_clock().mono_ns() < until) turn(kWaitNsMax);
  group_->leave();
}

void Relay::turn(MonoNs wait_ns) {
  wait(more_ ? 0 : wait_ns);
  now_ = system_clock().mono_ns();
  turned_at_ = now_;
  take_answers();
  if (dead_letters_) dead_letters_->poll();
  more_ = group_->poll(kMessagesAtOnce);
  lanes_.run(now_);
  hold_back();
  connected_ = group_->connected();
  if (now_ < tick_at_) return;
  tick_at_ = now_ + kTickNs;
  commit();
  show();
}

void Relay::wait(MonoNs wait_ns) {
  if (const auto due = lanes_.due()) wait_ns = std::min(wait_ns, *due - system_clock().mono_ns());
  const timespec time{.tv_sec = 0, .tv_nsec = std::clamp<MonoNs>(wait_ns, 0, kWaitNsMax)};
  pollfd fd{wake_fd_.get(), POLLIN, 0};
  if (::ppoll(&fd, 1, &time, nullptr) <= 0) return;
  uint64_t count = 0;
  (void)!::read(wake_fd_.get(), &count, sizeof count);
}

void Relay::wake() noexcept {
  const uint64_t one = 1;
  (void)!::write(wake_fd_.get(), &one, sizeof one);
}

std::string Relay::trouble() const {
  if (connected_) return "";
  return "Kafka (" + settings_.kafka.connection.brokers + ") cannot be reached, or the group " +
         settings_.kafka.group + " has not let us in yet";
}

bool Relay::alive() const {
  return system_clock().mono_ns() - turned_at_ < kTurnNsMax;
}

// Reading pauses while there is too much here, and goes on when half of it is done: each pause costs what
// librdkafka had read ahead.
void Relay::hold_back() {
  const KafkaSettings& limits = settings_.kafka;
  if (is_full()) full_ = true;
  if (lanes_.events() <= limits.buffer_events_max / 2 && lanes_.bytes() <= limits.buffer_bytes_max / 2)
    full_ = false;
  std::vector<kafka::Partition> pause, resume;
  for (const auto& [partition, track] : tracks_) {
    const size_t ahead_max = track->paused ? limits.ahead_max / 2 : limits.ahead_max;
    const bool held = full_ || stopping_ || track->offsets.span() > ahead_max;
    if (held == track->paused) continue;
    track->paused = held;
    (held ? pause : resume).push_back(partition);
  }
  if (!pause.empty()) group_->pause(pause);
  if (!resume.empty()) group_->resume(resume);
}

bool Relay::is_full() const {
  return lanes_.events() >= settings_.kafka.buffer_events_max ||
         lanes_.bytes() >= settings_.kafka.buffer_bytes_max;
}

void Relay::commit() {
  std::vector<kafka::Offset> offsets;
  for (const auto& [partition, track] : tracks_) {
    const auto next = track->offsets.committable();
    if (!next || *next == track->committed) continue;
    track->committed = *next;
    offsets.push_back({partition, *next});
  }
  group_->commit(offsets);
}

void Relay::show() {
  int64_t lag = 0, paused = 0;
  MonoNs oldest = now_;
  for (const auto& [partition, track] : tracks_) {
    if (const auto next = track->offsets.committable()) lag += group_->behind({partition, *next});
    oldest = std::min(oldest, track->offsets.oldest().value_or(now_));
    paused += track->paused ? 1 : 0;
  }
  metrics_->lag.set(lag);
  metrics_->paused.set(paused);
  metrics_->oldest.set((now_ - oldest) / kNsPerSecond);
  metrics_->partitions.set(static_cast<int64_t>(tracks_.size()));
  metrics_->events.set(static_cast<int64_t>(lanes_.events()));
  metrics_->bytes.set(static_cast<int64_t>(lanes_.bytes()));
  metrics_->in_flight.set(static_cast<int64_t>(lanes_.under_way()));
}

// --- from Kafka ---

void Relay::on_assigned(std::span<const kafka::Partition> partitions) {
  for (const kafka::Partition& each : partitions) {
    log::info("a partition is ours", {{"topic", each.topic}, {"partition", each.number}});
    TrackPtr& track = tracks_[each];
    if (track) track->live = false;
    track = std::make_shared<Track>(Track{.partition = each});
  }
}

std::vector<kafka::Offset> Relay::on_revoked(std::span<const kafka::Partition> partitions) {
  std::vector<kafka::Offset> offsets;
  for (const kafka::Partition& each : partitions) {
    const auto place = tracks_.find(each);
    if (place == tracks_.end()) continue;
    log::info("a partition is no longer ours", {{"topic", each.topic}, {"partition", each.number}});
    if (const auto next = place->second->offsets.committable()) offsets.push_back({each, *next});
    place->second->live = false;
    tracks_.erase(place);
  }
  lanes_.drop();
  return offsets;
}

void Relay::on_commit_failed(std::span<const kafka::Partition> partitions) {
  for (const kafka::Partition& each : partitions) {
    if (const auto place = tracks_.find(each); place != tracks_.end()) place->second->committed = -1;
  }
}

bool Relay::on_message(kafka::Message message) {
  const auto place = tracks_.find(message.partition);
  if (place == tracks_.end()) return true;
  metrics_->read.add();
  if (!place->second->offsets.begin(message.offset, now_)) {
    // Kafka lost the end of the partition, and it goes on from before that.
    place->second->live = false;
    lanes_.drop();
    place->second = std::make_shared<Track>(Track{.partition = message.partition});
    (void)place->second->offsets.begin(message.offset, now_);
  }
  Track& track = *place->second;
  Parcel parcel{.track = place->second, .arrived_at = now_};
  if (const auto event = Event::read(message, settings_.kafka.format); !event) {
    parcel.unfit = "it is no event, neither as protobuf nor as JSON";
  } else if (!filter_.passes(*event)) {
    metrics_->filtered.add();
    track.offsets.finish(message.offset);
    return true;
  } else {
    parcel.target = maker_.target(*event);
    if (!parcel.target) parcel.unfit = "its fields make a URL that leads elsewhere: \"..\" in the path";
  }
  parcel.message = std::move(message);
  lanes_.offer(std::move(parcel));
  return !is_full();
}

// --- to the backend, and to the dead letters ---

void Relay::send(size_t lane, http::Request request) {
  sent_at_[lane] = now_;
  requests_->send(std::move(request), [this, lane](Result<http::Response> response) {
    answers_.post({lane, std::move(response)});
  });
}

void Relay::take_answers() {
  answers_.drain(answers_taken_);
  for (const Answer& each : answers_taken_) {
    const Outcome outcome = outcome_of(each.response, system_clock().wall_ms());
    metrics_->seconds[static_cast<size_t>(outcome.verdict)]->observe(
        static_cast<double>(now_ - sent_at_[each.lane]) / static_cast<double>(kNsPerSecond));
    lanes_.answered(each.lane, outcome, now_);
  }
}

void Relay::retrying(size_t lane, const Outcome& outcome, MonoNs wait_ns) {
  const auto* const reason = std::ranges::find(kRetryReasons, outcome.reason);
  CHECK(reason != std::end(kRetryReasons));
  metrics_->retries[static_cast<size_t>(reason - std::begin(kRetryReasons))]->add();
  static log::Limit limit{{.per_second = 2}};
  log::warn(limit, "events are not taken; they are tried again",
            {{"lane", lane}, {"why", outcome.why}, {"wait_ms", wait_ns / kNsPerMs}});
}

void Relay::bury(size_t lane, const Parcel& parcel, const Cause& cause) {
  const kafka::Message& message = parcel.message;
  auto headers = message.headers;
  headers.emplace_back("courier_error", cause.why);
  headers.emplace_back("courier_status", std::to_string(cause.status));
  headers.emplace_back("courier_topic", message.partition.topic);
  headers.emplace_back("courier_partition", std::to_string(message.partition.number));
  headers.emplace_back("courier_offset", std::to_string(message.offset));
  dead_letters_->write(message.has_key ? &message.key : nullptr, message.value, headers,
                       [this, lane, number = parcel.number](const Result<void>& done) {
                         lanes_.buried(lane, number, done, now_);
                       });
  static log::Limit limit{{.per_second = 2}};
  log::warn(limit, "an event goes to the dead letters",
            {{"topic", message.partition.topic},
             {"partition", message.partition.number},
             {"offset", message.offset},
             {"why", cause.why}});
}

void Relay::finished(const Parcel& parcel, const Cause* buried) {
  parcel.track->offsets.finish(parcel.message.offset);
  if (!buried) return metrics_->sent.add();
  const auto* const cause = std::ranges::find(kCauses, buried->reason);
  CHECK(cause != std::end(kCauses));
  metrics_->buried[static_cast<size_t>(cause - std::begin(kCauses))]->add();
}

}  // namespace courier::relay
