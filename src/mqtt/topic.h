// Topic names and filters: legality and matching. Source: section 4.7 (and 4.8.2 for $share) of 5.0.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace courier::mqtt {

// What a UTF-8 Encoded String may hold: well-formed UTF-8, no surrogates, no U+0000. [MQTT-1.5.4-1],
// [MQTT-1.5.4-2]
bool is_utf8(std::string_view text);
// The same, U+0000 allowed: what a payload of format 1 may hold.
bool is_utf8_with_nul(std::string_view text);

// At least one character, no wildcard, ≤ 65,535 bytes. UTF-8 is checked by the decoder. [MQTT-3.3.2-2]
bool is_topic_name(std::string_view topic);
// At least one character, ≤ 65,535 bytes, wildcards only where they may stand. [MQTT-4.7.1-1],
// [MQTT-4.7.1-2], [MQTT-4.7.3-1]. A shared one is taken apart first: see parse_shared().
bool is_topic_filter(std::string_view filter);
bool has_wildcard(std::string_view filter);
size_t level_count(std::string_view topic_or_filter);

// Whether a filter (not $share) matches a topic; a leading wildcard does not match a topic that starts with
// $. [MQTT-4.7.2-1]
bool matches(std::string_view filter, std::string_view topic);

// "$share/{group}/{filter}" taken apart, both views of the argument; nullopt when it is not one, or not well
// formed. [MQTT-4.8.2-1], [-2]
struct SharedFilter {
  std::string_view group, filter;
};
bool is_shared(std::string_view filter);  // starts with "$share/" or is "$share"
std::optional<SharedFilter> parse_shared(std::string_view filter);

}  // namespace courier::mqtt
