// How the nodes of a cluster come to have one time (decision 21): what one says that is asked for it, and
// what one that asks makes of the answers.
//
// Of nodes that come at once the first, by epoch, says what time it is: its own clock's, or the log's newest
// if that is later; so it says it when it has read the log. All others take it over from whoever has it, and
// nobody goes on without. One that comes first and cannot read the log, as that does not reach back to its
// state, needs another to be ready: it lets those behind it go first, and asks like them when it has a state.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"

namespace courier::cluster {

// What a node is asked for: no body; the answer is a TimeAnswer.
inline constexpr uint16_t kTimeRequest = 2;

struct TimeAnswer {
  enum class Kind : uint8_t {
    time,       // it has the time of the cluster: `time`
    soon,       // it is the first, and reads the log
    asks,       // it does not know yet
    after_you,  // nor will it, before another is ready
  };
  Kind kind = Kind::asks;
  WallMs time = 0;
  bool operator==(const TimeAnswer&) const = default;
};

std::string to_text(const TimeAnswer& answer);
// Nothing: no such answer, or a time that is not plausible.
std::optional<TimeAnswer> parse_time_answer(std::string_view text);

// Another member, and what it said last; nothing: it was not reached.
struct TimePeer {
  NodeEpoch epoch;
  std::optional<TimeAnswer> said;
};

struct TimeVerdict {
  enum class Kind : uint8_t { told, first, wait };
  Kind kind = Kind::wait;
  WallMs time = 0;  // told
  bool operator==(const TimeVerdict&) const = default;
};

// `stepped_back`: this node has said after_you, so that one behind it may be the first now.
TimeVerdict judge_time(NodeEpoch self, bool stepped_back, std::span<const TimePeer> others);

}  // namespace courier::cluster
