// How a log line is spelt. No state, no destination: log.cc has those.
#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/log.h"
#include "base/utf8.h"

namespace courier::log {
namespace {

// Characters that move the cursor, colour a terminal, end a line or reorder what is around them.
bool must_escape(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

// Between quotation marks, in the escapes that JSON and logfmt readers share.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  size_t at = 0;
  while (at < text.size()) {
    if (at >= kValueBytesMax) {
      out += "…";
      break;
    }
    const Utf8Character c = first_utf8(text.substr(at));
    if (!c.valid) {
      out += "\uFFFD";
    } else if (c.code == '"' || c.code == '\\') {
      out += '\\';
      out += static_cast<char>(c.code);
    } else if (c.code == '\n') {
      out += "\\n";
    } else if (c.code == '\r') {
      out += "\\r";
    } else if (c.code == '\t') {
      out += "\\t";
    } else if (must_escape(c.code)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<uint32_t>(c.code));
    } else {
      out += text.substr(at, c.size);
    }
    at += c.size;
  }
  out += '"';
}

// A logfmt value needs no quotation marks when no reader could take it for something else.
bool is_bare(std::string_view text) {
  if (text.empty() || text.size() > kValueBytesMax) return false;
  for (const char c : text) {
    if (c <= ' ' || c == '=' || c == '"' || c == '\\' || c > '~') return false;
  }
  return true;
}

void append_double(std::string& out, double value, bool quote) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
    return;
  }
  const std::string_view word = std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  if (quote) out += '"';
  out += word;
  if (quote) out += '"';
}

void append_value(std::string& out, Format format, const Field::Value& value) {
  struct Visitor {
    std::string& out;
    Format format;
    void operator()(std::string_view text) const {
      if (format == Format::logfmt && is_bare(text)) {
        out += text;
      } else {
        append_quoted(out, text);
      }
    }
    void operator()(int64_t n) const { fmt::format_to(std::back_inserter(out), "{}", n); }
    void operator()(uint64_t n) const { fmt::format_to(std::back_inserter(out), "{}", n); }
    void operator()(double n) const { append_double(out, n, format == Format::json); }
    void operator()(bool b) const { out += b ? "true" : "false"; }
  };
  std::visit(Visitor{out, format}, value);
}

void append_field(std::string& out, Format format, std::string_view key, const Field::Value& value) {
  switch (format) {
    case Format::logfmt:
      if (!out.empty()) out += ' ';
      out += key;
      out += '=';
      break;
    case Format::json:
      out += out.empty() ? "{" : ",";
      append_quoted(out, key);
      out += ':';
      break;
  }
  append_value(out, format, value);
}

}  // namespace

std::string iso8601(WallMs time) {
  // Days since the epoch to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  const int64_t days = (time >= 0 ? time : time - 86'399'999) / 86'400'000;
  const int64_t in_day = time - days * 86'400'000;
  const int64_t z = days + 719'468;
  const int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const int64_t day_of_era = z - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year, month, day, in_day / 3'600'000,
                     in_day / 60'000 % 60, in_day / 1000 % 60, in_day % 1000);
}

std::string format_line(Format format, WallMs time, Level level, std::string_view message, Fields fields,
                        uint64_t suppressed) {
  std::string out;
  out.reserve(128);
  append_field(out, format, "ts", std::string_view(iso8601(time)));
  append_field(out, format, "level", name(level));
  append_field(out, format, "msg", message);
  for (const Field& field : fields) append_field(out, format, field.key, field.value);
  if (suppressed > 0) append_field(out, format, "suppressed", suppressed);
  if (format == Format::json) out += '}';
  return out;
}

}  // namespace courier::log
