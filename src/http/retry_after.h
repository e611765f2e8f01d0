// Retry-After of an answer: when its sender wants to be asked again. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace courier::http {

// In milliseconds from `now` on: of "120" (seconds) or of a date as HTTP writes it, 0 if that is over.
// Nothing: it is neither. Source: RFC 9110, 10.2.3 and 5.6.7 (the preferred format alone).
std::optional<int64_t> retry_after_ms(std::string_view value, WallMs now);

}  // namespace courier::http
