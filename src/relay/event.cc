#include "relay/event.h"

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"

namespace courier::relay {

using events::Field;
using events::Shape;

struct Event::Parsed {
  nlohmann::json object;
};

namespace {

bool is_json(const kafka::Message& message, Format format) {
  switch (format) {
    case Format::protobuf:
      return false;
    case Format::json:
      return true;
    case Format::automatic:
      break;
  }
  const std::string* type = message.header("content-type");
  if (type && type->find("json") != std::string::npos) return true;
  if (type && type->find("protobuf") != std::string::npos) return false;
  return message.value.starts_with('{');
}

bool is_number(Shape shape) {
  return shape == Shape::flag || shape == Shape::number || shape == Shape::big;
}

}  // namespace

bool is_scalar(Shape shape) {
  return is_number(shape) || shape == Shape::text || shape == Shape::bytes;
}

std::optional<Event> Event::read(const kafka::Message& message, Format format) {
  Event event(message.value);
  const bool good = is_json(message, format) ? event.read_json() : event.read_protobuf();
  // Every event has these; other bytes may look like a message by chance.
  if (!good || event.text(Field::id).empty() || event.text(Field::kind).empty()) return std::nullopt;
  return event;
}

bool Event::read_protobuf() {
  events::FieldReader reader(bytes_);
  while (const auto value = reader.next()) {
    const events::FieldInfo* info = events::find_field(value->number);
    if (!info) continue;
    if (is_number(info->shape) == value->is_text) return false;
    if (is_scalar(info->shape)) values_[value->number] = {true, value->text, value->value};
  }
  return reader.ok();
}

bool Event::read_json() {
  auto parsed = std::make_shared<Parsed>(nlohmann::json::parse(bytes_, nullptr, false));
  if (!parsed->object.is_object()) return false;
  for (const events::FieldInfo& info : events::fields()) {
    const auto found = parsed->object.find(info.name);
    if (found == parsed->object.end() || found->is_null() || !is_scalar(info.shape)) continue;
    Value value{.is_there = true};
    if (found->is_string()) value.text = found->get_ref<const std::string&>();
    if (is_number(info.shape)) {
      // Numbers of 64 bits are texts in protobuf's JSON, and may be numbers, too.
      if (found->is_boolean()) {
        value.number = found->get<bool>() ? 1 : 0;
      } else if (found->is_number_unsigned()) {
        value.number = found->get<uint64_t>();
      } else {
        const char* end = value.text.data() + value.text.size();
        const auto [at, error] = std::from_chars(value.text.data(), end, value.number);
        if (!found->is_string() || error != std::errc() || at != end) return false;
      }
    } else if (!found->is_string()) {
      return false;
    }
    values_[index(info.field)] = value;
  }
  parsed_ = std::move(parsed);
  return true;
}

void Event::append_value(std::string& out, Field field) const {
  const Value& value = values_[index(field)];
  if (!value.is_there) return;
  switch (events::info(field).shape) {
    case Shape::text:
      out += value.text;
      return;
    case Shape::bytes:
      if (parsed_) {
        out += value.text;
      } else {
        append_base64(out, value.text);
      }
      return;
    case Shape::flag:
      out += value.number != 0 ? "true" : "false";
      return;
    case Shape::number:
    case Shape::big:
      fmt::format_to(std::back_inserter(out), "{}", value.number);
      return;
    case Shape::texts:
    case Shape::numbers:
    case Shape::pairs:
      return;
  }
}

void Event::append_json(std::string& out) const {
  if (parsed_) {
    out += bytes_;
  } else {
    events::append_json(out, bytes_);
  }
}

}  // namespace courier::relay
