// One [[limit]] of the settings: to whom it applies, who shares a budget, and how much there is. Plain
// values.
//
// Whom: listener, mountpoint and username must all match (matches()); with a label only messages to which the
// access rules give that label count. How much: what is shared, by `per`, are counts and rates; the other
// four hold for each client, mountpoint or message by itself. 0 is no limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace courier::quota {

enum class Per : uint8_t {
  connection,
  identity,  // mountpoint and checked user name; all who have none share one
  listener,
  all,
};
std::string_view name(Per per);

// What a limit is reached in. The names are the settings' keys.
enum class What : uint8_t {
  connections_max,
  connects_per_second,
  messages_per_second,
  bytes_per_second,
  payload_bytes_max,
  subscriptions_max,
  retained_messages_max,
};
inline constexpr size_t kWhatCount = 7;
std::string_view name(What what);

struct Rate {
  uint64_t per_second = 0;
  uint64_t burst = 0;  // 0: what a second brings
  bool operator==(const Rate&) const = default;
};

struct Rule {
  std::string name;
  std::string listener = "*", mountpoint = "*", username = "*";
  std::string label;  // empty: all messages
  Per per = Per::connection;

  uint32_t connections_max = 0;
  Rate connects, messages, bytes;
  MonoNs delay_max_ns = 10 * kNsPerSecond;  // a longer debt is refused

  uint32_t inflight_max = 0;           // QoS 1 and 2 messages on their way to one client
  uint32_t subscriptions_max = 0;      // of one session
  uint32_t retained_messages_max = 0;  // in one mountpoint
  uint32_t payload_bytes_max = 0;      // of one message

  bool shares() const {
    return connections_max != 0 || connects.per_second != 0 || messages.per_second != 0 ||
           bytes.per_second != 0;
  }
  bool operator==(const Rule&) const = default;
};

// Who connects. The user name is empty unless somebody has checked it.
struct Subject {
  std::string_view listener, mountpoint, username;
};

// Whether `text` is what the pattern says; '*' stands for any characters, or none. Takes at most
// pattern × text steps.
bool matches(std::string_view pattern, std::string_view text);
bool matches(const Rule& rule, const Subject& subject);

// What is wrong with it and what to write instead; nothing when it can be put in force.
std::optional<std::string> problem(const Rule& rule);

// "limit phones: more than 10 messages in a second (per identity)".
std::string explain(const Rule& rule, What what);

}  // namespace courier::quota
