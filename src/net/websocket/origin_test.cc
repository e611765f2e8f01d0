#include "net/websocket/origin.h"

#include <gtest/gtest.h>

namespace courier::net::websocket {
namespace {

bool matches(std::string_view pattern, std::string_view origin) {
  auto parsed = OriginPattern::parse(pattern);
  EXPECT_TRUE(parsed) << pattern;
  return parsed && parsed->matches(origin);
}

TEST(Origin, OfAHostMatchesAnySchemeAndPort) {
  EXPECT_TRUE(matches("app.example.com", "https://app.example.com"));
  EXPECT_TRUE(matches("app.example.com", "http://App.Example.COM:8080"));
  EXPECT_FALSE(matches("app.example.com", "https://evil-app.example.com"));
  EXPECT_FALSE(matches("app.example.com", "https://app.example.com.evil.test"));
  EXPECT_FALSE(matches("app.example.com", "https://x.app.example.com"));
}

TEST(Origin, WithASchemeMatchesThatSchemesOwnPort) {
  EXPECT_TRUE(matches("https://app.example.com", "https://app.example.com"));
  EXPECT_TRUE(matches("https://app.example.com", "https://app.example.com:443"));
  EXPECT_FALSE(matches("https://app.example.com", "https://app.example.com:8443"));
  EXPECT_FALSE(matches("https://app.example.com", "http://app.example.com"));
  EXPECT_TRUE(matches("https://app.example.com:8443", "https://app.example.com:8443"));
  EXPECT_TRUE(matches("http://[::1]:3000", "http://[::1]:3000"));
}

TEST(Origin, PatternMatchesWhatIsBelowAndNotItself) {
  EXPECT_TRUE(matches("*.example.com", "https://a.example.com"));
  EXPECT_TRUE(matches("*.example.com", "https://a.b.example.com:1"));
  EXPECT_FALSE(matches("*.example.com", "https://example.com"));
  EXPECT_FALSE(matches("*.example.com", "https://evilexample.com"));
  EXPECT_FALSE(matches("*.example.com", "https://.example.com"));
  EXPECT_TRUE(matches("https://*.example.com", "https://a.example.com"));
  EXPECT_FALSE(matches("https://*.example.com", "http://a.example.com"));
}

TEST(Origin, NullAndStarAreWhatTheySay) {
  EXPECT_TRUE(matches("null", "null"));
  EXPECT_FALSE(matches("app.example.com", "null"));
  EXPECT_TRUE(matches("*", "null"));
  EXPECT_TRUE(matches("*", "anything at all"));
}

TEST(Origin, ThatIsNoneMatchesNothing) {
  for (const char* origin :
       {"", "://", "https://", "https://a.example.com/path", "https://user@a.example.com",
        "https://a.example.com:", "https://a.example.com:port", "http://[::1"}) {
    EXPECT_FALSE(matches("*.example.com", origin)) << origin;
    EXPECT_FALSE(matches("a.example.com", origin)) << origin;
  }
}

TEST(Origin, PatternsThatMeanNothingAreRefusedWithTheForm) {
  for (const char* pattern : {"", "*.", "a.*.example.com", "https://", "*example.com", "example.com/path"}) {
    const auto parsed = OriginPattern::parse(pattern);
    ASSERT_FALSE(parsed) << pattern;
    EXPECT_NE(parsed.error().message.find("*.example.com"), std::string::npos);
  }
}

}  // namespace
}  // namespace courier::net::websocket
