#include "http/retry_after.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace courier::http {

std::optional<int64_t> retry_after_ms(std::string_view value, WallMs now) {
  uint32_t seconds = 0;
  const char* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, seconds);
  if (error == std::errc() && at == end) return int64_t{seconds} * 1000;
  std::tm date{};
  const std::string text(value);
  const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (!rest || *rest != '\0') return std::nullopt;
  return std::max<int64_t>(0, int64_t{::timegm(&date)} * 1000 - now);
}

}  // namespace courier::http
