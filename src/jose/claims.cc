#include "jose/claims.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::jose {
namespace {

constexpr std::string_view kNames[] = {"exp", "nbf", "iat"};

Result<std::optional<WallMs>> time_of(const Json& claims, std::string_view name) {
  const Json* value = member(claims, name);
  if (value == nullptr) return std::optional<WallMs>();
  if (!value->is_number())
    return fail(errc::bad_claim, fmt::format("the claim \"{}\" is not a number", name));
  const double seconds = value->get<double>();
  if (!(seconds >= 0 && seconds <= static_cast<double>(kNumericDateMax))) {
    return fail(errc::bad_claim, fmt::format("the claim \"{}\" is no time in seconds since 1970{}", name,
                                             seconds > 0 ? " (milliseconds, perhaps?)" : ""));
  }
  return std::optional<WallMs>(static_cast<WallMs>(std::floor(seconds * 1000)));
}

}  // namespace

Result<Times> times_of(const Json& claims) {
  Times times;
  std::optional<WallMs>* const into[] = {&times.expires, &times.not_before, &times.issued};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    auto time = time_of(claims, kNames[i]);
    if (!time) return fail(time.error());
    *into[i] = *time;
  }
  return times;
}

Result<void> check_times(const Times& times, WallMs now, int64_t leeway_ms) {
  if (times.expires && now >= *times.expires + leeway_ms) {
    return fail(errc::expired, fmt::format("the token expired {} ago", in_words(now - *times.expires)));
  }
  if (times.not_before && now + leeway_ms < *times.not_before) {
    return fail(errc::not_yet_valid, fmt::format("the token is not valid before {} from now (\"nbf\")",
                                                 in_words(*times.not_before - now)));
  }
  if (times.issued && now + leeway_ms < *times.issued) {
    return fail(errc::not_yet_valid,
                fmt::format("the token was issued {} in the future (\"iat\"); a clock is wrong",
                            in_words(*times.issued - now)));
  }
  return {};
}

Result<void> check_issuer(const Json& claims, std::string_view issuer) {
  const Json* value = member(claims, "iss");
  if (value == nullptr) return fail(errc::missing_claim, "the claim \"iss\" is missing");
  if (value->is_string() && value->get_ref<const std::string&>() == issuer) return {};
  return fail(errc::wrong_issuer, fmt::format("the claim \"iss\" is not \"{}\"", issuer));
}

Result<void> check_audience(const Json& claims, std::span<const std::string> accepted) {
  const Json* value = member(claims, "aud");
  if (value == nullptr) return fail(errc::missing_claim, "the claim \"aud\" is missing");
  const auto is_ours = [&](const Json& one) {
    return one.is_string() &&
           std::find(accepted.begin(), accepted.end(), one.get_ref<const std::string&>()) != accepted.end();
  };
  if (value->is_string()) {
    if (is_ours(*value)) return {};
  } else if (!value->is_array() ||
             !std::all_of(value->begin(), value->end(), [](const Json& one) { return one.is_string(); })) {
    return fail(errc::bad_claim, "the claim \"aud\" is neither text nor a list of texts");
  } else if (std::any_of(value->begin(), value->end(), is_ours)) {
    return {};
  }
  return fail(errc::wrong_audience, "the claim \"aud\" names nobody that tokens are accepted for here");
}

const Json* find_claim(const Json& claims, std::string_view path) {
  if (!claims.is_object()) return nullptr;
  if (const Json* whole = member(claims, path)) return whole;
  const size_t dot = path.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const Json* outer = member(claims, path.substr(0, dot));
  return outer == nullptr ? nullptr : find_claim(*outer, path.substr(dot + 1));
}

std::string in_words(int64_t ms) {
  const int64_t seconds = std::max<int64_t>(ms, 0) / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) {
    const int64_t minutes = seconds / 60 % 60;
    return minutes == 0 ? fmt::format("{} h", seconds / 3600)
                        : fmt::format("{} h {} min", seconds / 3600, minutes);
  }
  return fmt::format("{} days", seconds / 86'400);
}

}  // namespace courier::jose
