#include "quota/rule.h"

#include <algorithm>

#include "quota/limits.h"

namespace courier::quota {

std::string_view name(Per per) {
  switch (per) {
    case Per::connection:
      return "connection";
    case Per::identity:
      return "identity";
    case Per::listener:
      return "listener";
    case Per::all:
      return "all";
  }
  return "unknown";
}

std::string_view name(What what) {
  switch (what) {
    case What::connections_max:
      return "connections_max";
    case What::connects_per_second:
      return "connects_per_second";
    case What::messages_per_second:
      return "messages_per_second";
    case What::bytes_per_second:
      return "bytes_per_second";
    case What::payload_bytes_max:
      return "payload_bytes_max";
    case What::subscriptions_max:
      return "subscriptions_max";
    case What::retained_messages_max:
      return "retained_messages_max";
  }
  return "unknown";
}

bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, resume = 0;  // where to go on if what follows the last '*' fails
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool matches(const Rule& rule, const Subject& subject) {
  return matches(rule.listener, subject.listener) && matches(rule.mountpoint, subject.mountpoint) &&
         matches(rule.username, subject.username);
}

std::optional<std::string> problem(const Rule& rule) {
  if (rule.name.empty() || rule.name.size() > kNameBytesMax) {
    return "name has 1 to " + std::to_string(kNameBytesMax) + " characters";
  }
  for (const std::string* pattern : {&rule.listener, &rule.mountpoint, &rule.username}) {
    if (pattern->size() > kPatternBytesMax) {
      return "listener, mountpoint and username have " + std::to_string(kPatternBytesMax) +
             " characters at most";
    }
  }
  if (!rule.shares() && rule.inflight_max == 0 && rule.subscriptions_max == 0 &&
      rule.retained_messages_max == 0 && rule.payload_bytes_max == 0) {
    return "it limits nothing: give messages_per_second, connections_max or another";
  }
  if (!rule.label.empty() && (rule.connections_max != 0 || rule.connects.per_second != 0 ||
                              rule.inflight_max != 0 || rule.subscriptions_max != 0)) {
    return "a label is about messages: connections, connects, inflight and subscriptions need a limit "
           "without one";
  }
  if (rule.per == Per::connection && (rule.connections_max != 0 || rule.connects.per_second != 0)) {
    return "a connection is one and connects once: with connections_max or connects_per_second write per = "
           "\"identity\", \"listener\" or \"all\"";
  }
  const std::pair<const Rate*, const char*> rates[] = {
      {&rule.connects, "connect"}, {&rule.messages, "messages"}, {&rule.bytes, "bytes"}};
  for (const auto& [rate, word] : rates) {
    if (rate->per_second > kPerSecondMax || rate->burst > kPerSecondMax) {
      return "rates and bursts are " + std::to_string(kPerSecondMax) + " at most";
    }
    if (rate->burst != 0 && rate->per_second == 0) {
      return std::string(word) + "_burst needs " + (rate == &rule.connects ? "connects" : word) +
             "_per_second";
    }
  }
  if (rule.delay_max_ns < 0) return "delay_max cannot be negative";
  return std::nullopt;
}

std::string explain(const Rule& rule, What what) {
  const std::string per = " (per " + std::string(name(rule.per)) + ")";
  const auto say = [&](const std::string& more) { return "limit " + rule.name + ": more than " + more; };
  switch (what) {
    case What::connections_max:
      return say(std::to_string(rule.connections_max) + " connections" + per);
    case What::connects_per_second:
      return say(std::to_string(rule.connects.per_second) + " connects in a second" + per);
    case What::messages_per_second:
      return say(std::to_string(rule.messages.per_second) + " messages in a second" + per);
    case What::bytes_per_second:
      return say(std::to_string(rule.bytes.per_second) + " bytes in a second" + per);
    case What::payload_bytes_max:
      return say(std::to_string(rule.payload_bytes_max) + " bytes of payload");
    case What::subscriptions_max:
      return say(std::to_string(rule.subscriptions_max) + " subscriptions");
    case What::retained_messages_max:
      return say(std::to_string(rule.retained_messages_max) + " retained messages in the mountpoint");
  }
  return "limit " + rule.name;
}

}  // namespace courier::quota
