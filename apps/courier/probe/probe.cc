#include "courier/probe/probe.h"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "client/errc.h"

namespace courier::cli::probe {

using client::ConnectOptions;
using client::Version;

namespace {

std::string random_name() {
  std::random_device random;
  return fmt::format("courier-test-{:08x}{:08x}", random(), random());
}

}  // namespace

Probe::Probe(ProbeOptions options)
    : options_(std::move(options)),
      deadline_(system_clock().mono_ns() + options_.time_ms * kNsPerMs),
      id_(options_.setup.client_id.empty() ? random_name() : options_.setup.client_id),
      topic_((options_.topic.empty() ? "" : options_.topic + "/") + random_name()) {
  outcome_.report.server = options_.server;
}

Outcome Probe::run() {
  area_ = "Connection";
  step("TCP", &Probe::tcp);
  if (!versions()) return std::move(outcome_);
  if (auto client = any("limits")) {
    tls(*client);
    area_ = "Limits, as told";
    limits(*client);
  }
  step("session expiry", &Probe::session_expiry);
  step("assigned client ids", &Probe::assigned_id);
  area_ = "Messages";
  step("QoS 0", &Probe::qos_0);
  step("QoS 1", &Probe::qos_1);
  step("QoS 2", &Probe::qos_2);
  step("retained", &Probe::retained);
  step("wildcards", &Probe::wildcards);
  step("shared subscriptions", &Probe::shared);
  if (version_ == Version::v5) {
    step("subscription identifiers", &Probe::identifiers);
    step("topic aliases", &Probe::aliases);
  }
  step("will", &Probe::will);
  step("kept while offline", &Probe::offline);
  step("$SYS", &Probe::sys);
  area_ = "Figures, as found";
  step("largest packet", &Probe::packet_size);
  step("round trips", &Probe::latency);
  return std::move(outcome_);
}

void Probe::step(const char* name, void (Probe::*run)()) {
  if (out_of_time()) return found(name, Grade::skipped, "no time left");
  (this->*run)();
}

bool Probe::out_of_time() const {
  return system_clock().mono_ns() >= deadline_;
}

int64_t Probe::answer_ms() const {
  const int64_t left = (deadline_ - system_clock().mono_ns()) / kNsPerMs;
  return std::clamp<int64_t>(left, 1, kAnswerMs);
}

void Probe::found(std::string name, Grade grade, std::string text) {
  // What did not come in the end was not given its time.
  if (grade == Grade::broken && out_of_time()) {
    grade = Grade::skipped;
    text = "no time left";
  }
  outcome_.report.findings.push_back({area_, std::move(name), grade, std::move(text)});
}

// What our own client refuses because of what the server told, the server has said it does not offer.
void Probe::failed(std::string name, const Error& error) {
  const bool told = error.code == client::errc::not_supported;
  const Grade grade = told ? Grade::absent : out_of_time() ? Grade::skipped : Grade::broken;
  found(std::move(name), grade, told ? "the server says so" : error.message);
}

client::ClientSetup Probe::setup(const std::string& name,
                                 const std::function<void(ConnectOptions&)>& change) const {
  client::ClientSetup setup = options_.setup;
  ConnectOptions connect = *setup.connect;
  connect.version = version_;
  connect.clean_start = true;
  connect.will.reset();
  connect.session_expiry_seconds.reset();
  connect.connect_timeout_ms = answer_ms();
  if (version_ != Version::v5) {
    connect.receive_maximum.reset();
    connect.maximum_packet_size.reset();
    connect.topic_alias_maximum = 0;
    connect.user_properties.clear();
    connect.authentication_method.reset();
    connect.authentication_data.reset();
  }
  if (change) change(connect);
  setup.connect = std::make_shared<const ConnectOptions>(std::move(connect));
  // 3.1 takes 23 characters; whoever chose the id knows what it may be.
  setup.client_id = name.empty() ? "" : id_ + "-" + name;
  if (version_ == Version::v3_1 && setup.client_id.size() > 23) {
    setup.client_id = setup.client_id.substr(setup.client_id.size() - 23);
  }
  return setup;
}

Result<Probe::Connected> Probe::connect(const client::ClientSetup& setup) {
  auto client = Blocking::create(setup);
  if (!client) return fail(std::move(client).error());
  (*client)->set_timeout_ms(answer_ms() + 1'000);  // the client's own limit comes first, with its sentence
  const MonoNs began = system_clock().mono_ns();
  auto present = (*client)->connect();
  if (!present) {
    outcome_.ending = (*client)->last_ending();
    if (!outcome_.ending) {
      outcome_.ending = client::Ending{.code = present.error().code, .message = present.error().message};
    }
    return fail(std::move(present).error());
  }
  const double ms = static_cast<double>(system_clock().mono_ns() - began) * 1e-6;
  (*client)->set_timeout_ms(answer_ms());
  return Connected{*std::move(client), ms, *present};
}

std::unique_ptr<client::BlockingClient> Probe::any(const std::string& name) {
  auto connected = connect(setup(name));
  if (connected) return std::move(connected->client);
  failed("connection", connected.error());
  return nullptr;
}

}  // namespace courier::cli::probe
