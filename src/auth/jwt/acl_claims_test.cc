#include "auth/jwt/acl_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "auth/jwt/limits.h"
#include "jose/errc.h"

namespace courier::auth::jwt {
namespace {

using testing::HasSubstr;

// "+p s orders/# label", one a rule; the error otherwise.
std::string rules(const std::string& claims) {
  const auto grants = grants_of(jose::parse_object(claims).value(), "acl");
  if (!grants) {
    EXPECT_EQ(grants.error().code, jose::errc::bad_claim);
    return grants.error().message;
  }
  std::string out;
  for (const Grant& grant : *grants) {
    out +=
        fmt::format("{}{}{} {}{};", grant.deny ? "-" : "+", grant.publish ? "p" : "",
                    grant.subscribe ? "s" : "", grant.filter, grant.label.empty() ? "" : " " + grant.label);
  }
  return out;
}

TEST(AclClaims, EachAccessGivesItsRule) {
  EXPECT_EQ(
      rules(R"({"acl":[{"topic":"a/%u/#","access":"read"},{"filter":"b","access":"write","label":"up"},)"
            R"({"topic":"c/+","access":"readwrite"},{"topic":"d","access":"deny"}]})"),
      "+s a/%u/#;+p b up;+ps c/+;-ps d;");
}

TEST(AclClaims, PublAndSubsAreListsOfTopics) {
  EXPECT_EQ(rules(R"({"publ":["up/%c"],"subs":["down/#","all"]})"), "+p up/%c;+s down/#;+s all;");
  EXPECT_EQ(rules(R"({"acl":[{"topic":"a","access":"deny"}],"subs":["b"]})"), "-ps a;+s b;");
}

TEST(AclClaims, NoClaimIsNoRuleAndAnEmptyListDeniesAll) {
  EXPECT_EQ(rules(R"({"sub":"a"})"), "");
  EXPECT_EQ(rules(R"({"acl":[]})"), "-ps #;");
  EXPECT_EQ(rules(R"({"publ":[],"subs":[]})"), "-ps #;");
  EXPECT_EQ(rules(R"({"acl":[],"subs":["a"]})"), "+s a;");
}

TEST(AclClaims, ARuleThatIsNotUnderstoodFailsThemAll) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"acl":"a"})", "the claim \"acl\" is not a list"},
      {R"({"publ":{"a":1}})", "the claim \"publ\" is not a list"},
      {R"({"acl":["a"]})", "rule 1 of the claim \"acl\": it is not an object"},
      {R"({"acl":[{"topic":"a","access":"read"},{"topic":"a"}]})",
       "rule 2 of the claim \"acl\": its access is missing"},
      {R"({"acl":[{"topic":"a","access":"Read"}]})", "its access is not read"},
      {R"({"acl":[{"topic":"a","access":["read"]}]})", "its access is missing"},
      {R"({"acl":[{"access":"read"}]})", "either \"topic\" or \"filter\""},
      {R"({"acl":[{"topic":"a","filter":"b","access":"read"}]})", "either \"topic\" or \"filter\""},
      {R"({"acl":[{"topic":"a/#/b","access":"read"}]})", "not a topic filter"},
      {R"({"acl":[{"topic":"","access":"read"}]})", "not a topic filter"},
      {R"({"acl":[{"topic":7,"access":"read"}]})", "its topic is not text"},
      {R"({"acl":[{"topic":"a","access":"read","label":"two words"}]})", "its label has"},
      {R"({"acl":[{"topic":"a","access":"read","qos":1}]})", "\"qos\" is not known"},
      {R"({"subs":["a\u0000b"]})", "rule 1 of the claim \"subs\": its topic is not a topic filter"},
  };
  for (const auto& [claims, reason] : cases) EXPECT_THAT(rules(claims), HasSubstr(reason)) << claims;
}

TEST(AclClaims, ThereIsALimit) {
  std::string many = R"({"subs":[)";
  for (size_t i = 0; i < kGrantsMax; ++i) many += "\"a\",";
  many.back() = ']';
  EXPECT_EQ(grants_of(jose::parse_object(many + "}").value(), "acl")->size(), kGrantsMax);
  EXPECT_THAT(rules(many + R"(,"publ":["b"]})"), HasSubstr("more than"));
}

}  // namespace
}  // namespace courier::auth::jwt
