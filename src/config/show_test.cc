#include "config/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::config {
namespace {

using testing::HasSubstr;
using testing::Not;

Loaded loaded(std::string_view text, const std::vector<std::string>& overrides = {},
              const Environment& variables = {}) {
  auto result = parse_with_origins(text, "c.toml", overrides, variables);
  EXPECT_TRUE(result) << result.error().message;
  return result ? *std::move(result) : Loaded{};
}

constexpr std::string_view kFile =
    "threads = 3\n"
    "[auth]\n"
    "allow_anonymous = true\n"
    "[[listener]]\n"
    "name = \"mobile\"\n"
    "bind = \"0.0.0.0:1883\"\n"
    "[admin]\n"
    "tokens = [\"correct-horse-battery\", \"staple-correct-horse\"]\n"
    "[limits]\n"
    "inflight_max = 5\n"
    "receive_maximum = 5\n";

TEST(Show, EachValueSaysWhereItCameFromAndTheLastSourceCounts) {
  const std::string text =
      show(loaded(kFile, {"limits.receive_maximum=7", "listener.mobile.connections_max=9"},
                  {{"COURIER__LIMITS__INFLIGHT_MAX", "6"}}),
           {.origin = true});
  EXPECT_THAT(text, HasSubstr("threads = 3                    # c.toml:1\n"));
  EXPECT_THAT(text, HasSubstr("data_dir = \"/var/lib/courier\"  # default\n"));
  EXPECT_THAT(text, testing::ContainsRegex(
                        "inflight_max = 6 +# environment variable COURIER__LIMITS__INFLIGHT_MAX\n"));
  EXPECT_THAT(text, testing::ContainsRegex("receive_maximum = 7 +# --set limits.receive_maximum\n"));
  EXPECT_THAT(text, testing::ContainsRegex("bind = \"0.0.0.0:1883\" +# c.toml:6\n"));
  EXPECT_THAT(text, testing::ContainsRegex("connections_max = 9 +# --set listener.mobile.connections_max\n"));
}

TEST(Show, SecretsAreNeverShown) {
  for (const bool origin : {false, true}) {
    const std::string text = show(loaded(kFile), {.origin = origin});
    EXPECT_THAT(text, Not(HasSubstr("horse")));
    EXPECT_THAT(text, HasSubstr("# tokens: 2 values, not shown"));
  }
}

TEST(Show, WhatIsShownReadsBackAsTheSame) {
  for (const ShowOptions& options : {ShowOptions{}, ShowOptions{.origin = true}, ShowOptions{.changed = true},
                                     ShowOptions{.origin = true, .changed = true}}) {
    Loaded first = loaded(kFile, {"listener.backend.bind=127.0.0.1:1884"});
    const auto again = parse(show(first, options), "shown");
    ASSERT_TRUE(again) << again.error().message;
    first.settings.admin.tokens.clear();
    EXPECT_EQ(*again, first.settings);
  }
}

TEST(Show, OnlyWhatIsSetSomewhere) {
  EXPECT_EQ(show(loaded("threads = 0\nauth.allow_anonymous = true\n"), {.origin = true, .changed = true}),
            "threads = 0  # c.toml:1\n"
            "\n"
            "[[listener]]\n"
            "name = \"mqtt\"          # default\n"
            "bind = \"0.0.0.0:1883\"  # default\n"
            "\n"
            "[auth]\n"
            "allow_anonymous = true  # c.toml:2\n");
}

}  // namespace
}  // namespace courier::config
