// How long an answer counts, by its own word: Cache-Control, RFC 9111, section 5.2. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace courier::http {

// The "max-age" of the header's value, in seconds; nullopt when there is none that can be read, or when the
// answer is not to be kept at all ("no-store", "no-cache"). Of more than one the first counts.
std::optional<int64_t> max_age_seconds(std::string_view cache_control);

}  // namespace courier::http
