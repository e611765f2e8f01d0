// What the access rules are asked, and what they answer. Borrowed for the call, made on the stack.
#pragma once

#include <cstdint>
#include <string_view>

namespace courier::auth::acl {

class RuleSet;

enum class Action : uint8_t { subscribe, publish };

// Who asks. The username of an anonymous client is "", whatever name it gave: nobody has checked it, and
// `user admin` must not be had by saying so.
struct Subject {
  std::string_view username, client_id, mountpoint;
  const RuleSet* grants = nullptr;  // rules that came with the client
};

// One of kLabelsMax names; Labels knows which. 0: none.
using LabelId = uint8_t;
inline constexpr LabelId kNoLabel = 0;

// In the order in which rules are asked: all → user → pattern → token → grant.
using RuleId = uint32_t;
inline constexpr RuleId kNoRule = 0xFFFFFFFF;
// Set in the id of a rule that came with the client.
inline constexpr RuleId kGrantBit = 0x80000000;

struct Answer {
  bool allowed = false;
  LabelId label = kNoLabel;  // of the rule that decided
  RuleId rule = kNoRule;     // kNoRule: no rule matched, or there are no rules
  bool operator==(const Answer&) const = default;
};

}  // namespace courier::auth::acl
