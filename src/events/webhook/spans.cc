#include "events/webhook/spans.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"

namespace courier::events::webhook {
namespace {

// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", which compose.h found to be one.
struct Context {
  std::string_view trace, parent;
  bool sampled = false;

  explicit Context(std::string_view traceparent) {
    if (traceparent.size() < 55) return;
    trace = traceparent.substr(3, 32);
    parent = traceparent.substr(36, 16);
    const char flags = traceparent[54];
    const int digit = flags >= 'a' ? flags - 'a' + 10 : flags - '0';
    sampled = (digit & 1) != 0;
  }
};

// What all events of one message, or the one of a connection, have in common.
std::string subject_of(const Event& event) {
  const auto message = find(event.bytes, Field::message_id);
  if (message) return fmt::format("message {}", message->value);
  return fmt::format("event {}", text_of(event.bytes, Field::id));
}

uint64_t hash_of(std::string_view text) {
  return ::XXH3_64bits(text.data(), text.size());
}

// Never of zeros only, which would be none.
std::string span_id(std::string_view text) {
  return fmt::format("{:016x}", hash_of(text) | 1);
}

std::string_view name_of(Kind kind) {
  return kind == Kind::delivery_complete ? "ack" : info(kind).name;
}

// SpanKind of trace.proto: server, producer, consumer.
int kind_of_span(Kind kind) {
  return kind == Kind::connect ? 2 : kind == Kind::publish ? 4 : 5;
}

void append_span(std::string& out, const Event& event) {
  const std::string subject = subject_of(event);
  const Context context(text_of(event.bytes, Field::traceparent));
  const auto number = [&](Field field) {
    const auto value = find(event.bytes, field);
    return value ? value->value : 0;
  };
  std::string trace(context.trace);
  if (!context.sampled) {
    const XXH128_hash_t hash = ::XXH3_128bits(subject.data(), subject.size());
    trace = fmt::format("{:016x}{:016x}", hash.high64, hash.low64 | 1);
  }
  const bool is_first = event.kind == Kind::publish || event.kind == Kind::connect;
  const std::string id =
      span_id(is_first ? subject : fmt::format("event {}", text_of(event.bytes, Field::id)));
  std::string parent;
  if (!is_first) parent = span_id(subject);
  if (event.kind == Kind::publish && context.sampled) parent = context.parent;
  const uint64_t end = number(Field::time_ns), start = end - std::min(end, number(Field::latency_ns));

  fmt::format_to(std::back_inserter(out),
                 R"({{"traceId":"{}","spanId":"{}","parentSpanId":"{}","name":"{}","kind":{},)", trace, id,
                 parent, name_of(event.kind), kind_of_span(event.kind));
  fmt::format_to(std::back_inserter(out), R"("startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)",
                 start, end);
  out += R"({"key":"messaging.system","value":{"stringValue":"mqtt"}})";
  const auto attribute = [&](std::string_view key, Field field) {
    const auto value = find(event.bytes, field);
    if (!value) return;
    fmt::format_to(std::back_inserter(out), R"(,{{"key":"{}","value":{{"stringValue":)", key);
    append_json_text(out, value->is_text ? std::string(value->text) : std::to_string(value->value));
    out += "}}";
  };
  attribute("messaging.client.id", Field::client_id);
  attribute("messaging.destination.name", Field::topic);
  attribute("messaging.message.id", Field::message_id);
  attribute("courier.event.id", Field::id);
  attribute("courier.node", Field::node);
  attribute("courier.label", Field::label);
  attribute("network.peer.address", Field::peer);
  out += "]}";
}

}  // namespace

bool is_span(const Event& event, double part) {
  switch (event.kind) {
    case Kind::connect:
    case Kind::publish:
    case Kind::deliver:
    case Kind::delivery_complete:
      break;
    default:
      return false;
  }
  const std::string_view traceparent = text_of(event.bytes, Field::traceparent);
  if (!traceparent.empty()) return Context(traceparent).sampled;
  constexpr double kAll = 4294967296.0;
  return static_cast<double>(hash_of(subject_of(event)) >> 32) < part * kAll;
}

std::string spans_json(std::span<const EventPtr> events) {
  std::string out =
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"courierd"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"courier"},"spans":[)";
  bool first = true;
  for (const EventPtr& event : events) {
    if (!first) out += ',';
    first = false;
    append_span(out, *event);
  }
  return out + "]}]}]}";
}

}  // namespace courier::events::webhook
