#include "auth/acl/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "auth/acl/rule_set.h"

namespace courier::auth::acl {
namespace {

using testing::HasSubstr;

struct Client {
  std::string username = "alice", client_id = "phone-7", mountpoint;
};

Explanation why(std::string_view text, Action action, std::string_view topic, const Client& client = {},
                std::vector<Grant> grants = {}, size_t nearest_max = kNearestRulesMax) {
  Labels labels;
  const auto rules = RuleSet::parse(text, "/etc/acl", labels);
  if (!rules) {
    ADD_FAILURE() << spelt("acl", rules.error());
    return {};
  }
  const auto compiled = RuleSet::of_grants(grants, labels);
  const Subject subject{client.username, client.client_id, client.mountpoint,
                        grants.empty() ? nullptr : compiled->get()};
  return explain(**rules, subject, action, topic, nearest_max);
}

std::string said(std::string_view text, Action action, std::string_view topic, const Client& client = {}) {
  return why(text, action, topic, client).text();
}

TEST(Explanation, NamesTheRuleThatAllows) {
  const Explanation one =
      why("topic read x\npattern readwrite up/%c label up", Action::publish, "up/phone-7");
  EXPECT_EQ(one.text(),
            "publish to \"up/phone-7\" is allowed by /etc/acl:2 `pattern readwrite up/%c label up` (%c is "
            "\"phone-7\")");
  EXPECT_TRUE(one.allowed);
  EXPECT_EQ(one.rule->line, 2U);
  EXPECT_EQ(one.rule->label, "up");
  EXPECT_EQ(one.rule->file, "/etc/acl");
  ASSERT_EQ(one.variables.size(), 1U);
  EXPECT_EQ(one.variables[0].name, "%c");
  EXPECT_FALSE(one.nearest);
}

TEST(Explanation, NamesTheRuleThatDenies) {
  EXPECT_EQ(said("topic readwrite a/#\nuser alice\ntopic deny a/b", Action::publish, "a/b"),
            "publish to \"a/b\" is refused by /etc/acl:3 `topic deny a/b` (user \"alice\"); nearest: "
            "/etc/acl:1 `topic "
            "readwrite a/#` would allow it otherwise");
  EXPECT_EQ(
      said("topic readwrite a/#\ntopic deny a/b", Action::subscribe, "a/#"),
      "subscribe to \"a/#\" is refused by /etc/acl:2 `topic deny a/b`, which takes away part of it; nearest: "
      "/etc/acl:1 `topic readwrite a/#` would allow it otherwise");
}

TEST(Explanation, TheNearestRuleIsTheOneAPersonWouldPointAt) {
  const auto nearest = [](std::string_view text, Action action, std::string_view topic,
                          const Client& client = {}) {
    const Explanation one = why(text, action, topic, client);
    EXPECT_EQ(one.outcome, Explanation::Outcome::no_rule);
    return one.nearest ? fmt::format("{}: {}", one.nearest->line, one.difference) : "none";
  };
  const char* const text =
      "topic read orders/+/status\n"
      "topic read all/#\n"
      "user bob\n"
      "topic write orders/bob/new\n"
      "pattern write devices/%c/up\n"
      "token write pieces/%(c, :, 2)\n";
  EXPECT_EQ(nearest(text, Action::publish, "orders/7/status"), "1: allows reading it, not writing");
  EXPECT_EQ(nearest(text, Action::subscribe, "orders/7/state"),
            "1: has \"status\" at level 3, not \"state\"");
  EXPECT_EQ(nearest(text, Action::subscribe, "orders/+/+"),
            "1: covers only part of it: level 3 is \"status\" there");
  EXPECT_EQ(nearest(text, Action::subscribe, "orders/#"), "1: covers only part of it");
  EXPECT_EQ(nearest(text, Action::publish, "orders/bob/new"), "4: is for user \"bob\", not \"alice\"");
  EXPECT_EQ(nearest(text, Action::publish, "orders/bob/new", {.username = ""}),
            "4: is for user \"bob\", and this client has no user name");
  EXPECT_EQ(nearest(text, Action::publish, "devices/phone-8/up"),
            "5: has %c at level 2, which is \"phone-7\" and not \"phone-8\"");
  EXPECT_EQ(nearest(text, Action::publish, "devices/a/up", {.client_id = "a/b"}),
            "5: needs %c, and \"a/b\" cannot be within a level");
  EXPECT_EQ(nearest(text, Action::publish, "pieces/7"),
            "6: needs %(c, :, 2), which this client does not have");
  EXPECT_EQ(nearest(text, Action::publish, "devices/phone-7/up/now"), "5: is about 3 levels, not 4");
  EXPECT_EQ(nearest(text, Action::subscribe, "devices/phone-7/up"), "5: allows writing it, not reading");
  EXPECT_EQ(nearest(text, Action::publish, "nothing/like/it"), "none");
  EXPECT_EQ(nearest("topic read a/b/#", Action::subscribe, "a"), "1: is about 2 levels or more, not 1");
  EXPECT_EQ(nearest("topic read +/x", Action::subscribe, "$SYS/x"),
            "1: begins with a wildcard, which does not stand for topics that begin with $");
  EXPECT_EQ(nearest("pattern read %c/x", Action::subscribe, "$SYS/x", {.client_id = "$SYS"}),
            "1: begins with a variable, which does not stand for topics that begin with $");
  EXPECT_EQ(nearest("", Action::publish, "a"), "none");
}

TEST(Explanation, NamesRulesThatCameWithTheClient) {
  const std::vector<Grant> grants = {{.filter = "up/%c", .label = "up", .publish = true}};
  EXPECT_EQ(why("topic read x", Action::publish, "up/phone-7", {}, grants).text(),
            "publish to \"up/phone-7\" is allowed by rule 1 that came with the client `grant write up/%c "
            "label up` (%c "
            "is \"phone-7\")");
  EXPECT_THAT(
      why("topic read x", Action::subscribe, "up/phone-7", {}, grants).text(),
      HasSubstr(
          "nearest: rule 1 that came with the client `grant write up/%c label up` allows writing it, not "
          "reading"));
}

TEST(Explanation, SaysWhenThereIsNothingToDecide) {
  Labels labels;
  EXPECT_EQ(explain(*RuleSet::open(labels), {}, Action::publish, "a").text(),
            "publish to \"a\" is allowed: there are no access rules");
  EXPECT_EQ(said("topic readwrite #", Action::publish, "a/+"),
            "publish to \"a/+\" is refused: that is no topic");
  EXPECT_EQ(said("topic readwrite #", Action::subscribe, "a/#/b"),
            "subscribe to \"a/#/b\" is refused: that is no topic filter");
  EXPECT_EQ(said("topic readwrite #", Action::subscribe, "$share/g"),
            "subscribe to \"$share/g\" is refused: that is no topic filter");
  EXPECT_THAT(said("topic read a", Action::subscribe, "$share/g/a"), HasSubstr("is allowed by /etc/acl:1"));
}

TEST(Explanation, IsOneBoundedLineWhateverTheClientSends) {
  const std::string hostile = "a\n\x1b[2J\xff\u202e" + std::string(60'000, 'x');
  const std::string text = said("pattern read a/%u/%c\nuser bob\ntopic write a/b/c", Action::subscribe,
                                "a/" + hostile + "/c", {.username = hostile, .client_id = hostile});
  EXPECT_LT(text.size(), 1024U);
  EXPECT_EQ(text.find_first_of("\n\x1b\xff"), std::string::npos);
  EXPECT_THAT(text, HasSubstr("a/a\\x0a\\x1b[2J"));
  const std::string deep(60'000, '/');
  EXPECT_LT(said("topic read a/+/#", Action::subscribe, "a" + deep).size(), 1024U);
}

TEST(Explanation, ComparesOnlySoManyRulesAndThoseForThisClientFirst) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += fmt::format("user user-{}\ntopic write a/x\n", i);
  text += "user alice\ntopic read a/x\n";
  EXPECT_EQ(why(text, Action::publish, "a/x").nearest->line, 6002U);
  EXPECT_EQ(why(text, Action::publish, "a/x", {}, {}, 1).nearest->user, "alice");
  EXPECT_FALSE(why(text, Action::publish, "a/x", {}, {}, 0).nearest);
}

}  // namespace
}  // namespace courier::auth::acl
