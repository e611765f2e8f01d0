// What tokens may cost the authenticator, and what it may cost an endpoint of keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::auth::jwt {

inline constexpr size_t kGrantsMax = 100;         // rules in one token
inline constexpr size_t kLabelBytesMax = 64;      // of one rule
inline constexpr size_t kTemplateBytesMax = 512;  // as written in the configuration
inline constexpr size_t kFilledBytesMax = 1024;   // a template with its claims

// A token that failed is refused without another look for so long, at most twice that: long enough for a
// client that retries at once, short enough for whoever just put things right.
inline constexpr MonoNs kRefusalKeptNs = 5 * kNsPerSecond;

// JWKS by URL. After a failure it is tried again after the first, then ever more seldom up to the second.
inline constexpr int64_t kRetryMsMin = 1'000, kRetryMsMax = 60'000;
// What an endpoint's Cache-Control may ask for.
inline constexpr int64_t kRefreshMsMin = 60'000, kRefreshMsMax = 24 * 3'600'000;
// Unknown key ids make us ask the endpoint at most this often.
inline constexpr MonoNs kHurryNs = 10 * kNsPerSecond;

}  // namespace courier::auth::jwt
