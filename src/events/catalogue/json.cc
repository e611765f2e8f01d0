#include "events/catalogue/json.h"

#include <array>
#include <charconv>

#include "base/base64.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "events/catalogue/fields.h"

namespace courier::events {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr bool is_plain(char c) {
  return c >= ' ' && c < '\x7F' && c != '"' && c != '\\';
}

void append_number(std::string& out, uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_pair(std::string& out, std::string_view pair) {
  out.push_back('{');
  FieldReader reader(pair);
  bool first = true;
  while (const auto value = reader.next()) {
    if (!value->is_text || value->number < 1 || value->number > 2) continue;
    out.append(first ? "" : ",").append(value->number == 1 ? "\"name\":" : "\"value\":");
    first = false;
    append_json_text(out, value->text);
  }
  out.push_back('}');
}

void append_value(std::string& out, Shape shape, const FieldValue& value) {
  switch (shape) {
    case Shape::text:
    case Shape::texts:
      return append_json_text(out, value.text);
    case Shape::pairs:
      return append_pair(out, value.text);
    case Shape::bytes:
      out.push_back('"');
      append_base64(out, value.text);
      out.push_back('"');
      return;
    case Shape::flag:
      out.append(value.value != 0 ? "true" : "false");
      return;
    case Shape::number:
    case Shape::numbers:
      return append_number(out, value.value);
    case Shape::big:
      out.push_back('"');
      append_number(out, value.value);
      out.push_back('"');
      return;
  }
}

bool is_list(Shape shape) {
  return shape == Shape::texts || shape == Shape::numbers || shape == Shape::pairs;
}
bool written_as_text(Shape shape) {
  return shape != Shape::flag && shape != Shape::number && shape != Shape::big;
}

void append_numbers(std::string& out, std::string_view packed) {
  bool first = true;
  while (const auto value = take_varint(packed)) {
    if (!first) out.push_back(',');
    first = false;
    append_number(out, *value);
  }
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    if (static_cast<uint8_t>(c) >= 0x7F) {
      const Utf8Character character = first_utf8(text);
      out.append(character.valid ? text.substr(0, character.size) : kReplacement);
      text.remove_prefix(character.size);
      continue;
    }
    out.push_back('\\');
    if (c == '"' || c == '\\') {
      out.push_back(c);
    } else if (c == '\n') {
      out.push_back('n');
    } else {
      out.append("u00");
      out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
      out.push_back(kHex[c & 15]);
    }
    text.remove_prefix(1);
  }
  out.push_back('"');
}

void append_json(std::string& out, std::string_view event) {
  FieldReader reader(event);
  out.push_back('{');
  bool first = true;
  uint32_t list = 0;  // number of the one that is open
  while (const auto value = reader.next()) {
    const FieldInfo* field = find_field(value->number);
    if (!field || written_as_text(field->shape) != value->is_text) continue;
    if (list != 0 && list != value->number) {
      out.push_back(']');
      list = 0;
    }
    if (!first) out.push_back(',');
    first = false;
    if (list == 0) {
      out.push_back('"');
      out.append(field->name);
      out.append("\":");
      if (is_list(field->shape)) {
        out.push_back('[');
        list = value->number;
      }
    }
    if (field->shape == Shape::numbers) {
      append_numbers(out, value->text);
    } else {
      append_value(out, field->shape, *value);
    }
  }
  if (list != 0) out.push_back(']');
  out.push_back('}');
}

}  // namespace courier::events
