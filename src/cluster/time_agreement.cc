#include "cluster/time_agreement.h"

#include <charconv>

#include "cluster/cluster_clock.h"

namespace courier::cluster {

namespace {
using Kind = TimeAnswer::Kind;

constexpr std::string_view kSoon = "soon", kAsks = "asks", kAfterYou = "after you";
}  // namespace

std::string to_text(const TimeAnswer& answer) {
  switch (answer.kind) {
    case Kind::time:
      return std::to_string(answer.time);
    case Kind::soon:
      return std::string(kSoon);
    case Kind::asks:
      return std::string(kAsks);
    case Kind::after_you:
      return std::string(kAfterYou);
  }
  return {};
}

std::optional<TimeAnswer> parse_time_answer(std::string_view text) {
  if (text == kSoon) return TimeAnswer{Kind::soon};
  if (text == kAsks) return TimeAnswer{Kind::asks};
  if (text == kAfterYou) return TimeAnswer{Kind::after_you};
  WallMs time = 0;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, time) != std::from_chars_result{end, std::errc()})
    return std::nullopt;
  if (!is_plausible(time)) return std::nullopt;
  return TimeAnswer{Kind::time, time};
}

TimeVerdict judge_time(NodeEpoch self, bool stepped_back, std::span<const TimePeer> others) {
  bool first = true;
  for (const TimePeer& peer : others) {
    if (peer.said && peer.said->kind == Kind::time) return {TimeVerdict::Kind::told, peer.said->time};
    const bool in_front = peer.epoch < self;
    if (!peer.said) {
      if (in_front || stepped_back) first = false;
    } else if (peer.said->kind == Kind::soon || (peer.said->kind == Kind::asks && in_front)) {
      first = false;
    }
  }
  return {first ? TimeVerdict::Kind::first : TimeVerdict::Kind::wait};
}

}  // namespace courier::cluster
