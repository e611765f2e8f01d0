#include "jose/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jose/errc.h"

namespace courier::jose {
namespace {

using testing::HasSubstr;

Json claims(std::string_view text) {
  auto json = parse_object(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json::object();
}
std::error_code code_at(std::string_view text, WallMs now, int64_t leeway_ms = 0) {
  const auto times = times_of(claims(text));
  if (!times) return times.error().code;
  const auto good = check_times(*times, now, leeway_ms);
  return good ? std::error_code() : good.error().code;
}
const std::error_code kGood;

TEST(Times, ATokenExpiresAtItsExpAndNotAfter) {
  EXPECT_EQ(code_at(R"({"exp":1000})", 999'999), kGood);
  EXPECT_EQ(code_at(R"({"exp":1000})", 1'000'000), errc::expired);
  EXPECT_EQ(code_at(R"({"exp":1000.5})", 1'000'499), kGood);
  EXPECT_EQ(code_at(R"({"exp":1000.5})", 1'000'500), errc::expired);
  EXPECT_EQ(code_at("{}", 1'000'000), kGood);
}

TEST(Times, NbfAndIatInTheFutureAreNotYetValid) {
  EXPECT_EQ(code_at(R"({"nbf":1000})", 999'999), errc::not_yet_valid);
  EXPECT_EQ(code_at(R"({"nbf":1000})", 1'000'000), kGood);
  EXPECT_EQ(code_at(R"({"iat":1000})", 999'999), errc::not_yet_valid);
  EXPECT_EQ(code_at(R"({"iat":1000})", 1'000'000), kGood);
}

TEST(Times, TheLeewayGoesToBothSides) {
  EXPECT_EQ(code_at(R"({"exp":1000})", 1'004'999, 5'000), kGood);
  EXPECT_EQ(code_at(R"({"exp":1000})", 1'005'000, 5'000), errc::expired);
  EXPECT_EQ(code_at(R"({"nbf":1000})", 995'000, 5'000), kGood);
  EXPECT_EQ(code_at(R"({"nbf":1000})", 994'999, 5'000), errc::not_yet_valid);
}

TEST(Times, WhatIsNoTimeIsABadClaim) {
  for (const char* text : {R"({"exp":"1000"})", R"({"exp":-1})", R"({"exp":1e300})", R"({"nbf":null})",
                           R"({"iat":[1]})", R"({"exp":1700000000000})"}) {
    EXPECT_EQ(code_at(text, 0), errc::bad_claim) << text;
  }
  EXPECT_THAT(times_of(claims(R"({"exp":1700000000000})")).error().message,
              HasSubstr("milliseconds, perhaps"));
}

TEST(Times, AreSaidInWords) {
  EXPECT_EQ(check_times(*times_of(claims(R"({"exp":1000})")), 1'180'000, 0).error().message,
            "the token expired 3 min ago");
  EXPECT_EQ(in_words(45'000), "45 s");
  EXPECT_EQ(in_words(2 * 3'600'000 + 300'000), "2 h 5 min");
  EXPECT_EQ(in_words(12 * 86'400'000LL), "12 days");
  EXPECT_EQ(in_words(-5), "0 s");
}

TEST(Issuer, MustBeTheOneText) {
  EXPECT_TRUE(check_issuer(claims(R"({"iss":"https://a"})"), "https://a"));
  EXPECT_EQ(check_issuer(claims(R"({"iss":"https://a/"})"), "https://a").error().code, errc::wrong_issuer);
  EXPECT_EQ(check_issuer(claims(R"({"iss":["https://a"]})"), "https://a").error().code, errc::wrong_issuer);
  EXPECT_EQ(check_issuer(claims("{}"), "https://a").error().code, errc::missing_claim);
}

TEST(Audience, IsOneTextOrSeveral) {
  const std::string ours[] = {"courier", "mqtt"};
  EXPECT_TRUE(check_audience(claims(R"({"aud":"mqtt"})"), ours));
  EXPECT_TRUE(check_audience(claims(R"({"aud":["web","courier"]})"), ours));
  EXPECT_EQ(check_audience(claims(R"({"aud":["web"]})"), ours).error().code, errc::wrong_audience);
  EXPECT_EQ(check_audience(claims(R"({"aud":[]})"), ours).error().code, errc::wrong_audience);
  EXPECT_EQ(check_audience(claims(R"({"aud":["courier",1]})"), ours).error().code, errc::bad_claim);
  EXPECT_EQ(check_audience(claims(R"({"aud":7})"), ours).error().code, errc::bad_claim);
  EXPECT_EQ(check_audience(claims("{}"), ours).error().code, errc::missing_claim);
}

TEST(Claims, AreFoundByNameOrByPath) {
  const Json json = claims(R"({"a":{"b":{"c":1}},"a.b":2,"https://x.example/t":3,"s":"text"})");
  EXPECT_EQ(*find_claim(json, "a.b.c"), 1);
  EXPECT_EQ(*find_claim(json, "a.b"), 2);  // a claim of that very name wins
  EXPECT_EQ(*find_claim(json, "https://x.example/t"), 3);
  EXPECT_EQ(find_claim(json, "a.x"), nullptr);
  EXPECT_EQ(find_claim(json, "s.t"), nullptr);
  EXPECT_EQ(find_claim(json, ""), nullptr);
}

}  // namespace
}  // namespace courier::jose
