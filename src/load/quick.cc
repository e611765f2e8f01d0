#include "load/quick.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace courier::load {

namespace {

// A JSON string is one of YAML's.
std::string yaml_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// emqtt-bench's %i is our {n}; our own braces are none.
std::string template_of(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "%i") {
      out += "{n}";
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Writer {
  const QuickOptions& o;
  std::string out;

  void line(std::string_view text) { out.append(text).append("\n"); }

  // Seconds for that many connections.
  std::string over(uint64_t clients) const {
    return fmt::format("{}ms", std::llround(std::ceil(static_cast<double>(clients) / o.connect_rate * 1e3)));
  }
  uint64_t publishers() const {
    switch (o.kind) {
      case QuickKind::pub:
      case QuickKind::fanin:
        return o.count;
      case QuickKind::p2p:
      case QuickKind::offline:
        return std::clamp<uint64_t>(o.count / 50, 1, 100);
      case QuickKind::fanout:
        return 1;
      case QuickKind::conn:
      case QuickKind::sub:
        return 0;
    }
    return 0;
  }
  // What each of `count` (or, one to one, each receiver) gets or sends every interval.
  double rate() const {
    if (o.rate) return *o.rate;
    const bool per_client = o.kind == QuickKind::p2p || o.kind == QuickKind::offline;
    return static_cast<double>(per_client ? o.count : publishers()) * 1e3 / o.interval_ms;
  }

  void group(std::string_view name, uint64_t count, std::string_view more) {
    line(fmt::format("  {}:", name));
    line(fmt::format("    count: {}", count));
    line(fmt::format("    client_id: {}", yaml_quoted(fmt::format("{}-{}-{{n}}", o.prefix, name))));
    if (!o.username.empty()) line(fmt::format("    username: {}", yaml_quoted(template_of(o.username))));
    if (!o.password.empty()) line(fmt::format("    password: {}", yaml_quoted(template_of(o.password))));
    const bool stored = o.kind == QuickKind::offline && name == "receivers";
    line(fmt::format("    mqtt: {{ version: \"{}\", clean_session: {}, keepalive: {}s }}", o.version,
                     stored ? "false" : "true", o.keep_alive_s));
    if (!more.empty()) line(more);
  }
  void connect_stage(std::string_view groups, uint64_t clients) {
    line("  - name: connect");
    line(fmt::format("    timeout: {}s",
                     60 + static_cast<int64_t>(static_cast<double>(clients) / o.connect_rate)));
    line(fmt::format("    steps: [ {{ connect: {{ group: [{}], over: {} }} }} ]", groups, over(clients)));
    line("    until: { connected: 100% }");
  }
  void publish_step(std::string_view group, std::string_view topic, std::string_view more) {
    line(fmt::format(
        "      - publish: {{ group: {}, rate: {:.10g}/s, topic: {}, qos: {}, payload: {{ size: {}B }}{}{} }}",
        group, rate(), yaml_quoted(topic), o.qos, o.size_bytes, more,
        o.limit ? fmt::format(", count: {}", *o.limit) : ""));
  }
  void publish_stage(std::string_view topic, std::string_view pick) {
    line("  - name: publish");
    lasts();
    line("    steps:");
    publish_step("senders", topic, pick);
  }
  // Until all are sent, or for the time that was asked for.
  void lasts() {
    if (!o.limit) line(fmt::format("    duration: {}s", o.duration_s));
  }
};

}  // namespace

std::string quick_scenario(const QuickOptions& o) {
  Writer w{o, {}};
  const QuickInfo& info = *std::find_if(kQuickKinds.begin(), kQuickKinds.end(),
                                        [&](const QuickInfo& i) { return i.kind == o.kind; });
  const std::string topic = template_of(o.topic.value_or(fmt::format("{}/{}", o.prefix, info.name)));
  w.line("courier_load: 1");
  w.line(fmt::format("name: quick {}", info.name));
  w.line(fmt::format("seed: {}", o.seed));
  if (o.lag_ms_max) w.line(fmt::format("lag_max: {}ms", *o.lag_ms_max));
  w.line("target:");
  w.line(fmt::format("  brokers: [ {} ]", yaml_quoted(o.broker)));
  if (o.proxy_protocol != "none") w.line(fmt::format("  proxy_protocol: {}", o.proxy_protocol));
  if (!o.sources.empty()) w.line(fmt::format("  sources: {}", yaml_quoted(o.sources)));
  w.line("groups:");
  const auto subscribe = [&](std::string_view filter) {
    return fmt::format("    subscribe: [ {{ topic: {}, qos: {} }} ]", yaml_quoted(filter), o.qos);
  };
  const uint64_t publishers = w.publishers();
  const std::string own = topic + "/{n}";
  switch (o.kind) {
    case QuickKind::conn:
      w.group("clients", o.count, "");
      w.line("stages:");
      w.connect_stage("clients", o.count);
      w.line("  - name: hold");
      w.line(fmt::format("    duration: {}s", o.duration_s));
      break;
    case QuickKind::sub:
      w.group("receivers", o.count, subscribe(topic));
      w.line("stages:");
      w.connect_stage("receivers", o.count);
      w.line("  - name: listen");
      w.line(fmt::format("    duration: {}s", o.duration_s));
      break;
    case QuickKind::pub:
      w.group("senders", publishers, "");
      w.line("stages:");
      w.connect_stage("senders", publishers);
      w.publish_stage(topic, "");
      break;
    case QuickKind::p2p:
      w.group("receivers", o.count, subscribe(own));
      w.group("senders", publishers, "");
      w.line("stages:");
      w.connect_stage("receivers, senders", o.count + publishers);
      w.publish_stage(topic + "/{pick}", ", pick: { from: receivers, distribution: sequential }");
      break;
    case QuickKind::fanout:
      w.group("receivers", o.count, subscribe(topic));
      w.group("senders", publishers, "");
      w.line("stages:");
      w.connect_stage("receivers, senders", o.count + publishers);
      w.publish_stage(topic, "");
      break;
    case QuickKind::fanin:
      w.group("receivers", o.receivers, subscribe(fmt::format("$share/{}/{}/+", o.prefix, topic)));
      w.group("senders", publishers, "");
      w.line("stages:");
      w.connect_stage("receivers, senders", o.receivers + publishers);
      w.publish_stage(own, "");
      break;
    case QuickKind::offline:
      w.group("receivers", o.count, subscribe(own));
      w.group("senders", publishers, "");
      w.line("stages:");
      w.connect_stage("receivers, senders", o.count + publishers);
      w.line("  - name: leave");
      w.line(
          fmt::format("    steps: [ {{ disconnect: {{ group: receivers, over: {} }} }} ]", w.over(o.count)));
      w.publish_stage(topic + "/{pick}", ", pick: { from: receivers, distribution: sequential }");
      w.line("  - name: fetch");
      w.line("    timeout: 120s");
      w.line(fmt::format("    steps: [ {{ connect: {{ group: receivers, over: {} }} }} ]", w.over(o.count)));
      w.line("    until: { drained: true }");
      break;
  }
  w.line("thresholds:");
  w.line("  - all: connect.ok_ratio >= 99.9%");
  if (publishers > 0 && o.qos > 0) w.line("  - all: publish.ack_ratio >= 99.9%");
  if (publishers > 0 && o.kind != QuickKind::pub) w.line("  - all: delivery.lost == 0");
  return w.out;
}

}  // namespace courier::load
