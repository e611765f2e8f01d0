// Topic names and filters: legality and matching. Source: section 4.7 (and 4.8.2 for $share) of 5.0.
#pragma once

#include <optional>
#include <string_view>

namespace courier::mqtt {

// Well-formed UTF-8 without U+0000 and surrogates. [MQTT-1.5.4-1], [MQTT-1.5.4-2]
bool is_utf8(std::string_view text);

// At least one character, no wildcard, ≤ 65,535 bytes. UTF-8 is checked by the decoder. [MQTT-3.3.2-2]
bool is_topic_name(std::string_view topic);
// Wildcards only where they may stand. [MQTT-4.7.1-1], [MQTT-4.7.1-2]
bool is_topic_filter(std::string_view filter);
bool has_wildcard(std::string_view filter);
size_t level_count(std::string_view topic_or_filter);

// Whether a filter (not $share) matches a topic; a leading wildcard does not match a topic that starts with $.
// [MQTT-4.7.2-1]
bool matches(std::string_view filter, std::string_view topic);

// "$share/{group}/{filter}" taken apart; nullopt when it is not one, or not well formed. [MQTT-4.8.2-1], [-2]
struct SharedFilter {
  std::string_view group, filter;
};
bool is_shared(std::string_view filter);  // starts with "$share/" or is "$share"
std::optional<SharedFilter> parse_shared(std::string_view filter);

}  // namespace courier::mqtt
