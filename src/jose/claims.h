// What a token claims: RFC 7519, section 4. Pure: the time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "jose/json_object.h"

namespace courier::jose {

// When it counts; each may be missing.
struct Times {
  std::optional<WallMs> expires, not_before, issued;
};

// "exp", "nbf" and "iat": seconds, with a fraction or without. Error: bad_claim (not a number; beyond the
// year 9999, as milliseconds are).
Result<Times> times_of(const Json& claims);

// `leeway_ms`: how far the issuer's clock may be off, to both sides. A token expires at "exp", not after it.
// One that was issued in the future is not valid yet. Errors: expired, not_yet_valid.
Result<void> check_times(const Times& times, WallMs now, int64_t leeway_ms);

// "iss" is that text. Errors: missing_claim, wrong_issuer.
Result<void> check_issuer(const Json& claims, std::string_view issuer);

// "aud", one text or several, holds one of `accepted`. Errors: missing_claim, bad_claim, wrong_audience.
Result<void> check_audience(const Json& claims, std::span<const std::string> accepted);

// A claim by its name, or by a path through objects: "device.id". A claim of that very name wins, dots and
// all. Nullptr: there is none.
const Json* find_claim(const Json& claims, std::string_view path);

// "45 s", "3 min", "2 h 5 min", "12 days"; never negative.
std::string in_words(int64_t ms);

}  // namespace courier::jose
