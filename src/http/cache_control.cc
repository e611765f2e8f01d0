#include "http/cache_control.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace courier::http {

std::optional<int64_t> max_age_seconds(std::string_view cache_control) {
  constexpr std::string_view kMaxAge = "max-age=";
  std::optional<int64_t> age;
  while (!cache_control.empty()) {
    const size_t comma = std::min(cache_control.find(','), cache_control.size());
    std::string directive;
    for (const char c : cache_control.substr(0, comma)) {
      if (c == ' ' || c == '\t' || c == '"') continue;
      directive += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    cache_control.remove_prefix(std::min(comma + 1, cache_control.size()));
    if (directive == "no-store" || directive == "no-cache") return std::nullopt;
    if (age || !directive.starts_with(kMaxAge)) continue;
    int64_t seconds = 0;
    const char* end = directive.data() + directive.size();
    const auto [stop, error] = std::from_chars(directive.data() + kMaxAge.size(), end, seconds);
    if (error == std::errc::result_out_of_range) {
      age = std::numeric_limits<int64_t>::max();
    } else if (error == std::errc{} && stop == end && seconds >= 0) {
      age = seconds;
    }
  }
  return age;
}

}  // namespace courier::http
