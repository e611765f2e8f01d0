#include "relay/text_template.h"

#include <algorithm>

#include <fmt/format.h>

#include "config/errc.h"
#include "config/suggest.h"
#include "events/catalogue/json.h"

namespace courier::relay {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

// The name in "{name}" at the front of `text`; empty if none stands there.
std::string_view slot_at(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && ((text[size] >= 'a' && text[size] <= 'z') || text[size] == '_')) ++size;
  if (text.empty() || text[0] != '{' || size == 1 || size == text.size() || text[size] != '}') return {};
  return text.substr(1, size - 1);
}

Result<events::Field> field_of(std::string_view name) {
  std::vector<std::string> known;
  for (const events::FieldInfo& each : events::fields()) {
    if (!is_scalar(each.shape)) continue;
    if (each.name == name) return each.field;
    known.emplace_back(each.name);
  }
  const auto near = config::suggest(name, known);
  return fail(
      config::errc::invalid,
      fmt::format("there is no field {{{0}}} to fill in{1}; the fields stand in events.md, and {{{{{0}}}}} "
                  "is the text {{{0}}} itself",
                  name, near ? fmt::format("; did you mean {{{}}}?", *near) : ""));
}

void append_percent(std::string& out, std::string_view text, bool (*plain)(char)) {
  for (const char c : text) {
    if (plain(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<uint8_t>(c) >> 4];
      out += kHex[c & 15];
    }
  }
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}
bool is_printable(char c) {
  return c >= ' ' && c <= '~' && c != '%';
}

}  // namespace

Result<TextTemplate> TextTemplate::parse(std::string_view text) {
  TextTemplate made;
  while (!text.empty()) {
    const bool doubled = text.starts_with("{{");
    const std::string_view name = slot_at(doubled ? text.substr(1) : text);
    if (name.empty()) {
      const size_t plain = std::min(text.find('{', 1), text.size());
      made.rest_ += text.substr(0, plain);
      text.remove_prefix(plain);
    } else if (doubled && text.substr(name.size() + 3).starts_with('}')) {
      made.rest_ += text.substr(1, name.size() + 2);
      text.remove_prefix(name.size() + 4);
    } else if (doubled) {
      made.rest_ += '{';
      text.remove_prefix(1);
    } else {
      const auto field = field_of(name);
      if (!field) return fail(field.error());
      made.pieces_.push_back({std::move(made.rest_), *field});
      made.rest_.clear();
      text.remove_prefix(name.size() + 2);
    }
  }
  return made;
}

void TextTemplate::append(std::string& out, const Event& event, Into into) const {
  std::string value;
  for (const Piece& piece : pieces_) {
    out += piece.before;
    value.clear();
    event.append_value(value, piece.field);
    switch (into) {
      case Into::url:
        append_percent(out, value, is_unreserved);
        break;
      case Into::header:
        append_percent(out, value, is_printable);
        break;
      case Into::json: {
        const size_t quote = out.size();
        events::append_json_text(out, value);
        out.erase(quote, 1);
        out.pop_back();
        break;
      }
    }
  }
  out += rest_;
}

}  // namespace courier::relay
