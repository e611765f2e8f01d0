// Sizes and durations as people write them: "64MB", "500ms", "7d". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace courier::config {

// "512", "64KB", "16 MiB", "2GB": powers of 1024 whichever way they are spelt; a bare number is bytes.
std::optional<int64_t> parse_bytes(std::string_view text);
// "500ms", "30s", "5m", "1h", "7d", "1.5h"; a bare number is seconds. In milliseconds; never negative.
std::optional<int64_t> parse_duration_ms(std::string_view text);

// With the largest unit that leaves a whole number; reads back to the same value.
std::string format_bytes(int64_t bytes);
std::string format_duration_ms(int64_t ms);

}  // namespace courier::config
