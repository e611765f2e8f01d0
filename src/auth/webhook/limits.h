// What hooks may cost this node, and what clients may cost an endpoint through it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::auth::webhook {

inline constexpr size_t kEndpointsMax = 100;  // of all hooks
inline constexpr size_t kUrlBytesMax = 2048;

// Of one answer. Rules and user properties have bounds of their own.
inline constexpr size_t kAnswerBytesMax = 4 * 1024 * 1024;
// A larger answer is not remembered.
inline constexpr size_t kRememberedBytesMax = 16 * 1024;
// Refusals that are remembered: anybody can bring about as many as he likes.
inline constexpr size_t kRefusalsMax = 10'000;
inline constexpr size_t kTopicsMax = 1000;          // in one answer
inline constexpr size_t kUserPropertiesMax = 1000;  // in one answer
inline constexpr size_t kErrorBytesMax = 256;       // of an endpoint's reason, for the log

// What an answer's Cache-Control may ask for.
inline constexpr int64_t kMaxAgeSecondsMax = 24 * 3600;

}  // namespace courier::auth::webhook
