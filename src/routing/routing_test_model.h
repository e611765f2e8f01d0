// What the tests of this folder share: a topic matcher that is plainly right, and messages. It splits both
// texts and compares level by level, so it shares no idea with the trie or the ordered walk that it checks.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/message.h"

namespace courier::routing::model {

inline std::vector<std::string> levels(std::string_view text) {
  std::vector<std::string> levels(1);
  for (const char c : text) {
    if (c == '/') {
      levels.emplace_back();
    } else {
      levels.back() += c;
    }
  }
  return levels;
}

inline bool matches(std::string_view filter, std::string_view topic) {
  const auto wanted = levels(filter);
  const auto given = levels(topic);
  if (topic.starts_with('$') && (wanted[0] == "+" || wanted[0] == "#")) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "#") return given.size() >= i;
    if (i >= given.size()) return false;
    if (wanted[i] != "+" && wanted[i] != given[i]) return false;
  }
  return wanted.size() == given.size();
}

inline mqtt::MessagePtr message(std::string_view topic, mqtt::Qos qos = mqtt::Qos::at_least_once,
                                std::string_view payload = "x", WallMs expires_at = 0) {
  auto* made = mqtt::Message::make(topic, payload);
  made->qos = qos;
  made->expires_at = expires_at;
  return mqtt::MessagePtr(made);
}

// Topics and filters of few, short and awkward levels, so that they meet often.
class Texts {
 public:
  explicit Texts(std::mt19937_64& random) : random_(random) {}

  std::string topic() {
    std::string text;
    do {
      text = join(false);
    } while (text.empty());
    return text;
  }
  std::string filter() {
    std::string text;
    do {
      text = join(true);
    } while (text.empty());
    return text;
  }
  uint64_t below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }

 private:
  std::string join(bool wildcards) {
    static const std::vector<std::string> kLevels = {
        "a", "b", "", "a-b", "a0", "$s", "long-level-name-of-a-kitchen"};
    const uint64_t depth = 1 + below(4);
    std::string text;
    for (uint64_t i = 0; i < depth; ++i) {
      if (i > 0) text += '/';
      const uint64_t kind = wildcards ? below(8) : 8;
      if (kind == 0) return text + "#";
      if (kind <= 2) {
        text += '+';
      } else {
        text += kLevels[below(kLevels.size())];
      }
    }
    return text;
  }

  std::mt19937_64& random_;
};

}  // namespace courier::routing::model
