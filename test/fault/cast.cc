#include "cast.h"

#include <utility>

#include <fmt/format.h>

namespace courier::fault {

namespace {

using client::ConnectOptions;
using mqtt::Qos;
using mqtt::Version;

constexpr client::Backoff kBackoff{.first_ms = 4, .max_ms = 40, .stable_ms = 0};

ConnectOptions complete(ConnectOptions options, Version version, bool stored) {
  options.version = version;
  options.clean_start = !stored;
  if (stored && version == Version::v5) options.session_expiry_seconds = client::kSessionNeverExpires;
  // The broker must not need to be told twice.
  options.restore_subscriptions = false;
  options.keep_alive_seconds = 60;
  return options;
}

client::ClientSetup setup(Stage& stage, const std::string& id, const ConnectOptions& options,
                          bool reconnect) {
  return {.server = stage.server,
          .connect = std::make_shared<const ConnectOptions>(options),
          .client_id = id,
          .reconnect = reconnect,
          .backoff = kBackoff};
}

}  // namespace

Actor::Actor(Stage& stage, const std::string& id, Version version, bool stored, ConnectOptions options)
    : stage_(stage),
      name_(id),
      version_(version),
      stored_(stored),
      client_(stage.loop, setup(stage, id, complete(std::move(options), version, stored), true), *this) {}

void Actor::open() {
  if (auto opened = client_.open(); !opened) stage_.ledger.wrong(name_ + ": " + opened.error().message);
}

void Actor::on_connected(client::Client&, const mqtt::Connack&, bool session_present) {
  if (stored_ && known_ && !session_present) {
    stage_.ledger.wrong(fmt::format("the session of {} is gone", name_));
  }
  if (!stored_ && session_present) {
    stage_.ledger.wrong(fmt::format("{} starts clean and finds a session", name_));
  }
  known_ = up_ = true;
}

void Actor::on_disconnected(client::Client&, const client::Ending& ending, std::optional<int64_t>) {
  if (ending.reason && !ending.refused_at_connect &&
      *ending.reason != mqtt::ReasonCode::server_shutting_down) {
    stage_.ledger.wrong(fmt::format("{} was sent away: {}", name_, ending.message));
  }
  if (std::exchange(up_, false)) ++stage_.connections_lost;
}

// --- Publisher ---

Publisher::Publisher(Stage& stage, const std::string& id, Version version, bool stored)
    : Actor(stage, id, version, stored), after_refusal_([this] {
        waiting_ = false;
        pump();
      }) {
  for (const Qos qos : {Qos::at_least_once, Qos::exactly_once}) {
    for (const bool retain : {false, true}) {
      const std::string name = fmt::format("{}/{}/{}", retain ? 'r' : 'c', id, static_cast<int>(qos));
      channels_.push_back({stage.ledger.add(Topic{name, qos, retain, true}), name, qos, retain});
    }
  }
}

void Publisher::play(bool on) {
  playing_ = on;
  pump();
}

void Publisher::widen() {
  inflight_max_ += kInflightMax;
  pump();
}

void Publisher::forbid_acceptance(bool on) {
  forbidden_ = on;
  if (on) return;
  for (auto& [request, outstanding] : outstanding_) outstanding.forbidden = false;
}

void Publisher::on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) {
  Actor::on_connected(client, connack, session_present);
  pump();
}

void Publisher::pump() {
  if (pumping_) return;
  pumping_ = true;
  while (playing_ && !waiting_ && online() && stage_.budget > 0 && client_.unfinished() < inflight_max_) {
    // Mostly what others subscribe to; now and then what is kept for those who come later.
    const Channel& channel =
        channels_[stage_.chance(8) ? 1 + 2 * (stage_.random() % 2) : 2 * (stage_.random() % 2)];
    const bool deletes = channel.retain && stage_.chance(10);
    const Ledger::MessageId id = stage_.ledger.sent(channel.topic, deletes);
    const size_t size = stage_.chance(50) ? 8000 : stage_.random() % 400;
    --stage_.budget;
    auto request = client_.publish({.topic = channel.name,
                                    .payload = deletes ? "" : Ledger::payload(id, size),
                                    .qos = channel.qos,
                                    .retain = channel.retain});
    if (!request) {
      stage_.ledger.unsure(id);
      stage_.ledger.wrong(name_ + " cannot publish: " + request.error().message);
      break;
    }
    outstanding_[request->value] = {id, forbidden_};
  }
  pumping_ = false;
}

void Publisher::on_published(client::Client&, const client::Completion& completion) {
  const auto at = outstanding_.find(completion.request.value);
  if (at == outstanding_.end()) return stage_.ledger.wrong(name_ + ": an answer to nothing");
  const Outstanding outstanding = at->second;
  outstanding_.erase(at);
  if (completion.error) {
    stage_.ledger.unsure(outstanding.id);
  } else if (mqtt::is_error(completion.reason)) {
    ++refused_;
    stage_.ledger.refused(outstanding.id);
    if (completion.reason != mqtt::ReasonCode::quota_exceeded) {
      stage_.ledger.wrong(fmt::format("{}: message {} was refused with 0x{:02X}", name_, outstanding.id,
                                      static_cast<int>(completion.reason)));
    }
    waiting_ = true;
    stage_.loop.arm(after_refusal_, kPauseAfterRefusalMs);
  } else {
    ++accepted_;
    stage_.ledger.accepted(outstanding.id);
    if (outstanding.forbidden) {
      stage_.ledger.wrong(
          fmt::format("{}: message {} was acknowledged while the disk was full", name_, outstanding.id));
    }
  }
  pump();
}

// --- Subscriber ---

Subscriber::Subscriber(Stage& stage, const Role& role, Ledger::ReceiverIndex receiver)
    : Actor(stage, role.id, role.version, true,
            [&] {
              ConnectOptions options;
              if (role.receive_maximum > 0 && role.version == Version::v5)
                options.receive_maximum = role.receive_maximum;
              return options;
            }()),
      receiver_(receiver),
      qos_(role.qos),
      prefix_(role.group.empty() ? "" : "$share/" + role.group + "/"),
      filters_(role.filters) {}

void Subscriber::on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) {
  const bool first = !known_;
  Actor::on_connected(client, connack, session_present);
  // What was asked and not answered, the library asks again.
  if (!first) return;
  for (const std::string& filter : filters_) subscribe(filter);
}

void Subscriber::subscribe(const std::string& filter) {
  auto request = client_.subscribe({{.filter = prefix_ + filter, .options = {.qos = qos_}}});
  if (!request) return stage_.ledger.wrong(name_ + " cannot subscribe: " + request.error().message);
  asked_[request->value] = filter;
}

void Subscriber::on_subscribed(client::Client&, const client::Completion& completion) {
  const auto at = asked_.find(completion.request.value);
  if (at == asked_.end()) return;
  const std::string filter = std::move(at->second);
  asked_.erase(at);
  if (!completion.ok()) {
    // A full disk; nothing else may refuse it.
    return subscribe(filter);
  }
  if (extra_pending_) {
    extra_pending_ = false;
    extra_on_ = true;
  } else {
    ++granted_;
  }
  stage_.ledger.entitle(receiver_, filter);
}

void Subscriber::toggle(const std::string& filter) {
  if (extra_pending_ || !subscribed() || !online()) return;
  extra_pending_ = true;
  if (!extra_on_) return subscribe(filter);
  stage_.ledger.withdraw(receiver_, filter);
  auto request = client_.unsubscribe({prefix_ + filter});
  if (!request) return stage_.ledger.wrong(name_ + " cannot unsubscribe: " + request.error().message);
  asked_[request->value] = filter;
}

void Subscriber::on_unsubscribed(client::Client&, const client::Completion& completion) {
  asked_.erase(completion.request.value);
  extra_pending_ = false;
  extra_on_ = false;
}

void Subscriber::on_message(client::Client&, const mqtt::Publish& publish) {
  stage_.ledger.delivered(receiver_, publish.topic, publish.payload);
}

// --- WillBearer ---

WillBearer::WillBearer(Stage& stage, const std::string& id, Version version, bool stored, Qos qos)
    : Actor(stage, id, version, stored),
      qos_(qos),
      topic_name_("w/" + id),
      topic_(stage.ledger.add(Topic{topic_name_, qos, false, false})),
      again_([this] { begin(); }) {}

void WillBearer::begin() {
  if (!closed()) return;
  // A will that was not known to be there when the connection failed may be published or not.
  if (will_ != 0) stage_.ledger.unsure(will_);
  will_ = stage_.ledger.sent(topic_);
  armed_ = false;
  ConnectOptions next = complete({}, version_, stored_);
  next.will = client::WillMessage{.topic = topic_name_, .payload = Ledger::payload(will_, 30), .qos = qos_};
  if (auto set = client_.set_connect_options(std::make_shared<const ConnectOptions>(std::move(next))); !set) {
    stage_.ledger.wrong(name_ + ": " + set.error().message);
  }
  open();
}

void WillBearer::on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) {
  Actor::on_connected(client, connack, session_present);
  armed_ = true;
}

void WillBearer::end_of_connection() {
  if (will_ == 0) return;
  const Ledger::MessageId will = std::exchange(will_, 0);
  if (armed_ && !stage_.broker_is_leaving) {
    stage_.ledger.accepted(will);
  } else {
    stage_.ledger.unsure(will);
  }
  armed_ = false;
}

void WillBearer::on_disconnected(client::Client& client, const client::Ending& ending,
                                 std::optional<int64_t> retry_in_ms) {
  Actor::on_disconnected(client, ending, retry_in_ms);
  end_of_connection();
  client_.cut();
  stage_.loop.arm(again_, static_cast<int64_t>(stage_.random() % 30));
}

void WillBearer::break_off() {
  if (!online()) return;
  cut();
  end_of_connection();
  stage_.loop.arm(again_, static_cast<int64_t>(stage_.random() % 30));
}

// --- RetainedViewer ---

RetainedViewer::RetainedViewer(Stage& stage)
    : stage_(stage),
      client_(stage.loop, setup(stage, "viewer", complete({}, Version::v5, false), true), *this) {}

void RetainedViewer::open() {
  subscribed_ = false;
  stage_.ledger.begin_retained();
  if (auto opened = client_.open(); !opened) stage_.ledger.wrong(opened.error().message);
}

void RetainedViewer::on_connected(client::Client& client, const mqtt::Connack&, bool) {
  stage_.ledger.begin_retained();
  if (!client.subscribe({{.filter = "r/#", .options = {.qos = Qos::at_least_once}}})) {
    stage_.ledger.wrong("the viewer cannot subscribe");
  }
}

void RetainedViewer::on_subscribed(client::Client&, const client::Completion& completion) {
  subscribed_ = completion.ok();
}

void RetainedViewer::on_message(client::Client&, const mqtt::Publish& publish) {
  if (publish.retain) stage_.ledger.retained(publish.topic, publish.payload);
}

// --- Echo ---

Echo::Echo(Stage& stage, const std::string& id)
    : stage_(stage), client_(stage.loop, setup(stage, id, complete({}, Version::v5, false), true), *this) {}

void Echo::open() {
  subscribed_ = heard_ = false;
  if (auto opened = client_.open(); !opened) stage_.ledger.wrong(opened.error().message);
}

void Echo::on_connected(client::Client& client, const mqtt::Connack&, bool) {
  if (!client.subscribe({{.filter = "echo"}})) stage_.ledger.wrong("the echo cannot subscribe");
}

void Echo::ask() {
  if (!client_.publish({.topic = "echo", .payload = "?"})) stage_.ledger.wrong("the echo cannot publish");
}

}  // namespace courier::fault
