#include "events/compose.h"

#include <array>
#include <charconv>

#include "base/text.h"
#include "events/catalogue/fields.h"
#include "mqtt/properties.h"

namespace courier::events {
namespace {

constexpr int64_t kNsPerMillisecond = 1'000'000;

// Room for what is written around an event's own fields.
constexpr size_t kHeadBytes = 64;

std::string_view decimal(uint64_t number, std::array<char, 20>& digits) {
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), static_cast<size_t>(end - digits.data())};
}

// Version 00: 2, 32, 16 and 2 hex digits between hyphens.
bool is_traceparent(std::string_view text) {
  if (text.size() < 55) return false;
  for (size_t i = 0; i < 55; ++i) {
    const bool hyphen = i == 2 || i == 35 || i == 52;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (hyphen ? c != '-' : !hex) return false;
  }
  // A later version may have more behind another hyphen; 00 has not; ff there is not.
  if (text.starts_with("ff") || (text.size() > 55 && (text.starts_with("00") || text[55] != '-')))
    return false;
  return text.substr(3, 32).find_first_not_of('0') != std::string_view::npos &&
         text.substr(36, 16).find_first_not_of('0') != std::string_view::npos;
}

void put_properties(FieldWriter& out, const mqtt::Message& message) {
  if (message.properties.empty()) return;
  if (const auto text = mqtt::content_type(message.properties)) out.text(Field::content_type, *text);
  if (const auto text = mqtt::response_topic(message.properties)) out.text(Field::response_topic, *text);
  if (const auto bytes = mqtt::correlation_data(message.properties))
    out.text(Field::correlation_data, *bytes);
  for (const auto& [name, value] : mqtt::user_properties(message.properties))
    out.pair(Field::user_properties, name, value);
}

}  // namespace

Subject Subject::of(const record::Record& record, Position position) {
  Subject subject{position, {}, {}};
  if (const auto* publish = std::get_if<record::Publish>(&record)) subject.message = publish->message;
  if (const auto* attach = std::get_if<record::Attach>(&record); attach && !attach->resumed()) {
    subject.created =
        record::session_created_at(position, record::session_hash(attach->mountpoint, attach->client_id));
  }
  return subject;
}

std::string session_text(SessionId session) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 0; i < 16; ++i) text[i] = kHex[session.value >> (4 * (15 - i)) & 15];
  return text;
}

std::string_view traceparent_of(const mqtt::Message& message) {
  if (message.properties.empty()) return {};
  for (const auto& [name, value] : mqtt::user_properties(message.properties)) {
    if (name == "traceparent") return is_traceparent(value) ? value : std::string_view();
  }
  return {};
}

void put_message(std::string& fields, const mqtt::Message& message, bool payload) {
  FieldWriter out(fields);
  out.text(Field::topic, message.topic);
  if (payload) out.text(Field::payload, message.payload);
  if (message.publisher) out.text(Field::publisher_session_id, session_text(message.publisher));
  out.text(Field::traceparent, traceparent_of(message));
}

std::string compose(const record::Event& event, Kind kind, Position position, WallMs clock,
                    const Subject& subject, bool payloads) {
  std::string bytes;
  const mqtt::Message* message = kind == Kind::publish ? subject.message.get() : nullptr;
  bytes.reserve(
      kHeadBytes + event.fields.size() +
      (message ? message->topic.size() + message->properties.size() + (payloads ? message->payload.size() : 0)
               : 0));
  std::array<char, 20> digits;
  FieldWriter out(bytes);
  out.text(Field::id, decimal(position.value, digits));
  out.text(Field::kind, info(kind).name);
  out.number(Field::time_ns, static_cast<uint64_t>(clock * kNsPerMillisecond));
  bytes += event.fields;
  if (kind == Kind::connect && subject.created) out.text(Field::session_id, session_text(subject.created));
  if (!message) return bytes;
  out.number(Field::message_id, subject.position.value);
  out.text(Field::topic, message->topic);
  out.number(Field::qos, static_cast<uint64_t>(message->qos));
  out.flag(Field::retain, message->retain);
  if (payloads) out.text(Field::payload, message->payload);
  put_properties(out, *message);
  out.text(Field::traceparent, traceparent_of(*message));
  return bytes;
}

std::string compose_noted(Kind kind, std::string_view fields, std::string_view run, uint64_t number,
                          WallMs clock) {
  std::string bytes;
  bytes.reserve(kHeadBytes + run.size() + fields.size());
  std::array<char, 20> digits;
  std::string id(run);
  id += '.';
  id += decimal(number, digits);
  FieldWriter(bytes)
      .text(Field::id, id)
      .text(Field::kind, info(kind).name)
      .number(Field::time_ns, static_cast<uint64_t>(clock * kNsPerMillisecond))
      .flag(Field::best_effort, true);
  bytes += fields;
  return bytes;
}

}  // namespace courier::events
