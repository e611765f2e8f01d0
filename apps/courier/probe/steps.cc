// One function a thing that is tried. Each has connections of its own: what breaks one tells nothing of the
// next.
#include <poll.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/errc.h"
#include "courier/probe/probe.h"
#include "courier/probe/round_trips.h"
#include "net/socket.h"
#include "net/tls/certificate.h"

namespace courier::cli::probe {

using client::ConnectOptions;
using client::OutgoingMessage;
using client::Qos;
using client::ReceivedMessage;
using client::Version;

namespace {

constexpr std::pair<Version, const char*> kVersions[] = {
    {Version::v3_1, "MQTT 3.1"}, {Version::v3_1_1, "MQTT 3.1.1"}, {Version::v5, "MQTT 5.0"}};

std::string bytes(uint64_t count) {
  if (count >= 1024 * 1024 && count % (1024 * 1024) == 0) return fmt::format("{} MB", count >> 20);
  if (count >= 1024 && count % 1024 == 0) return fmt::format("{} KB", count >> 10);
  return fmt::format("{} bytes", count);
}

OutgoingMessage message(std::string topic, std::string payload, Qos qos, bool retain = false) {
  OutgoingMessage out{.topic = std::move(topic), .payload = std::move(payload), .qos = qos, .retain = retain};
  if (retain && !out.payload.empty()) out.properties.message_expiry_seconds = kLeftoverSeconds;
  return out;
}

}  // namespace

// ---- Connection

void Probe::tcp() {
  Error last(client::errc::cannot_connect, "no address");
  for (const net::SocketAddress& address : options_.setup.server->addresses) {
    const MonoNs began = system_clock().mono_ns();
    auto fd = net::connect_start(address, {options_.setup.source});
    if (!fd) {
      last = std::move(fd).error();
      continue;
    }
    pollfd wait{fd->get(), POLLOUT, 0};
    if (::poll(&wait, 1, static_cast<int>(answer_ms())) != 1) {
      last = Error(client::errc::timed_out, address.to_string() + " does not answer");
      continue;
    }
    if (auto made = net::connect_outcome(fd->get(), address); !made) {
      last = std::move(made).error();
      continue;
    }
    const double ms = static_cast<double>(system_clock().mono_ns() - began) * 1e-6;
    return found("TCP", Grade::works, fmt::format("{}, {:.2f} ms", address.to_string(), ms));
  }
  found("TCP", Grade::broken, last.message);
}

// Whether there is one to go on with. The highest is.
bool Probe::versions() {
  bool any = false;
  std::optional<client::Ending> why;
  for (const auto& [version, name] : kVersions) {
    version_ = version;
    auto connected = connect(setup("version"));
    if (connected) {
      found(name, Grade::works, fmt::format("{:.2f} ms until CONNACK", connected->ms));
      connected->client->close();
      any = true;
      continue;
    }
    why = outcome_.ending;
    const bool other_version = why->reason == client::ReasonCode::unsupported_protocol_version;
    found(name, Grade::absent, other_version ? "" : why->message);
    // Where nothing answers, another version will not either, and a wrong password is no better in it.
    if (why->code == client::errc::timed_out || (why->code != client::errc::refused && !any)) break;
  }
  if (!any) {
    outcome_.ending = why;
    outcome_.report.failure = options_.sentence ? options_.sentence(*why) : why->message;
    if (outcome_.report.failure.ends_with('.')) outcome_.report.failure.pop_back();
    return false;
  }
  outcome_.ending.reset();
  for (const auto& [version, name] : kVersions) {
    const auto tried = std::ranges::find(outcome_.report.findings, name, &Finding::name);
    if (tried != outcome_.report.findings.end() && tried->grade == Grade::works) version_ = version;
  }
  return true;
}

void Probe::tls(Blocking& client) {
  const auto session = client.client().tls();
  if (!session) return;
  found("TLS", Grade::works,
        fmt::format("{}, {}{}", session->version, session->cipher,
                    session->alpn.empty() ? "" : ", ALPN " + session->alpn));
  if (!session->certificate) return found("certificate", Grade::told, "not checked");
  const net::PeerCertificate& certificate = *session->certificate;
  found("certificate", Grade::works,
        fmt::format("{}; for {}; until {}", certificate.subject, fmt::join(certificate.dns, ", "),
                    net::tls::date(certificate.not_after)));
}

// ---- Limits

void Probe::limits(Blocking& client) {
  if (version_ != Version::v5) return found("limits", Grade::told, "only MQTT 5.0 servers tell theirs");
  const client::ServerLimits& limits = client.server_limits();
  const auto told = [&](const char* name, std::string text) { found(name, Grade::told, std::move(text)); };
  const auto offered = [&](const char* name, bool yes) {
    if (!yes) found(name, Grade::absent, "the server says so");
  };
  told("maximum QoS", std::to_string(static_cast<int>(limits.maximum_qos)));
  told("maximum packet size",
       limits.maximum_packet_size == 0xFFFFFFFF ? "none" : bytes(limits.maximum_packet_size));
  told("receive maximum", std::to_string(limits.receive_maximum));
  told("topic alias maximum", std::to_string(limits.topic_alias_maximum));
  offered("retained messages", limits.retain_available);
  offered("wildcard subscriptions", limits.wildcards_available);
  auto longest =
      connect(setup("keepalive", [](ConnectOptions& connect) { connect.keep_alive_seconds = 65'535; }));
  if (!longest) return failed("keep-alive", longest.error());
  const uint16_t seconds = longest->client->server_limits().keep_alive_seconds;
  told("longest keep-alive", seconds == 65'535 ? "as the client asks" : fmt::format("{} s", seconds));
  longest->client->close();
}

void Probe::session_expiry() {
  if (version_ != Version::v5) return;
  auto connected = connect(setup("expiry", [](ConnectOptions& connect) {
    connect.session_expiry_seconds = client::kSessionNeverExpires;
  }));
  if (!connected) return failed("session expiry", connected.error());
  const auto granted = connected->client->server_limits().session_expiry_seconds;
  found("longest session", Grade::told,
        !granted                                   ? "as the client asks"
        : *granted == client::kSessionNeverExpires ? "for ever"
                                                   : fmt::format("{} s", *granted));
  // So that it ends now.
  connected->client->client().close({.session_expiry_seconds = 0});
  connected->client->close();
}

void Probe::assigned_id() {
  if (version_ == Version::v3_1) return;  // has none
  auto connected = connect(setup(""));
  if (!connected) return found("assigned client ids", Grade::absent, connected.error().message);
  const std::string& id = connected->client->client().client_id();
  found("assigned client ids", Grade::works, version_ == Version::v5 ? id : "");
  connected->client->close();
}

// ---- Messages

bool Probe::arrives(Blocking& client, std::string_view payload, ReceivedMessage* message) {
  const MonoNs until = system_clock().mono_ns() + answer_ms() * kNsPerMs;
  for (;;) {
    const int64_t left = (until - system_clock().mono_ns()) / kNsPerMs;
    auto received = client.receive(std::max<int64_t>(left, 1));
    if (!received) return false;
    if (received->payload != payload) continue;
    if (message) *message = *std::move(received);
    return true;
  }
}

bool Probe::granted(const char* name, Blocking& client, const std::string& filter, Qos qos,
                    std::optional<uint32_t> identifier) {
  auto answer = client.subscribe({{.filter = filter, .options = {.qos = qos}}}, identifier);
  if (!answer) {
    failed(name, answer.error());
    return false;
  }
  const client::ReasonCode code = answer->empty() ? client::ReasonCode::unspecified_error : answer->front();
  if (!mqtt::is_error(code)) return true;
  found(name, Grade::absent, fmt::format("the subscription was refused: {}", mqtt::name(code)));
  return false;
}

void Probe::qos(Qos qos) {
  const std::string title = fmt::format("QoS {}", static_cast<int>(qos));
  auto from = any("from"), to = any("to");
  if (!from || !to) return;
  if (!granted(title.c_str(), *to, at("qos"), qos)) return;
  auto sent = from->publish(message(at("qos"), title, qos));
  if (!sent) return failed(title, sent.error());
  if (mqtt::is_error(*sent)) {
    return found(title, Grade::broken, fmt::format("the message was refused: {}", mqtt::name(*sent)));
  }
  ReceivedMessage got;
  if (!arrives(*to, title, &got)) return found(title, Grade::broken, "the message did not arrive");
  const bool lowered = got.qos != qos;
  found(title, lowered ? Grade::absent : Grade::works,
        lowered ? fmt::format("it arrived with QoS {}", static_cast<int>(got.qos)) : "");
}

void Probe::retained() {
  auto from = any("from");
  if (!from) return;
  const auto seen_by = [&](const std::string& name) -> std::optional<bool> {
    auto late = any(name);
    if (!late || !granted("retained", *late, at("retained"), Qos::at_most_once)) return std::nullopt;
    // What is retained comes before what is published now.
    if (auto sent = from->publish(message(at("retained"), "marker", Qos::at_least_once)); !sent) {
      failed("retained", sent.error());
      return std::nullopt;
    }
    bool retained = false;
    for (;;) {
      auto got = late->receive(answer_ms());
      if (!got) {
        found("retained", Grade::broken,
              "a message that was published after the subscription did not arrive");
        return std::nullopt;
      }
      if (got->payload == "kept" && got->retain) retained = true;
      if (got->payload == "marker") return retained;
    }
  };
  const auto keep = [&](std::string payload) -> std::optional<bool> {
    auto sent = from->publish(message(at("retained"), std::move(payload), Qos::at_least_once, true));
    if (!sent) {
      failed("retained", sent.error());
      return std::nullopt;
    }
    if (mqtt::is_error(*sent)) {
      found("retained", Grade::absent, fmt::format("refused: {}", mqtt::name(*sent)));
      return std::nullopt;
    }
    return true;
  };
  if (!keep("kept")) return;
  const auto kept = seen_by("late");
  const bool cleared = keep("").has_value();  // whatever was seen
  if (!kept || !cleared) return;
  if (!*kept) return found("retained", Grade::broken, "it was not kept");
  const auto still = seen_by("later");
  if (!still) return;
  found("retained", *still ? Grade::broken : Grade::works,
        *still ? "an empty message did not delete it" : "kept, and deleted by an empty message");
}

void Probe::wildcards() {
  for (const auto& [filter, payload] :
       {std::pair{"wild/+/end", "one level"}, std::pair{"wild/#", "many levels"}}) {
    auto client = any("wild");
    if (!client || !granted("wildcards", *client, at(filter), Qos::at_least_once)) return;
    if (auto sent = client->publish(message(at("wild/x/end"), payload, Qos::at_least_once)); !sent) {
      return failed("wildcards", sent.error());
    }
    if (!arrives(*client, payload)) {
      return found("wildcards", Grade::broken, fmt::format("{} does not match", filter));
    }
  }
  found("wildcards", Grade::works, "+ and #");
}

void Probe::shared() {
  constexpr int kMessages = 20;
  auto first = any("share1"), second = any("share2"), from = any("from");
  if (!first || !second || !from) return;
  const std::string filter = "$share/" + id_ + "/" + at("shared");
  for (Blocking* each : {first.get(), second.get()}) {
    if (!granted("shared subscriptions", *each, filter, Qos::at_least_once)) return;
  }
  for (int i = 0; i < kMessages; ++i) {
    if (auto sent = from->publish(message(at("shared"), "x", Qos::at_least_once)); !sent) {
      return failed("shared subscriptions", sent.error());
    }
  }
  int counts[] = {0, 0};
  const MonoNs until = system_clock().mono_ns() + answer_ms() * kNsPerMs;
  while (counts[0] + counts[1] < kMessages && system_clock().mono_ns() < until) {
    for (const int i : {0, 1}) {
      while ((i == 0 ? first : second)->receive(20)) ++counts[i];
    }
  }
  for (const int i : {0, 1}) {  // more than all would be a message that both got
    while ((i == 0 ? first : second)->receive(50)) ++counts[i];
  }
  const std::string text =
      fmt::format("{} messages to two members: {} and {}", kMessages, counts[0], counts[1]);
  const bool none = counts[0] + counts[1] == 0;
  if (none && version_ != Version::v5) {
    return found("shared subscriptions", Grade::absent, "3.x has no word for them");
  }
  found("shared subscriptions", counts[0] + counts[1] == kMessages ? Grade::works : Grade::broken, text);
}

void Probe::identifiers() {
  auto client = any("ids");
  if (!client) return;
  if (!client->server_limits().identifiers_available) {
    return found("subscription identifiers", Grade::absent, "the server says so");
  }
  if (!granted("subscription identifiers", *client, at("ids"), Qos::at_least_once, 4711)) return;
  if (auto sent = client->publish(message(at("ids"), "identified", Qos::at_least_once)); !sent) {
    return failed("subscription identifiers", sent.error());
  }
  ReceivedMessage got;
  if (!arrives(*client, "identified", &got)) {
    return found("subscription identifiers", Grade::broken, "the message did not arrive");
  }
  const bool right = got.subscription_identifiers == std::vector<uint32_t>{4711};
  found("subscription identifiers", right ? Grade::works : Grade::broken,
        right ? "" : "the message came without the identifier");
}

void Probe::aliases() {
  auto client = any("alias");
  if (!client) return;
  if (client->server_limits().topic_alias_maximum == 0) {
    return found("topic aliases", Grade::absent, "the server says so");
  }
  if (!granted("topic aliases", *client, at("alias"), Qos::at_least_once)) return;
  for (const char* payload : {"with the topic", "by the alias"}) {
    OutgoingMessage aliased = message(at("alias"), payload, Qos::at_least_once);
    aliased.topic_alias = 1;
    if (auto sent = client->publish(aliased); !sent) return failed("topic aliases", sent.error());
    ReceivedMessage got;
    if (!arrives(*client, payload, &got) || got.topic != at("alias")) {
      return found("topic aliases", Grade::broken, "a message by an alias did not arrive under its topic");
    }
  }
  found("topic aliases", Grade::works);
}

void Probe::will() {
  auto witness = any("witness");
  if (!witness || !granted("will", *witness, at("will"), Qos::at_least_once)) return;
  auto dying = connect(setup("dying", [&](ConnectOptions& connect) {
    connect.will = client::WillMessage{.topic = at("will"), .payload = "gone", .qos = Qos::at_least_once};
  }));
  if (!dying) return failed("will", dying.error());
  dying->client->client().cut(client::Cut::reset);
  const MonoNs began = system_clock().mono_ns();
  const bool came = arrives(*witness, "gone");
  found("will", came ? Grade::works : Grade::broken,
        came ? fmt::format("{:.1f} ms after its client was cut off",
                           static_cast<double>(system_clock().mono_ns() - began) * 1e-6)
             : "none came when its client was cut off");
}

void Probe::offline() {
  const auto sleeper = [&](bool clean) {
    return setup("sleeper", [this, clean](ConnectOptions& connect) {
      connect.clean_start = clean;
      if (version_ == Version::v5) connect.session_expiry_seconds = clean ? 0 : kLeftoverSeconds;
    });
  };
  const auto sleep = [&]() -> bool {
    auto awake = connect(sleeper(false));
    if (!awake) {
      failed("kept while offline", awake.error());
      return false;
    }
    if (!granted("kept while offline", *awake->client, at("offline"), Qos::at_least_once)) return false;
    awake->client->close();
    auto from = any("from");
    if (!from) return false;
    auto sent = from->publish(message(at("offline"), "meanwhile", Qos::at_least_once));
    if (!sent) {
      failed("kept while offline", sent.error());
      return false;
    }
    auto again = connect(sleeper(false));
    if (!again) {
      failed("kept while offline", again.error());
      return false;
    }
    if (version_ != Version::v3_1 && !again->session_present) {
      found("kept while offline", Grade::broken, "the session was not kept");
      return false;
    }
    if (!arrives(*again->client, "meanwhile")) {
      found("kept while offline", Grade::broken, "the session was kept, its message was not");
      return false;
    }
    again->client->close();
    return true;
  };
  const bool kept = sleep();
  if (auto last = connect(sleeper(true))) last->client->close();  // and so the session ends
  if (kept) found("kept while offline", Grade::works, "the session, and a QoS 1 message for it");
}

void Probe::sys() {
  auto client = any("sys");
  if (!client || !granted("$SYS", *client, "$SYS/#", Qos::at_most_once)) return;
  auto got = client->receive(std::min<int64_t>(answer_ms(), 2'000));
  if (got) return found("$SYS", Grade::works, got->topic);
  found("$SYS", Grade::told, "allowed; nothing came within 2 s");
}

// ---- Figures

// Doubling, and what the server told when that comes between: it should keep its word.
void Probe::packet_size() {
  std::vector<uint32_t> sizes;
  auto client = any("size");
  if (!client) return;
  const uint32_t told = client->server_limits().maximum_packet_size;
  const uint32_t most = std::min(options_.packet_bytes_max, told);
  for (uint32_t size = 1024; size < most; size *= 4) sizes.push_back(size);
  sizes.push_back(most);
  uint32_t largest = 0;
  std::string why;
  for (const uint32_t size : sizes) {
    if (out_of_time()) {
      why = "no time left for more";
      break;
    }
    // The rest of a PUBLISH: its header and length, topic, packet id, no properties.
    const size_t overhead = 1 + 4 + 2 + at("size").size() + 2 + (version_ == Version::v5 ? 1 : 0);
    auto sent = client->publish(message(at("size"), std::string(size - overhead, 'x'), Qos::at_least_once));
    if (!sent || mqtt::is_error(*sent)) {
      why = sent ? std::string(mqtt::name(*sent)) : sent.error().message;
      break;
    }
    largest = size;
  }
  if (largest == most && told <= options_.packet_bytes_max) {
    return found("largest packet", Grade::works, fmt::format("{}, as told", bytes(largest)));
  }
  if (largest == most)
    return found("largest packet", Grade::told, fmt::format("{} at least", bytes(largest)));
  const bool broke_its_word = told != 0xFFFFFFFF;
  found("largest packet", largest == 0 || broke_its_word ? Grade::broken : Grade::told,
        fmt::format("{}; more: {}", bytes(largest), why));
}

void Probe::latency() {
  for (const Qos qos : {Qos::at_most_once, Qos::at_least_once, Qos::exactly_once}) {
    const std::string title = fmt::format("1:1 with QoS {}", static_cast<int>(qos));
    if (out_of_time()) {
      found(title, Grade::skipped, "no time left");
      continue;
    }
    const MonoNs until = std::min(deadline_, system_clock().mono_ns() + kAnswerMs * kNsPerMs);
    auto one_way = [this](const char* name) {
      client::ClientSetup made = setup(name);
      made.reconnect = false;
      return made;
    };
    auto times = measure_round_trips(one_way("pub"), one_way("sub"), at("latency"), qos, kRoundTrips, until);
    if (!times) {
      failed(title, times.error());
      continue;
    }
    found(title, Grade::told,
          fmt::format("p50 {:.2f} ms, p99 {:.2f} ms, of {}", times->p50_ms, times->p99_ms, times->messages));
  }
}

}  // namespace courier::cli::probe
