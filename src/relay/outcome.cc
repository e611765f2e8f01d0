#include "relay/outcome.h"

#include <fmt/format.h>

#include "http/errc.h"
#include "http/retry_after.h"

namespace courier::relay {
namespace {

Outcome without_answer(const Error& error) {
  Outcome outcome{.verdict = Verdict::retry, .reason = "unreachable", .why = error.message};
  if (error.code == http::errc::timeout) outcome.reason = "timeout";
  if (error.code == http::errc::bad_response || error.code == http::errc::too_large)
    outcome.reason = "broken_answer";
  return outcome;
}

}  // namespace

Outcome outcome_of(const Result<http::Response>& answer, WallMs now) {
  if (!answer) return without_answer(answer.error());
  const int status = answer->status;
  if (status / 100 == 2) return {.status = status};
  Outcome outcome{.verdict = Verdict::retry, .status = status, .why = fmt::format("it answered {}", status)};
  if (const std::string* wait = answer->header("retry-after"))
    outcome.wait_ms = http::retry_after_ms(*wait, now).value_or(0);
  if (status == 408 || status == 425 || status == 429) {
    outcome.reason = "busy";
  } else if (status / 100 == 4) {
    outcome.verdict = Verdict::refused;
  } else if (status / 100 == 3) {
    outcome.reason = "redirect";
    const std::string* to = answer->header("location");
    outcome.why += fmt::format(
        ", a redirect to {}, which is not followed: write in http.url where requests "
        "are to go",
        to ? http::without_secrets(*to) : std::string("nowhere"));
  } else {
    outcome.reason = "server_error";
  }
  return outcome;
}

}  // namespace courier::relay
