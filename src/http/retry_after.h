// When a server wants to be asked again, by its own word: Retry-After, RFC 9110, section 10.2.3. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace courier::http {

// Milliseconds from `now`, 0 for a date that is over; nothing if it is neither seconds nor a date.
std::optional<int64_t> retry_after_ms(std::string_view value, WallMs now);

}  // namespace courier::http
