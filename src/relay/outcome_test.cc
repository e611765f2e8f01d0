#include "relay/outcome.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "http/errc.h"

namespace courier::relay {
namespace {

Outcome of(int status, http::Headers headers = {}) {
  return outcome_of(http::Response{.status = status, .headers = std::move(headers)}, 0);
}
Outcome of(http::errc error) {
  return outcome_of(fail(error, "why"), 0);
}

TEST(Outcome, IsWhatTheTableSays) {
  for (const int status : {200, 202, 204, 299}) EXPECT_EQ(of(status).verdict, Verdict::taken) << status;
  for (const int status : {408, 425, 429, 500, 502, 503, 599, 301, 302, 304, 308})
    EXPECT_EQ(of(status).verdict, Verdict::retry) << status;
  for (const int status : {400, 401, 403, 404, 409, 410, 413, 422})
    EXPECT_EQ(of(status).verdict, Verdict::refused) << status;
  for (const auto error :
       {http::errc::unreachable, http::errc::timeout, http::errc::tls, http::errc::bad_response,
        http::errc::too_large, http::errc::bad_url, http::errc::no_memory})
    EXPECT_EQ(of(error).verdict, Verdict::retry);
}

TEST(Outcome, EveryRetryHasAWordForItsCounter) {
  for (const std::string_view reason :
       {of(429).reason, of(500).reason, of(302).reason, of(http::errc::timeout).reason,
        of(http::errc::unreachable).reason, of(http::errc::bad_response).reason})
    EXPECT_NE(std::ranges::find(kRetryReasons, reason), std::end(kRetryReasons)) << reason;
}

TEST(Outcome, RetryAfterIsHeard) {
  EXPECT_EQ(of(503, {{"retry-after", "7"}}).wait_ms, 7'000);
  EXPECT_EQ(of(503, {{"retry-after", "soon"}}).wait_ms, 0);
}

TEST(Outcome, ARedirectSaysWhereToAndThatNobodyGoesThere) {
  const Outcome outcome = of(302, {{"location", "https://user:pw@elsewhere/x?secret=1"}});
  EXPECT_NE(outcome.why.find("redirect to https://...@elsewhere/x, which is not followed"), std::string::npos)
      << outcome.why;
}

}  // namespace
}  // namespace courier::relay
