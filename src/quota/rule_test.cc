#include "quota/rule.h"

#include <gtest/gtest.h>

#include "quota/limits.h"

namespace courier::quota {
namespace {

Rule rule_named(std::string name) {
  Rule rule;
  rule.name = std::move(name);
  return rule;
}

TEST(QuotaRule, StarStandsForAnythingOrNothing) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*", "anything"));
  EXPECT_TRUE(matches("device-*", "device-"));
  EXPECT_TRUE(matches("device-*", "device-7"));
  EXPECT_FALSE(matches("device-*", "my-device-7"));
  EXPECT_TRUE(matches("*-device-*", "my-device-7"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("a*b*c", "aXbYbZ"));
  EXPECT_TRUE(matches("a**c", "ac"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "x"));
  EXPECT_FALSE(matches("abc", "ab"));
}

// Who chooses both cannot make it slow: no step is taken twice for the same pair of places but one.
TEST(QuotaRule, HostilePatternsEndInTime) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(matches(pattern + "b", std::string(60'000, 'a')));
}

TEST(QuotaRule, AllThatIsGivenMustMatch) {
  Rule rule = rule_named("phones");
  rule.listener = "mobile";
  rule.mountpoint = "tenant-*";
  EXPECT_TRUE(matches(rule, {"mobile", "tenant-a", "anybody"}));
  EXPECT_FALSE(matches(rule, {"inside", "tenant-a", "anybody"}));
  EXPECT_FALSE(matches(rule, {"mobile", "", "anybody"}));
  rule.username = "";
  EXPECT_FALSE(matches(rule, {"mobile", "tenant-a", "anybody"}));
  EXPECT_TRUE(matches(rule, {"mobile", "tenant-a", ""}));
}

TEST(QuotaRule, WhatCannotBeIsExplained) {
  const auto wrong = [](auto&& change) {
    Rule rule = rule_named("r");
    change(rule);
    return problem(rule).value_or("");
  };
  EXPECT_NE(wrong([](Rule&) {}).find("limits nothing"), std::string::npos);
  EXPECT_EQ(wrong([](Rule& rule) { rule.messages = {10, 0}; }), "");
  EXPECT_NE(wrong([](Rule& rule) { rule.connections_max = 1; }).find("per = \"identity\""),
            std::string::npos);
  EXPECT_EQ(wrong([](Rule& rule) {
              rule.connections_max = 1;
              rule.per = Per::listener;
            }),
            "");
  EXPECT_NE(wrong([](Rule& rule) {
              rule.messages = {10, 0};
              rule.label = "chat";
              rule.inflight_max = 3;
            }).find("a label is about messages"),
            std::string::npos);
  EXPECT_NE(wrong([](Rule& rule) {
              rule.payload_bytes_max = 5;
              rule.bytes = {0, 10};
            }).find("bytes_burst needs bytes_per_second"),
            std::string::npos);
  EXPECT_NE(wrong([](Rule& rule) {
              rule.name = "";
              rule.payload_bytes_max = 5;
            }).find("name"),
            std::string::npos);
  EXPECT_NE(wrong([](Rule& rule) {
              rule.messages = {kPerSecondMax + 1, 0};
            }).find("at most"),
            std::string::npos);
}

TEST(QuotaRule, AnExplanationNamesTheLimitAndItsValue) {
  Rule rule = rule_named("phones");
  rule.messages = {10, 0};
  rule.per = Per::identity;
  EXPECT_EQ(explain(rule, What::messages_per_second),
            "limit phones: more than 10 messages in a second (per identity)");
}

}  // namespace
}  // namespace courier::quota
