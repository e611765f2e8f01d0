// What limits may cost by themselves: in number, in memory, in Turns. Constants, not settings: nobody would
// know what to set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::quota {

inline constexpr size_t kRulesMax = 64;
inline constexpr size_t kNameBytesMax = 64;
inline constexpr size_t kPatternBytesMax = 256;
inline constexpr uint64_t kPerSecondMax = 1'000'000'000'000;

// Budgets of one rule whose sharers have all gone and that are not yet as good as new. One too many, and
// another is forgotten: its sharer begins anew.
inline constexpr size_t kLeftBehindMax = 100'000;

// A socket that is not to be read is left alone for this long at least, if its budget's burst bridges that:
// a Turn for each message of a fast one would cost more than the messages.
inline constexpr MonoNs kPauseMin = 10 * kNsPerMs;
// After a refusal: who does not listen to it is told again ten times a second, not as fast as it can send.
inline constexpr MonoNs kPauseAfterRefusal = 100 * kNsPerMs;
// Between two lines in the log about one connection.
inline constexpr MonoNs kSaidEvery = 60 * kNsPerSecond;

}  // namespace courier::quota
