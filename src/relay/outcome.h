// What an answer of the backend means for the events that were sent. Pure.
//
//   2xx                                         taken
//   408, 425, 429, 3xx, 5xx, 1xx, no answer     retry
//   another 4xx                                 refused: never to be taken
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"

namespace courier::relay {

enum class Verdict : uint8_t { taken, retry, refused };

struct Outcome {
  Verdict verdict = Verdict::taken;
  std::string_view reason;  // one of few words: a label of metrics
  int status = 0;           // 0: there was no answer
  int64_t wait_ms = 0;      // at least, as the backend asks for
  std::string why;          // a sentence, unless it was taken
};

// The words for retry. The last two: it is refused, or dead, and there is no place to bury it; that place
// cannot be reached.
inline constexpr std::string_view kRetryReasons[] = {
    "unreachable", "timeout", "broken_answer", "redirect", "busy", "server_error", "refused", "dead_letter"};

Outcome outcome_of(const Result<http::Response>& answer, WallMs now);

}  // namespace courier::relay
