#include "auth/jwt/claim_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/jwt/errc.h"
#include "auth/jwt/limits.h"
#include "jose/errc.h"

namespace courier::auth::jwt {
namespace {

using testing::HasSubstr;

std::string filled(std::string_view text, std::string_view claims) {
  const auto made = ClaimTemplate::parse(text);
  if (!made) return "template: " + made.error().message;
  const auto out = made->fill(jose::parse_object(claims).value());
  return out ? *out : "claims: " + out.error().message;
}

TEST(ClaimTemplate, FillsClaimsByNameAndByPath) {
  constexpr const char* kClaims =
      R"({"sub":"ann","tenant":"acme","device":{"id":7},"https://x.example/t":"z","n":-3})";
  EXPECT_EQ(filled("{sub}", kClaims), "ann");
  EXPECT_EQ(filled("{tenant}-{device.id}", kClaims), "acme-7");
  EXPECT_EQ(filled("a/{sub}/b", kClaims), "a/ann/b");
  EXPECT_EQ(filled("{https://x.example/t}{n}", kClaims), "z-3");
  EXPECT_EQ(filled("{{{sub}}}", kClaims), "{ann}");
}

TEST(ClaimTemplate, WhatIsNoTemplateIsSaidSo) {
  EXPECT_THAT(filled("{sub", "{}"), HasSubstr("not closed"));
  EXPECT_THAT(filled("sub}", "{}"), HasSubstr("no \"{\" before it"));
  EXPECT_THAT(filled("{}", "{}"), HasSubstr("hold the name of a claim"));
  EXPECT_THAT(filled("{a{b}", "{}"), HasSubstr("hold the name of a claim"));
  EXPECT_THAT(filled("all-the-same", "{}"), HasSubstr("no claim in it"));
  EXPECT_THAT(filled("{{sub}}", "{}"), HasSubstr("no claim in it"));
  EXPECT_THAT(filled("{sub}\n", "{}"), HasSubstr("control characters"));
  EXPECT_EQ(ClaimTemplate::parse("{sub}" + std::string(kTemplateBytesMax, 'x')).error().code,
            errc::bad_template);
}

TEST(ClaimTemplate, AClaimThatCannotBeFilledInIsNamed) {
  EXPECT_EQ(filled("{sub}", "{}"), "claims: the claim \"sub\" is missing");
  EXPECT_EQ(filled("{sub}", R"({"sub":null})"), "claims: the claim \"sub\" is missing");
  EXPECT_EQ(filled("{sub}", R"({"sub":""})"), "claims: the claim \"sub\" is empty");
  EXPECT_EQ(filled("{a.b}", R"({"a":"text"})"), "claims: the claim \"a.b\" is missing");
  for (const char* value : {"1.5", "true", "[1]", "{}"}) {
    EXPECT_THAT(filled("{sub}", std::string(R"({"sub":)") + value + "}"),
                HasSubstr("neither text nor a whole number"));
  }
  EXPECT_THAT(filled("{sub}", R"({"sub":"a\u0000b"})"), HasSubstr("control characters"));
  EXPECT_THAT(filled("{sub}", R"({"sub":")" + std::string(kFilledBytesMax + 1, 'x') + "\"}"),
              HasSubstr("more than"));
  EXPECT_THAT(filled("{a}{a}", R"({"a":")" + std::string(kFilledBytesMax, 'x') + "\"}"),
              HasSubstr("more than"));
}

}  // namespace
}  // namespace courier::auth::jwt
