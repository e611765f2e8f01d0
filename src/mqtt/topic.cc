#include "mqtt/topic.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "mqtt/limits.h"

namespace courier::mqtt {
namespace {

constexpr std::string_view kShare = "$share";

// Cuts the first level off the front of `rest`; false when it was the last.
bool next_level(std::string_view& rest, std::string_view& level) {
  const size_t slash = rest.find('/');
  level = rest.substr(0, slash);
  if (slash == std::string_view::npos) return false;
  rest.remove_prefix(slash + 1);
  return true;
}

}  // namespace

bool is_topic_name(std::string_view topic) {
  return !topic.empty() && topic.size() <= kStringSizeMax && !has_wildcard(topic);
}

bool is_topic_filter(std::string_view filter) {
  if (filter.empty() || filter.size() > kStringSizeMax) return false;
  for (size_t i = filter.find_first_of("+#"); i != std::string_view::npos;
       i = filter.find_first_of("+#", i + 1)) {
    const bool starts_level = i == 0 || filter[i - 1] == '/';
    const bool is_last = i + 1 == filter.size();
    const bool ends_level = is_last || (filter[i] == '+' && filter[i + 1] == '/');
    if (!starts_level || !ends_level) return false;  // [MQTT-4.7.1-1], [MQTT-4.7.1-2]
  }
  return true;
}

// Every PUBLISH comes through here. '#' and '+' differ in one bit: with it set both are '+', and a byte that
// was either is 0 after the exclusive or.
bool has_wildcard(std::string_view filter) {
  static_assert(('#' | 0x08) == '+');
  constexpr uint64_t kOnes = 0x0101010101010101;
  const char* at = filter.data();
  size_t left = filter.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word = (word | kOnes * 0x08) ^ kOnes * '+';
    if (((word - kOnes) & ~word & kOnes * 0x80) != 0) return true;
  }
  for (; left > 0; ++at, --left) {
    if ((*at | 0x08) == '+') return true;
  }
  return false;
}

size_t level_count(std::string_view topic_or_filter) {
  return 1 + static_cast<size_t>(std::count(topic_or_filter.begin(), topic_or_filter.end(), '/'));
}

bool matches(std::string_view filter, std::string_view topic) {
  // [MQTT-4.7.2-1]
  if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) return false;
  for (;;) {
    std::string_view wanted, level;
    const bool filter_goes_on = next_level(filter, wanted);
    if (wanted == "#") return true;
    const bool topic_goes_on = next_level(topic, level);
    if (wanted != "+" && wanted != level) return false;
    if (!filter_goes_on) return !topic_goes_on;
    // "a/#" matches "a" too: # stands for the parent and all below it.
    if (!topic_goes_on) return filter == "#";
  }
}

bool is_shared(std::string_view filter) {
  return filter.starts_with(kShare) && (filter.size() == kShare.size() || filter[kShare.size()] == '/');
}

std::optional<SharedFilter> parse_shared(std::string_view filter) {
  if (!is_shared(filter) || filter.size() == kShare.size()) return std::nullopt;
  filter.remove_prefix(kShare.size() + 1);
  const size_t slash = filter.find('/');
  if (slash == std::string_view::npos) return std::nullopt;  // [MQTT-4.8.2-2]
  const SharedFilter shared{.group = filter.substr(0, slash), .filter = filter.substr(slash + 1)};
  if (shared.group.empty()) return std::nullopt;        // [MQTT-4.8.2-1]
  if (has_wildcard(shared.group)) return std::nullopt;  // [MQTT-4.8.2-2]
  if (!is_topic_filter(shared.filter)) return std::nullopt;
  return shared;
}

}  // namespace courier::mqtt
