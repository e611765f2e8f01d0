#include "auth/acl/rule_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include <fmt/format.h>

#include "auth/acl/decision_cache.h"
#include "auth/acl/grants.h"
#include "auth/acl/limits.h"

namespace {
thread_local size_t allocation_count = 0;
}

// Counted, so that "allocates nothing" is a test and not a hope. Not inlined: the compiler would see malloc()
// on one side only and take the pair for mismatched.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocation_count;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocation_count;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace courier::auth::acl {
namespace {

using testing::HasSubstr;

// A file, and one client that asks.
struct Bed {
  Labels labels;
  std::shared_ptr<const RuleSet> rules;
  std::shared_ptr<const RuleSet> grants;
  std::string username = "alice", client_id = "phone", mountpoint;

  explicit Bed(std::string_view text) {
    auto parsed = RuleSet::parse(text, "acl", labels);
    if (!parsed) ADD_FAILURE() << spelt("acl", parsed.error());
    if (parsed) rules = *parsed;
  }
  Bed& as(std::string user, std::string client = "phone", std::string mount = "") {
    username = std::move(user);
    client_id = std::move(client);
    mountpoint = std::move(mount);
    return *this;
  }
  Bed& with(std::vector<Grant> given) {
    auto compiled = RuleSet::of_grants(given, labels);
    if (!compiled) ADD_FAILURE() << compiled.error().message;
    if (compiled) grants = *compiled;
    return *this;
  }
  Subject subject() const { return {username, client_id, mountpoint, grants.get()}; }
  Answer ask(Action action, std::string_view topic) const { return rules->check(subject(), action, topic); }
  bool publish(std::string_view topic) const { return ask(Action::publish, topic).allowed; }
  bool subscribe(std::string_view filter) const { return ask(Action::subscribe, filter).allowed; }
  uint32_t line(Action action, std::string_view topic) const {
    const Answer answer = ask(action, topic);
    return answer.rule == kNoRule ? 0 : rules->rules()[answer.rule].line;
  }
};

TEST(RuleSet, WhatNoRuleAllowsIsRefused) {
  const Bed empty("");
  EXPECT_FALSE(empty.publish("a"));
  EXPECT_FALSE(empty.subscribe("a"));
  EXPECT_EQ(empty.ask(Action::publish, "a"), Answer());
  const Bed bed("topic read a/+\ntopic write b\n");
  EXPECT_TRUE(bed.subscribe("a/x"));
  EXPECT_FALSE(bed.publish("a/x"));
  EXPECT_TRUE(bed.publish("b"));
  EXPECT_FALSE(bed.subscribe("b"));
  EXPECT_FALSE(bed.publish("c"));
}

TEST(RuleSet, ARuleMustCoverAllThatAFilterCouldMatch) {
  const auto covers = [](std::string_view rule, std::string_view filter) {
    return Bed(fmt::format("topic read {}", rule)).subscribe(filter);
  };
  EXPECT_TRUE(covers("a/#", "a/+/c"));
  EXPECT_TRUE(covers("a/#", "a/b/#"));
  EXPECT_TRUE(covers("a/#", "a/#"));
  EXPECT_TRUE(covers("a/#", "a"));
  EXPECT_TRUE(covers("a/+", "a/+"));
  EXPECT_FALSE(covers("a/+", "a/#"));
  EXPECT_FALSE(covers("a/b", "a/+"));
  EXPECT_FALSE(covers("a/+/#", "a/#")) << "a itself";
  EXPECT_TRUE(covers("+/#", "#")) << "every topic has a first level";
  EXPECT_TRUE(covers("#", "+/#"));
  EXPECT_FALSE(covers("+/+/#", "#"));
  EXPECT_FALSE(covers("a/b/#", "a/#"));
  EXPECT_FALSE(Bed("topic read a/+\ntopic read a/+/#\ntopic read a").subscribe("a/#"))
      << "parts are not added up";
}

TEST(RuleSet, ADenyRuleWinsWhereverItStands) {
  const char* const allow_first = "topic readwrite a/#\nuser alice\ntopic deny a/secret\n";
  const char* const deny_first =
      "topic deny a/secret\nuser alice\ntopic readwrite a/secret\ntopic readwrite a/#\n";
  const char* const in_pattern = "user alice\ntopic readwrite a/#\npattern deny a/secret\n";
  for (const char* text : {allow_first, deny_first, in_pattern}) {
    const Bed bed(text);
    EXPECT_TRUE(bed.publish("a/b")) << text;
    EXPECT_FALSE(bed.publish("a/secret")) << text;
    EXPECT_FALSE(bed.subscribe("a/secret")) << text;
    EXPECT_FALSE(bed.subscribe("a/#")) << text;
    EXPECT_FALSE(bed.subscribe("+/secret")) << text;
    EXPECT_TRUE(bed.subscribe("a/b/#")) << text;
  }
  EXPECT_TRUE(Bed(allow_first).as("bob").publish("a/secret")) << "denied to alice only";
}

TEST(RuleSet, ADenyRuleIsMetByAnyTopicThatBothMatch) {
  const auto meets = [](std::string_view rule, std::string_view filter) {
    const Bed bed(fmt::format("topic readwrite #\ntopic readwrite $x/#\ntopic deny {}", rule));
    return !bed.subscribe(filter);
  };
  EXPECT_TRUE(meets("+/b", "a/+"));
  EXPECT_TRUE(meets("a/+/c", "+/b/#"));
  EXPECT_TRUE(meets("a", "a/#"));
  EXPECT_TRUE(meets("a/#", "a"));
  EXPECT_TRUE(meets("a/b/c", "#"));
  EXPECT_TRUE(meets("#", "a"));
  EXPECT_FALSE(meets("a/b", "a/+/+"));
  EXPECT_FALSE(meets("a/b", "+/c"));
  EXPECT_FALSE(meets("a/b/c", "a/b"));
  EXPECT_FALSE(meets("$x/a", "#")) << "[MQTT-4.7.2-1]";
  EXPECT_FALSE(meets("$x/a", "+/a"));
  EXPECT_FALSE(meets("#", "$x/a"));
  EXPECT_FALSE(meets("+/a", "$x/#"));
  EXPECT_TRUE(meets("$x/a", "$x/+"));
}

TEST(RuleSet, TheFirstRuleInTheOrderOfSectionsDecidesTheLabel) {
  const Bed bed(
      "topic read other label x\n"
      "user alice\n"
      "topic read a/# label second\n"
      "topic read a/+ label third\n"
      "token read a/#\n"
      "pattern read a/b/# label fourth\n");
  EXPECT_EQ(bed.line(Action::subscribe, "a/b"), 3U);
  EXPECT_EQ(bed.labels.name(bed.ask(Action::subscribe, "a/b").label), "second");
  Bed others("user bob\ntopic read a\ntoken read a/#\npattern read a/b/# label fourth\n");
  EXPECT_EQ(others.line(Action::subscribe, "a/b"), 4U) << "patterns before tokens, whatever the lines";
  EXPECT_EQ(others.line(Action::subscribe, "a/c"), 3U);
  EXPECT_EQ(Bed("topic read a\nuser alice\ntopic read a").line(Action::subscribe, "a"), 1U);
  const Bed denied("topic read # label all\npattern deny b label never\ntopic deny b label first");
  EXPECT_EQ(denied.labels.name(denied.ask(Action::subscribe, "b").label), "first")
      << "of the deny rules, too";
}

TEST(RuleSet, VariablesStandForWhatTheClientIs) {
  Bed bed(
      "pattern readwrite u/%u/c/%c/m/%m\n"
      "pattern readwrite x-%u-%c-y/+\n"
      "token readwrite piece/%(c, :, 3)/#\n"
      "token readwrite org/%(u, /, 2)\n"
      "pattern readwrite percent/%%c\n");
  bed.as("alice", "phone:1:7", "acme");
  EXPECT_TRUE(bed.publish("u/alice/c/phone:1:7/m/acme"));
  EXPECT_FALSE(bed.publish("u/bob/c/phone:1:7/m/acme"));
  EXPECT_TRUE(bed.publish("x-alice-phone:1:7-y/z"));
  EXPECT_FALSE(bed.publish("x-alice-phone:1:7-/z"));
  EXPECT_TRUE(bed.publish("piece/7/deep/er"));
  EXPECT_TRUE(bed.subscribe("piece/7/#"));
  EXPECT_FALSE(bed.publish("piece/1/a"));
  EXPECT_TRUE(bed.publish("percent/%c"));
  EXPECT_TRUE(bed.as("acme/alice").publish("org/alice"));
  EXPECT_FALSE(bed.as("alice", "phone:1").publish("piece/")) << "there is no third piece";
  EXPECT_FALSE(bed.as("alice", "phone:1:").publish("piece/")) << "it is empty";
}

TEST(RuleSetInjection, AValueWithAWildcardOrSlashWidensNothing) {
  const char* const text =
      "pattern readwrite device/%c/in\npattern readwrite group/%u/#\ntoken read t/%(c, :, 2)/x\n";
  for (const char* hostile : {"#", "+", "a/b", "/", "a/#", "+/+", "a+", "#b"}) {
    Bed bed(text);
    bed.as(hostile, hostile);
    for (const char* topic :
         {"device/a/in", "device/a/b/in", "device/x/y", "group/a/b", "group/x", "t/a/x"}) {
      EXPECT_FALSE(bed.publish(topic)) << hostile;
    }
    for (const char* filter :
         {"#", "device/#", "device/+/in", "device/a/b/in", "device/#/in", "device/+/+/in", "device/a/in",
          "group/#", "group/+/#", "group/a/b/#", "group/a/#", "+/+/+", "t/+/x"}) {
      EXPECT_FALSE(bed.subscribe(filter)) << hostile << " " << filter;
    }
    EXPECT_FALSE(bed.subscribe(fmt::format("device/{}/in", hostile)));
    bed.as("alice", fmt::format("x:{}", hostile));
    EXPECT_FALSE(bed.subscribe("t/+/x"));
    EXPECT_FALSE(bed.subscribe(fmt::format("t/{}/x", hostile)));
  }
}

TEST(RuleSetInjection, ANameThatBeginsWithADollarReachesNoneOfTheBrokersTopics) {
  Bed bed("pattern readwrite %c/#\npattern readwrite %u%c\ntopic readwrite #\n");
  bed.as("$SYS", "$SYS");
  EXPECT_FALSE(bed.subscribe("$SYS/#"));
  EXPECT_FALSE(bed.subscribe("$SYS"));
  EXPECT_FALSE(bed.publish("$SYS/broker"));
  EXPECT_FALSE(bed.publish("$SYS$SYS"));
  Bed below("pattern read x/%c/#");
  EXPECT_TRUE(below.as("a", "$SYS").subscribe("x/$SYS/a")) << "only the first level is the broker's";
  EXPECT_TRUE(Bed("pattern read $app/%c").subscribe("$app/phone")) << "the rule names it itself";
}

TEST(RuleSetInjection, WhoHasNoNameHasNoRulesForNames) {
  Bed bed("pattern readwrite u/%u\npattern readwrite u/%u/#\npattern readwrite u%u\n");
  bed.as("");
  for (const char* topic : {"u", "u/", "u//", "u//x"}) EXPECT_FALSE(bed.publish(topic)) << topic;
  for (const char* filter : {"u/+", "u/#", "u/", "u"}) EXPECT_FALSE(bed.subscribe(filter)) << filter;
}

TEST(RuleSetInjection, AHostileNameDoesNotUndoADenyRule) {
  const char* const text = "topic readwrite room/#\npattern deny room/%c\ntopic deny room/admin\n";
  for (const char* hostile : {"#", "+", "a/b", "", "$"}) {
    Bed bed(text);
    bed.as("alice", hostile);
    EXPECT_FALSE(bed.publish("room/admin")) << hostile;
    EXPECT_FALSE(bed.subscribe("room/#")) << hostile;
    EXPECT_TRUE(bed.publish("room/other")) << hostile;
  }
}

TEST(RuleSet, TheBrokersTopicsNeedARuleThatNamesThem) {
  const Bed wild("topic readwrite #\ntopic readwrite +/x");
  EXPECT_FALSE(wild.subscribe("$SYS/#"));  // [MQTT-4.7.2-1]
  EXPECT_FALSE(wild.subscribe("$SYS/x"));
  EXPECT_FALSE(wild.publish("$SYS/x"));
  EXPECT_TRUE(wild.subscribe("#"));
  EXPECT_TRUE(wild.publish("a/$SYS"));
  const Bed named("topic read $SYS/#");
  EXPECT_TRUE(named.subscribe("$SYS/broker/+"));
  EXPECT_FALSE(named.subscribe("#"));
}

TEST(RuleSet, ASharedSubscriptionIsDecidedOnItsFilter) {
  const Bed bed("topic read a/#");
  EXPECT_TRUE(bed.subscribe("$share/group/a/b"));
  EXPECT_FALSE(bed.subscribe("$share/group/b"));
  EXPECT_FALSE(bed.subscribe("$share/group/#"));
  EXPECT_FALSE(bed.subscribe("$share/a/"));
  EXPECT_FALSE(bed.subscribe("$share/a"));
  EXPECT_FALSE(bed.subscribe("$share"));
  EXPECT_FALSE(Bed("topic readwrite #").subscribe("$share/g/$SYS/x"));
}

TEST(RuleSet, WhatIsNoTopicIsRefusedWhateverTheRulesSay) {
  const Bed bed("topic readwrite #");
  EXPECT_FALSE(bed.publish(""));
  EXPECT_FALSE(bed.publish("a/+"));
  EXPECT_FALSE(bed.publish("#"));
  EXPECT_FALSE(bed.publish(std::string(65'536, 'a')));
  EXPECT_TRUE(bed.publish(std::string(65'535, '/'))) << "any depth";
  EXPECT_FALSE(bed.subscribe(""));
  EXPECT_FALSE(bed.subscribe("a/#/b"));
  EXPECT_FALSE(bed.subscribe("a+"));
}

TEST(RuleSet, RulesThatCameWithTheClientAddAndTakeAway) {
  Bed bed("topic read news/#\ntopic deny secret/#\n");
  bed.with({{.filter = "devices/%c/#", .label = "own", .publish = true, .subscribe = true},
            {.filter = "secret/x", .publish = true},
            {.filter = "news/sport", .subscribe = true, .deny = true}});
  EXPECT_TRUE(bed.publish("devices/phone/up"));
  EXPECT_FALSE(bed.publish("devices/other/up"));
  const Answer own = bed.ask(Action::publish, "devices/phone/up");
  EXPECT_EQ(own.rule, kGrantBit | 0U);
  EXPECT_EQ(bed.labels.name(own.label), "own");
  EXPECT_FALSE(bed.publish("secret/x")) << "the file denies it";
  EXPECT_TRUE(bed.subscribe("news/today"));
  EXPECT_FALSE(bed.subscribe("news/sport")) << "the token denies it";
  EXPECT_FALSE(bed.subscribe("news/#"));
  EXPECT_EQ(bed.ask(Action::subscribe, "news/sport").rule, kGrantBit | 2U);
  Bed writing("topic readwrite a");
  writing.with({{.filter = "a", .subscribe = true, .deny = true}});
  EXPECT_TRUE(writing.publish("a")) << "a grant may deny one of the two";
  EXPECT_FALSE(writing.subscribe("a"));
}

TEST(RuleSet, WithoutAFileEverythingIsAllowedToWhoBringsNoRules) {
  Bed bed("");
  bed.rules = RuleSet::open(bed.labels);
  EXPECT_TRUE(bed.publish("a"));
  EXPECT_TRUE(bed.subscribe("#"));
  EXPECT_FALSE(bed.publish("a/+")) << "but what is no topic";
  bed.with({{.filter = "a", .publish = true}});
  EXPECT_TRUE(bed.publish("a"));
  EXPECT_FALSE(bed.publish("b"));
  EXPECT_FALSE(bed.subscribe("a"));
}

TEST(Grants, ABadOneIsAnErrorThatNamesIt) {
  Labels labels;
  const auto why = [&](Grant grant) {
    const auto result =
        RuleSet::of_grants(std::vector<Grant>{{.filter = "a", .publish = true}, std::move(grant)}, labels);
    return result ? "good" : result.error().message;
  };
  EXPECT_EQ(why({.filter = "b", .publish = true}), "good");
  EXPECT_THAT(
      why({.filter = "b/#/c", .publish = true}),
      HasSubstr("rule 2 that came with the client, \"b/#/c\": at byte 3: # stands for all that follows"));
  EXPECT_THAT(why({.filter = "", .publish = true}), HasSubstr("there is no filter"));
  EXPECT_THAT(why({.filter = "a"}), HasSubstr("neither publishing nor subscribing"));
  EXPECT_THAT(why({.filter = "a\xff", .publish = true}), HasSubstr("not UTF-8"));
  EXPECT_THAT(why({.filter = "a", .label = "x y", .publish = true}), HasSubstr("label"));
  EXPECT_THAT(why({.filter = std::string(kGrantFilterBytesMax + 1, 'a'), .publish = true}),
              HasSubstr("too long"));
  EXPECT_THAT(why({.filter = "%x", .publish = true}), HasSubstr("no variable"));
  EXPECT_FALSE(
      RuleSet::of_grants(std::vector<Grant>(kGrantsMax + 1, {.filter = "a", .publish = true}), labels));
  std::string variables;
  for (size_t i = 1; i <= kVariablesMax + 1; ++i) variables += fmt::format("%(c, :, {})/", i);
  EXPECT_THAT(why({.filter = variables, .publish = true}), HasSubstr("too many different variables"));
}

TEST(Grants, AreSharedByAllThatHaveTheSame) {
  Labels labels;
  Grants grants(labels);
  const std::vector<Grant> own = {{.filter = "devices/%c/#", .publish = true}};
  const std::vector<Grant> other = {{.filter = "devices/%c/#", .subscribe = true}};
  EXPECT_EQ(*grants.compile({}), nullptr);
  auto first = *grants.compile(own);
  EXPECT_EQ(*grants.compile(own), first);
  EXPECT_NE(*grants.compile(other), first);
  EXPECT_FALSE(grants.compile(std::vector<Grant>{{.filter = "#/#", .publish = true}}));
  const uint32_t generation = first->generation();
  first.reset();
  EXPECT_NE((*grants.compile(own))->generation(), generation) << "nobody held it";
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(
        grants.compile(std::vector<Grant>{{.filter = fmt::format("devices/{}", i), .publish = true}}));
  }
  EXPECT_LE(grants.size(), 200U) << "what nobody holds is forgotten";
}

TEST(RuleSet, FindsOneOfAHundredThousandUsersWithoutAllocating) {
  std::string text = "topic read news/#\n";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("user user-{0}\ntopic readwrite home/{0}/#\n", i);
  text += "pattern read devices/%c/+\ntoken write pieces/%(c, :, 2)\n";
  Bed bed(text);
  bed.as("user-77777", "phone:7");
  const size_t before = allocation_count;
  EXPECT_TRUE(bed.publish("home/77777/a"));
  EXPECT_FALSE(bed.publish("home/77778/a"));
  EXPECT_TRUE(bed.subscribe("news/today"));
  EXPECT_TRUE(bed.subscribe("devices/phone:7/+"));
  EXPECT_TRUE(bed.publish("pieces/7"));
  EXPECT_FALSE(bed.subscribe("#"));
  EXPECT_EQ(allocation_count, before);
  // Rules, names and index together.
  EXPECT_LT(bed.rules->bytes() / 100'000, 500U);
}

TEST(DecisionCache, RemembersAndForgetsWithTheRules) {
  Bed bed("topic write a/+ label x");
  DecisionCache cache;
  const auto ask = [&](std::string_view topic) {
    return cache.check(*bed.rules, bed.subject(), Action::publish, topic);
  };
  const Answer first = ask("a/b");
  EXPECT_TRUE(first.allowed);
  size_t before = allocation_count;
  EXPECT_EQ(ask("a/b"), first);
  EXPECT_EQ(allocation_count, before) << "remembered";
  EXPECT_FALSE(ask("b").allowed);
  EXPECT_FALSE(ask("b").allowed);
  EXPECT_FALSE(cache.check(*bed.rules, bed.subject(), Action::subscribe, "a/b").allowed)
      << "another question";

  bed.rules = Bed("topic write b").rules;
  EXPECT_FALSE(ask("a/b").allowed);
  EXPECT_TRUE(ask("b").allowed);
  bed.with({{.filter = "a/b", .publish = true}});
  EXPECT_TRUE(ask("a/b").allowed) << "other grants, other answers";
  bed.grants = nullptr;
  EXPECT_FALSE(ask("a/b").allowed);
  DecisionCache moved = std::move(cache);
  before = allocation_count;
  EXPECT_FALSE(moved.check(*bed.rules, bed.subject(), Action::publish, "a/b").allowed);
  EXPECT_EQ(allocation_count, before);
}

TEST(DecisionCache, HoldsAFewAndReusesTheirMemory) {
  const Bed bed("topic write a/+/+");
  DecisionCache cache;
  const auto ask = [&](std::string_view topic) {
    return cache.check(*bed.rules, bed.subject(), Action::publish, topic).allowed;
  };
  std::vector<std::string> topics;
  for (size_t i = 0; i < 1000; ++i) topics.push_back(fmt::format("a/{:03}/{}", i, i % 2 == 0 ? "x" : "x/y"));
  for (size_t i = 0; i < kRememberedMax; ++i) ask(topics[i]);
  const size_t before = allocation_count;
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < topics.size(); ++i) EXPECT_EQ(ask(topics[i]), i % 2 == 0) << i;
  }
  EXPECT_LE(allocation_count, before + kRememberedMax) << "memory goes from one topic to the next";
  // A longer one takes other memory; a very long one none.
  EXPECT_TRUE(ask("a/b/" + std::string(100, 'c')));
  const std::string longest = "a/b/" + std::string(kRememberedBytesMax, 'c');
  const size_t then = allocation_count;
  EXPECT_TRUE(ask(longest));
  EXPECT_TRUE(ask(longest));
  EXPECT_EQ(allocation_count, then);
}

}  // namespace
}  // namespace courier::auth::acl
