#include "http/retry_after.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace courier::http {

std::optional<int64_t> retry_after_ms(std::string_view value, WallMs now) {
  constexpr int64_t kSecondsMax = int64_t{365} * 24 * 3600;
  uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (end == value.data() + value.size() && error == std::errc())
    return static_cast<int64_t>(std::min<uint64_t>(seconds, kSecondsMax)) * 1000;
  // What curl_getdate() also takes and HTTP does not know, does no harm.
  const time_t at = ::curl_getdate(std::string(value).c_str(), nullptr);
  if (at < 0) return std::nullopt;
  return std::clamp<int64_t>(static_cast<int64_t>(at) * 1000 - now, 0, kSecondsMax * 1000);
}

}  // namespace courier::http
