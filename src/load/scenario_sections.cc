#include "load/scenario_sections.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "load/limits.h"
#include "load/message_id.h"
#include "load/sources.h"

namespace courier::load {

namespace {

using YAML::Node;

template <typename T, typename U>
void set(T& into, std::optional<U> value) {
  if (value) into = std::move(*value);
}

void read_qos(YamlReader& reader, const Node& node, mqtt::Qos& into) {
  if (const auto qos = reader.choice(node, {"0", "1", "2"}, type::qos)) into = static_cast<mqtt::Qos>(*qos);
}

void read_payload(YamlReader& reader, const Node& node, PayloadSpec& into) {
  if (!node.IsMap()) {
    set(into.text, reader.filled_text(node));
    return;
  }
  if (!reader.has_only(node, "a payload", {"size"})) return;
  const Node size = node["size"];
  if (!size.IsDefined()) return reader.wrong(node, type::payload);
  const auto bytes = reader.bytes(size, kPayloadBytesMax);
  if (!bytes) return;
  if (*bytes < kIdBytes) {
    return reader.error(size, fmt::format("{} bytes are too few: the id that every message carries takes {}",
                                          *bytes, kIdBytes));
  }
  into.size_bytes = static_cast<size_t>(*bytes);
}

// --- target ---

// HOST, HOST:PORT, or [HOST]:PORT where the host has colons of its own.
std::optional<Broker::Address> address_of(std::string_view text, uint16_t default_port) {
  Broker::Address address{.host = {}, .port = default_port};
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    address.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port[0] != ':') return std::nullopt;
  } else {
    address.host = text.substr(0, text.find(':'));
    port = text.substr(address.host.size());
  }
  if (!port.empty()) {
    port.remove_prefix(1);
    unsigned number = 0;
    const auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (bad != std::errc() || end != port.data() + port.size() || number == 0 || number > 65'535) {
      return std::nullopt;
    }
    address.port = static_cast<uint16_t>(number);
  }
  if (address.host.empty()) return std::nullopt;
  return address;
}

std::optional<Broker> broker_of(YamlReader& reader, const Node& node) {
  const auto text = reader.name(node, type::brokers);
  if (!text) return std::nullopt;
  constexpr std::string_view kMark = "://";
  Broker broker{.text = *text};
  std::string_view rest = *text;
  if (const size_t mark = rest.find(kMark); mark != std::string_view::npos) {
    const auto scheme = client::scheme_of(rest.substr(0, mark));
    if (!scheme) {
      reader.error(node, fmt::format("\"{}\": mqtt, mqtts, ws and wss are spoken", *text));
      return std::nullopt;
    }
    broker.scheme = *scheme;
    rest.remove_prefix(mark + kMark.size());
  }
  if (client::over_websocket(broker.scheme)) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    broker.path = slash < rest.size() ? rest.substr(slash) : "/mqtt";
    rest = rest.substr(0, slash);
    const auto odd = [](char c) { return c <= ' ' || c > '~' || c == '#'; };
    if (std::ranges::any_of(broker.path, odd)) return reader.wrong(node, type::brokers), std::nullopt;
  }
  for (bool last = false; !last;) {
    const size_t comma = std::min(rest.find(','), rest.size());
    auto address = address_of(rest.substr(0, comma), client::default_port(broker.scheme));
    if (!address) return reader.wrong(node, type::brokers), std::nullopt;
    broker.addresses.push_back(std::move(*address));
    last = comma == rest.size();
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return broker;
}

const Section<TargetTls>& tls_section() {
  static const Section<TargetTls> section(
      "tls", "tls",
      {{{"ca_file", "who issues the brokers' certificates (whom the machine trusts)", &type::text},
        [](YamlReader& r, const Node& n, TargetTls& t) { set(t.ca_file, r.name(n)); }},
       {{"insecure", "believe any broker, whatever its certificate", &type::flag},
        [](YamlReader& r, const Node& n, TargetTls& t) { set(t.insecure, r.flag(n)); }},
       {{"certificate", "that each client shows; needs a key", &type::text},
        [](YamlReader& r, const Node& n, TargetTls& t) { set(t.certificate, r.name(n)); }},
       {{"key", "its private key", &type::text},
        [](YamlReader& r, const Node& n, TargetTls& t) { set(t.key, r.name(n)); }}});
  return section;
}

const Section<Target>& target_section() {
  static const Section<Target> section(
      "target", "target",
      {{{"brokers", "where clients connect, in turn", &type::brokers, nullptr, false, true},
        [](YamlReader& r, const Node& n, Target& t) {
          r.each(n, 1'000, [&](const Node& each) {
            if (auto broker = broker_of(r, each)) t.brokers.push_back(std::move(*broker));
          });
        }},
       {{"tls", "for brokers with mqtts and wss: files on the machine that plays", nullptr,
         &tls_section().info()},
        [](YamlReader& r, const Node& n, Target& t) {
          t.tls.place = YamlReader::place_of(n);
          tls_section().read(r, n, t.tls);
          if (t.tls.certificate.empty() != t.tls.key.empty()) {
            r.error(n, "a certificate needs its key, and a key its certificate: only one is given");
          }
        }},
       {{"proxy_protocol", "play the load balancer: none, v1 or v2", &type::text},
        [](YamlReader& r, const Node& n, Target& t) {
          static const ValueType expected{"none, v1 or v2", ""};
          if (const auto version = r.choice(n, {"none", "v1", "v2"}, expected)) {
            t.proxy_protocol = static_cast<ProxyProtocol>(*version);
          }
        }},
       {{"sources", "addresses to connect from, in turn: one has fewer than 64,000 ports", &type::sources},
        [](YamlReader& r, const Node& n, Target& t) {
          r.each(n, 1'000, [&](const Node& each) {
            auto text = r.name(each, type::sources);
            if (!text) return;
            t.sources.push_back(std::move(*text));
            if (auto all = parse_sources(t.sources); !all) {
              r.error(each, std::move(all.error().message));
              t.sources.pop_back();
            }
          });
        }},
       {{"scrape", "metrics in Prometheus's format to show beside our own", &type::urls},
        [](YamlReader& r, const Node& n, Target& t) {
          r.each(n, 100, [&](const Node& each) {
            auto url = r.name(each, type::urls);
            if (!url) return;
            if (!url->starts_with("http://")) return r.wrong(each, type::urls);
            t.scrape.push_back(std::move(*url));
          });
        }},
       {{"scrape_metrics", "metrics of these names too; rates, where a name ends in _total", &type::names},
        [](YamlReader& r, const Node& n, Target& t) {
          r.each(n, 100, [&](const Node& each) {
            if (auto name = r.name(each)) t.scrape_metrics.push_back(std::move(*name));
          });
        }}});
  return section;
}

// --- groups ---

const Section<MqttOptions>& mqtt_section() {
  static const Section<MqttOptions> section(
      "mqtt", "mqtt",
      {{{"version", "of the protocol; 3.1.1 if nothing is said", &type::version},
        [](YamlReader& r, const Node& n, MqttOptions& m) {
          constexpr mqtt::Version kVersions[] = {mqtt::Version::v3_1, mqtt::Version::v3_1_1,
                                                 mqtt::Version::v5, mqtt::Version::v5};
          if (const auto version = r.choice(n, {"3.1", "3.1.1", "5", "5.0"}, type::version)) {
            m.version = kVersions[*version];
          }
        }},
       {{"clean_session", "false: the session is stored and taken up again", &type::flag},
        [](YamlReader& r, const Node& n, MqttOptions& m) { set(m.clean_session, r.flag(n)); }},
       {{"session_expiry",
         "5.0: how long the session outlives a connection; never ends if clean_session is "
         "false and nothing is said",
         &type::duration},
        [](YamlReader& r, const Node& n, MqttOptions& m) {
          if (const auto ms = r.duration_ms(n)) {
            m.session_expiry_seconds = static_cast<uint32_t>(std::min<int64_t>(*ms / 1000, 0xFFFFFFFF));
            m.session_expiry_given = true;
          }
        }},
       {{"keepalive", "0: none; 60s if nothing is said", &type::duration},
        [](YamlReader& r, const Node& n, MqttOptions& m) {
          const auto ms = r.duration_ms(n);
          if (!ms) return;
          if (*ms > 65'535'000) return r.error(n, "keepalive is 65535s at most");
          m.keep_alive_seconds = static_cast<uint16_t>((*ms + 999) / 1000);
        }},
       {{"receive_maximum", "5.0: messages with QoS 1 and 2 that may be unanswered towards the client",
         &type::count},
        [](YamlReader& r, const Node& n, MqttOptions& m) {
          if (const auto value = r.count(n, 1, 65'535)) m.receive_maximum = static_cast<uint16_t>(*value);
        }}});
  return section;
}

const Section<Reconnect>& reconnect_section() {
  static const Section<Reconnect> section(
      "reconnect", "reconnect",
      {{{"enabled", "false: a lost connection stays lost", &type::flag},
        [](YamlReader& r, const Node& n, Reconnect& v) { set(v.enabled, r.flag(n)); }},
       {{"first", "after how long the first attempt follows; doubles with each that fails", &type::duration},
        [](YamlReader& r, const Node& n, Reconnect& v) { set(v.first_ms, r.duration_ms(n)); }},
       {{"max", "and grows no longer than this", &type::duration},
        [](YamlReader& r, const Node& n, Reconnect& v) { set(v.max_ms, r.duration_ms(n)); }},
       {{"jitter", "full: anywhere between zero and that; none", &type::jitter},
        [](YamlReader& r, const Node& n, Reconnect& v) {
          if (const auto kind = r.choice(n, {"none", "full"}, type::jitter)) v.jitter = *kind == 1;
        }}});
  return section;
}

const Section<LoadSubscription>& subscription_section() {
  static const Section<LoadSubscription> section(
      "a subscription", "subscription",
      {{{"topic", "the filter", &type::filled_text, nullptr, false, true},
        [](YamlReader& r, const Node& n, LoadSubscription& s) {
          s.place = YamlReader::place_of(n);
          set(s.filter, r.filled_text(n));
        }},
       {{"qos", "0 if nothing is said", &type::qos},
        [](YamlReader& r, const Node& n, LoadSubscription& s) { read_qos(r, n, s.qos); }}});
  return section;
}

const Section<ThinkTime>& think_section() {
  static const Section<ThinkTime> section(
      "think", "think",
      {{{"median", "half of the answers take no longer", &type::duration, nullptr, false, true},
        [](YamlReader& r, const Node& n, ThinkTime& t) {
          if (const auto ms = r.duration_ms(n)) t.median_ms = t.p99_ms = static_cast<double>(*ms);
        }},
       {{"p99", "99 of 100 take no longer", &type::duration}, [](YamlReader& r, const Node& n, ThinkTime& t) {
          const auto ms = r.duration_ms(n);
          if (!ms) return;
          if (static_cast<double>(*ms) < t.median_ms) return r.error(n, "p99 is shorter than median");
          t.p99_ms = static_cast<double>(*ms);
        }}});
  return section;
}

const Section<Reaction>& answer_section() {
  static const Section<Reaction> section(
      "an answer", "answer",
      {{{"topic", "of the answer", &type::filled_text, nullptr, false, true},
        [](YamlReader& r, const Node& n, Reaction& a) { set(a.topic, r.filled_text(n)); }},
       {{"qos", "0 if nothing is said", &type::qos},
        [](YamlReader& r, const Node& n, Reaction& a) { read_qos(r, n, a.qos); }},
       {{"payload", "with {msg.id} it names the message that it answers", &type::payload},
        [](YamlReader& r, const Node& n, Reaction& a) { read_payload(r, n, a.payload); }}});
  return section;
}

const Section<Reaction>& reaction_section() {
  static const Section<Reaction> section(
      "a reaction", "reaction",
      {{{"match", "a filter: the messages that are answered", &type::filled_text, nullptr, false, true},
        [](YamlReader& r, const Node& n, Reaction& a) {
          a.place = YamlReader::place_of(n);
          set(a.match, r.filled_text(n));
        }},
       {{"think", "how long the client takes over it", nullptr, &think_section().info()},
        [](YamlReader& r, const Node& n, Reaction& a) { think_section().read(r, n, a.think); }},
       {{"publish", "the answer", nullptr, &answer_section().info(), false, true},
        [](YamlReader& r, const Node& n, Reaction& a) { answer_section().read(r, n, a); }}});
  return section;
}

const Section<LoadWill>& will_section() {
  static const Section<LoadWill> section(
      "a will", "will",
      {{{"topic", "of the will", &type::filled_text, nullptr, false, true},
        [](YamlReader& r, const Node& n, LoadWill& w) { set(w.topic, r.filled_text(n)); }},
       {{"payload", "text", &type::filled_text},
        [](YamlReader& r, const Node& n, LoadWill& w) { set(w.payload, r.filled_text(n)); }},
       {{"qos", "0 if nothing is said", &type::qos},
        [](YamlReader& r, const Node& n, LoadWill& w) { read_qos(r, n, w.qos); }},
       {{"retain", "false if nothing is said", &type::flag},
        [](YamlReader& r, const Node& n, LoadWill& w) { set(w.retain, r.flag(n)); }}});
  return section;
}

const Section<Group>& group_section() {
  static const Section<Group> section(
      "a group", "group",
      {{{"count", "how many clients", &type::count, nullptr, false, true},
        [](YamlReader& r, const Node& n, Group& g) { set(g.count, r.count(n, 1, kClientsMax)); }},
       {{"client_id", "of each; \"GROUP-{n}\" if nothing is said", &type::filled_text},
        [](YamlReader& r, const Node& n, Group& g) { set(g.client_id, r.filled_text(n)); }},
       {{"username", "of each", &type::filled_text},
        [](YamlReader& r, const Node& n, Group& g) { set(g.username, r.filled_text(n)); }},
       {{"password", "of each: text, or { jwt: … } for a token that is signed for each", &type::password},
        [](YamlReader& r, const Node& n, Group& g) {
          if (!n.IsMap()) return set(g.password, r.filled_text(n));
          if (!r.has_only(n, "a password", {"jwt"})) return;
          const Node jwt = n["jwt"];
          if (!jwt.IsDefined()) return r.wrong(n, type::password);
          jwt_section().read(r, jwt, g.jwt.emplace());
        }},
       {{"mqtt", "how they speak", nullptr, &mqtt_section().info()},
        [](YamlReader& r, const Node& n, Group& g) { mqtt_section().read(r, n, g.mqtt); }},
       {{"reconnect", "when a connection is lost", nullptr, &reconnect_section().info()},
        [](YamlReader& r, const Node& n, Group& g) {
          reconnect_section().read(r, n, g.reconnect);
          if (g.reconnect.first_ms > g.reconnect.max_ms) r.error(n, "\"first\" is longer than \"max\"");
        }},
       {{"subscribe", "what each subscribes to once it is connected", nullptr, &subscription_section().info(),
         true},
        [](YamlReader& r, const Node& n, Group& g) {
          r.each(n, 1'000,
                 [&](const Node& each) { subscription_section().read(r, each, g.subscribe.emplace_back()); });
        }},
       {{"on_message", "what each answers", nullptr, &reaction_section().info(), true},
        [](YamlReader& r, const Node& n, Group& g) {
          r.each(n, 100,
                 [&](const Node& each) { reaction_section().read(r, each, g.on_message.emplace_back()); });
        }},
       {{"will", "of each", nullptr, &will_section().info()},
        [](YamlReader& r, const Node& n, Group& g) { will_section().read(r, n, g.will.emplace()); }},
       {{"read_delay", "a slow consumer: how long each takes over a message before it reads on", nullptr,
         &think_section().info()},
        [](YamlReader& r, const Node& n, Group& g) { think_section().read(r, n, g.read_delay); }}});
  return section;
}

// --- stages ---

void read_rate_curve(YamlReader& reader, const Node& node, RateCurve& into) {
  if (!node.IsSequence()) {
    if (const auto rate = reader.rate(node)) into = RateCurve::constant(*rate);
    return;
  }
  std::vector<RateCurve::Stretch> stretches;
  for (const auto& item : node) {
    if (!item.IsMap() || stretches.size() >= 1'000) return reader.wrong(item, type::rate_curve);
    RateCurve::Stretch stretch;
    const bool holds = item["hold"].IsDefined() || item["rate"].IsDefined();
    if (!reader.has_only(item, holds ? "a stretch that holds a rate" : "a stretch",
                         holds ? std::vector<std::string>{"hold", "rate"}
                               : std::vector<std::string>{"over", "from", "to", "hold", "rate"})) {
      return;
    }
    if (item["hold"].IsDefined()) {
      const auto length = reader.duration_ms(item["hold"]);
      std::optional<double> rate;
      if (item["rate"].IsDefined()) {
        rate = reader.rate(item["rate"]);
      } else if (!stretches.empty()) {
        rate = stretches.back().to;
      } else {
        reader.error(item, "the first stretch has nothing to hold: say { hold: …, rate: … }");
      }
      if (!length || !rate) return;
      stretch = {*length, *rate, *rate};
    } else {
      if (!item["over"].IsDefined() || !item["from"].IsDefined() || !item["to"].IsDefined()) {
        return reader.wrong(item, type::rate_curve);
      }
      const auto over = reader.duration_ms(item["over"]);
      const auto from = reader.rate(item["from"]), to = reader.rate(item["to"]);
      if (!over || !from || !to) return;
      stretch = {*over, *from, *to};
    }
    stretches.push_back(stretch);
  }
  if (stretches.empty()) return reader.wrong(node, type::rate_curve);
  into = RateCurve(std::move(stretches));
}

using InConnect = In<ConnectStep>;
const Section<InConnect>& connect_section() {
  static const Section<InConnect> section(
      "connect", "connect",
      {{{"group", "who", &type::names, nullptr, false, true},
        [](YamlReader& r, const Node& n, InConnect& s) { s.value.groups = s.draft.groups(r, n); }},
       {{"over", "spread over this long; all at once if nothing is said", &type::duration},
        [](YamlReader& r, const Node& n, InConnect& s) { set(s.value.over_ms, r.duration_ms(n)); }},
       {{"shape",
         "linear if nothing is said: evenly; poisson: at random; step: in ten heaps; front_loaded: half "
         "of them in the first fifth",
         &type::shape},
        [](YamlReader& r, const Node& n, InConnect& s) {
          if (const auto shape = r.choice(n, {"linear", "poisson", "step", "front_loaded"}, type::shape)) {
            s.value.shape = static_cast<Shape>(*shape);
          }
        }}});
  return section;
}

using InDisconnect = In<DisconnectStep>;
const Section<InDisconnect>& disconnect_section() {
  static const Section<InDisconnect> section(
      "disconnect", "disconnect",
      {{{"group", "who", &type::names, nullptr, false, true},
        [](YamlReader& r, const Node& n, InDisconnect& s) { s.value.groups = s.draft.groups(r, n); }},
       {{"over", "spread over this long; all at once if nothing is said", &type::duration},
        [](YamlReader& r, const Node& n, InDisconnect& s) { set(s.value.over_ms, r.duration_ms(n)); }},
       {{"share", "of the group; all if nothing is said", &type::share},
        [](YamlReader& r, const Node& n, InDisconnect& s) { set(s.value.share, r.share(n)); }}});
  return section;
}

using InPick = In<Pick>;
const Section<InPick>& pick_section() {
  static const Section<InPick> section(
      "pick", "pick",
      {{{"from", "the group whose clients' numbers {pick} takes", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, InPick& p) { set(p.value.group, p.draft.group(r, n)); }},
       {{"distribution", "uniform if nothing is said; zipf: few get most; sequential: in turn",
         &type::distribution},
        [](YamlReader& r, const Node& n, InPick& p) {
          if (const auto kind = r.choice(n, {"uniform", "zipf", "sequential"}, type::distribution)) {
            p.value.distribution = static_cast<Distribution>(*kind);
          }
        }},
       {{"exponent", "of zipf; 1 if nothing is said", &type::number},
        [](YamlReader& r, const Node& n, InPick& p) { set(p.value.exponent, r.number(n, 0.01, 10)); }}});
  return section;
}

const Section<ExpectReply>& reply_section() {
  static const Section<ExpectReply> section(
      "expect_reply", "expect_reply",
      {{{"topic", "of the reply", &type::filled_text, nullptr, false, true},
        [](YamlReader& r, const Node& n, ExpectReply& e) { set(e.topic, r.filled_text(n)); }},
       {{"within", "a reply that takes longer is missing", &type::duration, nullptr, false, true},
        [](YamlReader& r, const Node& n, ExpectReply& e) { set(e.within_ms, r.duration_ms(n)); }}});
  return section;
}

using InPublish = In<PublishStep>;
const Section<InPublish>& publish_section() {
  static const Section<InPublish> section(
      "publish", "publish",
      {{{"group", "who", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, InPublish& s) { set(s.value.group, s.draft.group(r, n)); }},
       {{"rate", "of the whole group: 200/s, or stretches in a row", &type::rate_curve, nullptr, false, true},
        [](YamlReader& r, const Node& n, InPublish& s) { read_rate_curve(r, n, s.value.rate); }},
       {{"topic", "where to; {n} is the publisher's number, {pick} the picked client's", &type::filled_text,
         nullptr, false, true},
        [](YamlReader& r, const Node& n, InPublish& s) { set(s.value.topic, r.filled_text(n)); }},
       {{"pick", "a client for each message", nullptr, &pick_section().info()},
        [](YamlReader& r, const Node& n, InPublish& s) {
          InPick pick{s.draft, s.value.pick.emplace()};
          pick_section().read(r, n, pick);
        }},
       {{"qos", "0 if nothing is said", &type::qos},
        [](YamlReader& r, const Node& n, InPublish& s) { read_qos(r, n, s.value.qos); }},
       {{"retain", "false if nothing is said", &type::flag},
        [](YamlReader& r, const Node& n, InPublish& s) { set(s.value.retain, r.flag(n)); }},
       {{"payload", "64 bytes if nothing is said", &type::payload},
        [](YamlReader& r, const Node& n, InPublish& s) { read_payload(r, n, s.value.payload); }},
       {{"expect_reply", "a message of the receiver that names this one's id", nullptr,
         &reply_section().info()},
        [](YamlReader& r, const Node& n, InPublish& s) {
          reply_section().read(r, n, s.value.expect_reply.emplace());
        }},
       {{"count", "ends after so many", &type::count},
        [](YamlReader& r, const Node& n, InPublish& s) { set(s.value.count, r.count(n, 1, UINT64_MAX)); }}});
  return section;
}

using InFlap = In<FlapStep>;
const Section<InFlap>& flap_section() {
  static const Section<InFlap> section(
      "flap", "flap",
      {{{"group", "who", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, InFlap& s) { set(s.value.group, s.draft.group(r, n)); }},
       {{"share", "of the group", &type::share, nullptr, false, true},
        [](YamlReader& r, const Node& n, InFlap& s) { set(s.value.share, r.share(n)); }},
       {{"up", "how long each stays connected", &type::duration_range, nullptr, false, true},
        [](YamlReader& r, const Node& n, InFlap& s) { set(s.value.up, r.duration_range(n)); }},
       {{"down", "how long each stays away", &type::duration_range, nullptr, false, true},
        [](YamlReader& r, const Node& n, InFlap& s) { set(s.value.down, r.duration_range(n)); }},
       {{"how", "tcp_reset; silent: as if the network had gone; disconnect: in order. One of them at random",
         &type::flap_how},
        [](YamlReader& r, const Node& n, InFlap& s) {
          r.each(n, 3, [&](const Node& each) {
            if (const auto how = r.choice(each, {"tcp_reset", "silent", "disconnect"}, type::flap_how)) {
              s.value.how.push_back(static_cast<FlapHow>(*how));
            }
          });
        }}});
  return section;
}

using InStep = In<std::vector<Step>>;
template <typename Kind>
void read_step(YamlReader& reader, const Node& node, InStep& steps, const Section<In<Kind>>& section) {
  Kind kind;
  In<Kind> in{steps.draft, kind};
  section.read(reader, node, in);
  steps.value.push_back({std::move(kind), YamlReader::place_of(node)});
}
const Section<InStep>& step_section() {
  static const Section<InStep> section(
      "a step", "step",
      {{{"connect", "connects clients, and subscribes them", nullptr, &connect_section().info()},
        [](YamlReader& r, const Node& n, InStep& s) { read_step(r, n, s, connect_section()); }},
       {{"disconnect", "disconnects them in order", nullptr, &disconnect_section().info()},
        [](YamlReader& r, const Node& n, InStep& s) { read_step(r, n, s, disconnect_section()); }},
       {{"publish", "messages, each at its time", nullptr, &publish_section().info()},
        [](YamlReader& r, const Node& n, InStep& s) { read_step(r, n, s, publish_section()); }},
       {{"flap", "clients that go and come back, until the stage ends", nullptr, &flap_section().info()},
        [](YamlReader& r, const Node& n, InStep& s) { read_step(r, n, s, flap_section()); }}});
  return section;
}

using InUntil = In<Until>;
const Section<InUntil>& until_section() {
  static const Section<InUntil> section(
      "until", "until",
      {{{"connected", "so many of them are connected and subscribed", &type::share},
        [](YamlReader& r, const Node& n, InUntil& u) { set(u.value.share, r.share(n)); }},
       {{"group", "of this group; of all if nothing is said", &type::text},
        [](YamlReader& r, const Node& n, InUntil& u) { u.value.group = u.draft.group(r, n); }},
       {{"drained", "true: whatever is owed to connected clients has arrived", &type::flag},
        [](YamlReader& r, const Node& n, InUntil& u) {
          if (r.flag(n) == true) u.value.what = Until::What::drained;
        }}});
  return section;
}

using InStage = In<Stage>;
const Section<InStage>& stage_section() {
  static const Section<InStage> section(
      "a stage", "stage",
      {{{"name", "for thresholds and report", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, InStage& s) {
          s.value.place = YamlReader::place_of(n);
          set(s.value.name, r.name(n));
        }},
       {{"duration", "how long it lasts", &type::duration},
        [](YamlReader& r, const Node& n, InStage& s) { s.value.duration_ms = r.duration_ms(n); }},
       {{"timeout", "with `until`: the run fails when it does not hold after this long", &type::duration},
        [](YamlReader& r, const Node& n, InStage& s) { s.value.timeout_ms = r.duration_ms(n); }},
       {{"steps", "they run together", nullptr, &step_section().info(), true},
        [](YamlReader& r, const Node& n, InStage& s) {
          InStep steps{s.draft, s.value.steps};
          r.each(n, kStepsMax, [&](const Node& each) {
            if (each.IsMap() && each.size() != 1) {
              return r.error(
                  each,
                  "expected one step: { connect: … }, { disconnect: … }, { publish: … } or { flap: … }");
            }
            step_section().read(r, each, steps);
          });
        }},
       {{"until", "ends the stage when it holds", nullptr, &until_section().info()},
        [](YamlReader& r, const Node& n, InStage& s) {
          InUntil until{s.draft, s.value.until.emplace()};
          until_section().read(r, n, until);
          if (n.IsMap() && n["drained"].IsDefined() == n["connected"].IsDefined()) {
            r.error(n, fmt::format("expected one of {}", type::until_what.expected));
          }
        }}});
  return section;
}

const Section<Output>& output_section() {
  static const Section<Output> section(
      "output", "output",
      {{{"html", "a report as one file, with plots", &type::text},
        [](YamlReader& r, const Node& n, Output& o) { set(o.html, r.name(n)); }},
       {{"json", "everything that was measured", &type::text},
        [](YamlReader& r, const Node& n, Output& o) { set(o.json, r.name(n)); }}});
  return section;
}

}  // namespace

const Section<Jwt>& jwt_section() {
  static const Section<Jwt> section(
      "jwt", "jwt",
      {{{"alg", "HS256", &type::text},
        [](YamlReader& r, const Node& n, Jwt& j) {
          static const ValueType expected{"HS256", ""};
          if (r.choice(n, {"HS256"}, expected)) j.algorithm = "HS256";
        }},
       {{"key_env", "the environment variable that holds the key", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, Jwt& j) { set(j.key_env, r.name(n)); }},
       {{"claims", "names and values; iat and exp come by themselves", &type::vars},
        [](YamlReader& r, const Node& n, Jwt& j) {
          if (!n.IsMap() || n.size() > 100) return r.wrong(n, type::vars);
          for (const auto& claim : n) {
            auto name = r.text(claim.first);
            auto value = r.filled_text(claim.second);
            if (name && value) j.claims.emplace_back(std::move(*name), std::move(*value));
          }
        }},
       {{"ttl", "how long a token is good; 1h if nothing is said", &type::duration},
        [](YamlReader& r, const Node& n, Jwt& j) { set(j.ttl_ms, r.duration_ms(n)); }}});
  return section;
}

std::optional<size_t> Draft::group(YamlReader& reader, const Node& node) const {
  const auto name = reader.text(node);
  if (!name) return std::nullopt;
  std::vector<std::string> known;
  for (size_t i = 0; i < scenario.groups.size(); ++i) {
    if (scenario.groups[i].name == *name) return i;
    known.push_back(scenario.groups[i].name);
  }
  reader.error(node, fmt::format("there is no group \"{}\"{}", shown(*name, kShownWordMax),
                                 did_you_mean(*name, known)));
  return std::nullopt;
}

std::vector<size_t> Draft::groups(YamlReader& reader, const Node& node) const {
  std::vector<size_t> found;
  if (node.IsSequence() && node.size() == 0) reader.wrong(node, type::names);
  reader.each(node, kGroupsMax, [&](const Node& each) {
    const auto index = group(reader, each);
    if (index && std::find(found.begin(), found.end(), *index) == found.end()) found.push_back(*index);
  });
  return found;
}

std::optional<size_t> Draft::stage(std::string_view name) const {
  for (size_t i = 0; i < scenario.stages.size(); ++i) {
    if (scenario.stages[i].name == name) return i;
  }
  return std::nullopt;
}

const Section<Draft>& scenario_section() {
  static const Section<Draft> section(
      "a scenario", "scenario",
      {{{"courier_load", "1: the version of this format", &type::count, nullptr, false, true},
        [](YamlReader& r, const Node& n, Draft&) { (void)r.count(n, 1, 1); }},
       {{"name", "for people", &type::text, nullptr, false, true},
        [](YamlReader& r, const Node& n, Draft& d) { set(d.scenario.name, r.name(n)); }},
       {{"seed", "same seed: same clients, jitter, picks and flappers; 1 if nothing is said", &type::seed},
        [](YamlReader& r, const Node& n, Draft& d) { set(d.scenario.seed, r.count(n, 0, UINT64_MAX)); }},
       {{"vars", "values for ${name}; --set name=value changes them", &type::vars},
        [](YamlReader&, const Node&, Draft&) {}},  // read first: scenario_file.cc
       {{"target", "what is tested", nullptr, &target_section().info(), false, true},
        [](YamlReader& r, const Node& n, Draft& d) { target_section().read(r, n, d.scenario.target); }},
       {{"groups", "the clients, by the group's name", nullptr, &group_section().info(), false, true},
        [](YamlReader& r, const Node& n, Draft& d) {
          if (!n.IsMap() || n.size() == 0)
            return r.error(n, "expected groups by their names: { phones: { … } }");
          if (n.size() > kGroupsMax) return r.error(n, fmt::format("more than {} groups", kGroupsMax));
          for (const auto& entry : n) {
            auto name = r.name(entry.first);
            if (!name) continue;
            Group group;
            group.name = *name;
            group.place = YamlReader::place_of(entry.first);
            if (const auto id = TextTemplate::parse(*name + "-{n}")) group.client_id = *id;
            for (const Group& other : d.scenario.groups) {
              if (other.name == *name) r.error(entry.first, fmt::format("\"{}\" stands here twice", *name));
            }
            group_section().read(r, entry.second, group);
            d.scenario.groups.push_back(std::move(group));
          }
        }},
       {{"stages", "what happens, one after the other", nullptr, &stage_section().info(), true, true},
        [](YamlReader& r, const Node& n, Draft& d) {
          r.each(n, kStagesMax, [&](const Node& each) {
            Stage stage;
            InStage in{d, stage};
            stage_section().read(r, each, in);
            if (d.stage(stage.name))
              r.error(each, fmt::format("there is a stage \"{}\" already", stage.name));
            if (stage.name == "all")
              r.error(each, "\"all\" stands for all stages in thresholds; take another name");
            d.scenario.stages.push_back(std::move(stage));
          });
        }},
       {{"thresholds", "what must hold for the run to pass", nullptr, &threshold_info(), true},
        read_thresholds},
       {{"drain", "how long the end waits for what is on its way, 3s at least; 10s if nothing is said",
         &type::duration},
        [](YamlReader& r, const Node& n, Draft& d) { set(d.scenario.drain_ms, r.duration_ms(n)); }},
       {{"lag_max",
         "how late the generator itself may be, as generator.lag p99, for the result to be valid; 100ms if "
         "nothing "
         "is said. More is for runs that judge counts and no times",
         &type::duration},
        [](YamlReader& r, const Node& n, Draft& d) { set(d.scenario.lag_ms_max, r.duration_ms(n)); }},
       {{"output", "files to write", nullptr, &output_section().info()},
        [](YamlReader& r, const Node& n, Draft& d) { output_section().read(r, n, d.scenario.output); }}});
  return section;
}

}  // namespace courier::load
