#include "auth/acl/acl_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "auth/acl/file_cases.h"
#include "auth/acl/labels.h"
#include "auth/acl/limits.h"
#include "auth/acl/rule_set.h"

namespace courier::auth::acl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

AclFile good(std::string_view text) {
  AclFile file = parse_acl_file(text);
  EXPECT_EQ(spelt("acl", file.problems), "") << text;
  return file;
}

// The problem of a text that has one.
std::string problem(std::string_view text) {
  const AclFile file = parse_acl_file(text);
  EXPECT_EQ(file.problems.size(), 1U) << text << "\n" << spelt("acl", file.problems);
  return spelt("acl", file.problems);
}

FileRule only(std::string_view text) {
  const AclFile file = good(text);
  EXPECT_EQ(file.rules.size(), 1U) << text;
  return file.rules.empty() ? FileRule() : file.rules.front();
}

TEST(AclFile, ReadsEachKindOfLine) {
  const AclFile file = good(
      "# a comment\n"
      "topic read news/#\n"
      "\n"
      "  user alice smith  \n"
      "\ttopic orders/+/new label orders\n"
      "topic deny orders/secret\n"
      "user bob\n"
      "topic write a\n"
      "user alice smith\n"
      "topic write b\n"
      "pattern readwrite devices/%c/#\n"
      "token read groups/%(c, :, 3)/+ label group-chat\n");
  EXPECT_THAT(file.users, ElementsAre("alice smith", "bob"));
  ASSERT_EQ(file.rules.size(), 7U);
  const auto& rules = file.rules;
  EXPECT_EQ(rules[0].section, Section::everybody);
  EXPECT_EQ(rules[0].access, Access::read);
  EXPECT_EQ(rules[0].filter, "news/#");
  EXPECT_EQ(rules[0].line, 2U);
  EXPECT_EQ(rules[1].section, Section::user);
  EXPECT_EQ(rules[1].user, 0U);
  EXPECT_EQ(rules[1].access, Access::readwrite) << "the default, as mosquitto has it";
  EXPECT_EQ(rules[1].label, "orders");
  EXPECT_TRUE(rules[2].deny);
  EXPECT_EQ(rules[2].access, Access::readwrite);
  EXPECT_EQ(rules[3].user, 1U);
  EXPECT_EQ(rules[4].user, 0U) << "a section may come in several parts";
  EXPECT_EQ(rules[5].section, Section::pattern);
  EXPECT_EQ(rules[6].section, Section::token);
  EXPECT_EQ(rules[6].filter, "groups/%(c, :, 3)/+");
  EXPECT_EQ(rules[6].label, "group-chat");
}

TEST(AclFile, TakesByteOrderMarksAndCarriageReturns) {
  const AclFile file = good("\xEF\xBB\xBFuser a\r\ntopic read b\r\n\r\n# c\r\ntopic write d");
  ASSERT_EQ(file.rules.size(), 2U);
  EXPECT_EQ(file.rules[0].filter, "b");
  EXPECT_EQ(file.rules[1].filter, "d");
  EXPECT_EQ(file.rules[1].line, 5U);
  EXPECT_EQ(parse_acl_file("\xEF\xBB\xBFx").problems.front().column, 1U);
}

TEST(AclFile, AFilterMayHoldBlanksAndTheWordLabel) {
  EXPECT_EQ(only("topic read my room/#").filter, "my room/#");
  EXPECT_EQ(only("topic   read \t my  room/#  ").filter, "my  room/#");
  EXPECT_EQ(only("topic read my label is here/x").filter, "my label is here/x");
  const FileRule twice = only("topic read my label x label y");
  EXPECT_EQ(twice.filter, "my label x");
  EXPECT_EQ(twice.label, "y");
  EXPECT_EQ(only("topic label").filter, "label");
  EXPECT_EQ(only("token a/%(c, :, 3)").filter, "a/%(c, :, 3)") << "no blank that parts words";
  EXPECT_EQ(only("token a/%(c, :, 3) label x").label, "x");
}

TEST(AclFile, SaysWhereAndWhatToDo) {
  EXPECT_EQ(problem("topic\n"), "acl:1:6: a filter must follow: topic [read|write|readwrite|deny] FILTER");
  EXPECT_THAT(problem("\n  tpoic read a"),
              HasSubstr("acl:2:3: a line begins with user, topic, pattern or token"));
  EXPECT_THAT(problem("topic raed a/b"),
              HasSubstr("acl:1:7: the access is read, write, readwrite or deny, not \"raed\""));
  EXPECT_THAT(problem("topic read"),
              HasSubstr("acl:1:11: there is no filter after read; one that is called so is "
                        "written \"topic readwrite read\""));
  EXPECT_THAT(problem("topic read label x"), HasSubstr("no filter after read"));
  EXPECT_THAT(problem("topic label x"), HasSubstr("no filter before label"));
  EXPECT_THAT(problem("topic read a label"), HasSubstr("acl:1:19: a name must follow label"));
  EXPECT_THAT(problem("topic read a label ü"), HasSubstr("acl:1:20: a label has 1 to 64 letters"));
  EXPECT_EQ(problem("user  \t"), "acl:1:8: a name must follow user");
  EXPECT_THAT(problem("topic read ä/b+"), HasSubstr("acl:1:15: + must be a level of its own"));
  EXPECT_THAT(problem("topic read a/#/b"), HasSubstr("acl:1:14: # stands for all that follows"));
  EXPECT_THAT(problem("topic read a/b # mine"), HasSubstr("a comment needs a line of its own"));
  EXPECT_THAT(problem("topic read $share/g/a"), HasSubstr("acl:1:12: a rule names the filter alone"));
  EXPECT_THAT(problem("topic read a\tb"), HasSubstr("acl:1:13: a control character"));
  EXPECT_THAT(problem("topic read a\xff"), HasSubstr("acl:1:13: here is a byte that is not UTF-8"));
  EXPECT_THAT(problem(std::string_view("topic read a\0b", 14)), HasSubstr("acl:1:13: a control character"));
}

TEST(AclFile, SaysWhatIsWrongWithAVariable) {
  EXPECT_THAT(problem("topic read a/%c"),
              HasSubstr("acl:1:14: a topic line has no variables; write pattern for %c"));
  EXPECT_THAT(problem("topic read a/%(c, :, 1)"), HasSubstr("write token for %("));
  EXPECT_THAT(problem("pattern read a/%x"), HasSubstr("acl:1:16: there is no variable %x"));
  EXPECT_THAT(problem("pattern read a/%"), HasSubstr("acl:1:16: there is no variable %"));
  EXPECT_THAT(problem("pattern read a/%(c, :, 1)"), HasSubstr("acl:1:16: pieces of a value"));
  for (const char* piece : {"%(c)", "%(c, :)", "%(c, :, 0)", "%(c, :, 256)", "%(c, :, x)", "%(x, :, 1)",
                            "%(c, , 1)", "%(c, 123456789, 1)", "%(c, :, 1", "%(", "%(cc, :, 1)"}) {
    EXPECT_THAT(problem(fmt::format("token read a/{}", piece)),
                HasSubstr("acl:1:14: a piece is written %(c, :, 3)"));
  }
  EXPECT_EQ(only("topic read 100%").filter, "100%") << "only a percent sign";
  EXPECT_EQ(only("pattern read 100%%").filter, "100%%");
  EXPECT_EQ(only("token read a/%(u, /, 2)").filter, "a/%(u, /, 2)");
  EXPECT_EQ(only("token read a/%(c, ,, 2)").filter, "a/%(c, ,, 2)");
  EXPECT_EQ(only("token read a/%(c, +, 2)").filter, "a/%(c, +, 2)");
}

TEST(AclFile, TellsAllProblemsAtOnceUpToALimit) {
  const AclFile file = parse_acl_file("topic\nuser\ntopic read a\npattern read %x\n");
  EXPECT_EQ(spelt("f", file.problems),
            "f:1:6: a filter must follow: topic [read|write|readwrite|deny] FILTER\n"
            "f:2:5: a name must follow user\n"
            "f:4:14: there is no variable %x; there are %u (user name), %c (client id) and %m (mountpoint), "
            "and %% is "
            "a percent sign");
  std::string many;
  for (size_t i = 0; i < 2 * kProblemsMax; ++i) many += "topic\n";
  const AclFile bad = parse_acl_file(many);
  EXPECT_EQ(bad.problems.size(), kProblemsMax + 1);
  EXPECT_THAT(bad.problems.back().message, HasSubstr("perhaps more"));
}

TEST(AclFile, IsBounded) {
  EXPECT_THAT(problem("topic read " + std::string(kLineBytesMax, 'a')),
              HasSubstr("acl:1:1: the line has more than 4096"));
  EXPECT_EQ(only("topic read " + std::string(kLineBytesMax - 11, 'a')).filter.size(), kLineBytesMax - 11);
  EXPECT_THAT(problem("user " + std::string(kUserNameBytesMax + 1, 'a')), HasSubstr("at most 1024 bytes"));
  EXPECT_THAT(problem(std::string(kFileBytesMax + 1, '\n')),
              HasSubstr("acl:1:1: the file has more than 67108864"));

  std::string levels = "topic read a";
  for (size_t i = 1; i < kRuleLevelsMax; ++i) levels += "/a";
  EXPECT_EQ(good(levels).rules.size(), 1U);
  EXPECT_THAT(problem(levels + "/a"), HasSubstr("more than 128 levels"));

  std::string labels;
  for (size_t i = 0; i < kLabelsMax - 2; ++i) labels += fmt::format("topic read a label l{}\n", i);
  EXPECT_EQ(good(labels).rules.size(), kLabelsMax - 2);
  EXPECT_THAT(problem(labels + "topic read a label more"), HasSubstr("more than 62 different labels"));

  std::string variables;
  for (size_t i = 1; i <= kVariablesMax; ++i) variables += fmt::format("token read %(c, :, {})\n", i);
  EXPECT_EQ(good(variables).rules.size(), kVariablesMax);
  EXPECT_THAT(problem(variables + "pattern read %u"), HasSubstr("more than 64 different variables"));

  std::string rules;
  for (size_t i = 0; i <= kRulesMax; ++i) rules += "topic a\n";
  EXPECT_THAT(problem(rules), HasSubstr("more than 1000000 rules"));
}

TEST(AclFile, ABadUserLineDoesNotMakeItsRulesEverybodys) {
  const AclFile file = parse_acl_file("user\ntopic readwrite #\n");
  EXPECT_EQ(file.problems.size(), 1U);
  ASSERT_EQ(file.rules.size(), 1U);
  EXPECT_EQ(file.rules[0].section, Section::user);
}

TEST(AclFile, NotesAPatternThatLooksAsIfItWereAUsers) {
  EXPECT_THAT(good("pattern read %c\nuser a\ntopic b").notes, IsEmpty());
  const AclFile file = good("user a\ntopic b\n  pattern read %c\ntoken read %c");
  ASSERT_EQ(file.notes.size(), 1U);
  EXPECT_EQ(file.notes[0].line, 3U);
  EXPECT_EQ(file.notes[0].column, 3U);
  EXPECT_THAT(file.notes[0].message, HasSubstr("pattern lines are for everybody"));
}

TEST(Labels, KeepTheirIdsAndAreBounded) {
  Labels labels;
  EXPECT_EQ(labels.id(""), kNoLabel);
  EXPECT_EQ(labels.name(kNoLabel), "");
  EXPECT_EQ(labels.id("other"), kOtherLabel);
  const LabelId orders = labels.id("orders");
  EXPECT_EQ(labels.id("orders"), orders);
  EXPECT_EQ(labels.name(orders), "orders");
  for (size_t i = labels.size(); i < kLabelsMax; ++i)
    EXPECT_GT(labels.id(fmt::format("l{}", i)), kOtherLabel);
  EXPECT_EQ(labels.id("one too many"), kOtherLabel);
  EXPECT_EQ(labels.id("orders"), orders);
  EXPECT_EQ(labels.name(200), "");
}

FileCases cases_of(std::string_view text) {
  return parse_file_cases(text);
}

TEST(FileCases, AreReadFromComments) {
  const FileCases read = cases_of(
      "# no case\n"
      "topic read a\n"
      "#? alice phone:1:7 publish orders/7/new allow\n"
      "  #?- \"a \\\"b\\\\\" @acme subscribe \"my room/#\" deny label x\r\n"
      "#? \"-\" \"\" publish a deny\n");
  EXPECT_THAT(spelt("acl", read.problems), "");
  ASSERT_EQ(read.cases.size(), 3U);
  EXPECT_EQ(read.cases[0].line, 3U);
  EXPECT_EQ(read.cases[0].username, "alice");
  EXPECT_EQ(read.cases[0].client_id, "phone:1:7");
  EXPECT_EQ(read.cases[0].action, Action::publish);
  EXPECT_TRUE(read.cases[0].allowed);
  EXPECT_FALSE(read.cases[0].label);
  EXPECT_EQ(read.cases[1].username, "");
  EXPECT_EQ(read.cases[1].client_id, "a \"b\\");
  EXPECT_EQ(read.cases[1].mountpoint, "acme");
  EXPECT_EQ(read.cases[1].topic, "my room/#");
  EXPECT_EQ(read.cases[1].label, "x");
  EXPECT_EQ(read.cases[2].username, "-");
  EXPECT_EQ(read.cases[2].client_id, "");
}

TEST(FileCases, SayWhatIsWrongWithThem) {
  const auto one = [](std::string_view text) { return spelt("acl", cases_of(text).problems); };
  EXPECT_THAT(one("#? alice phone publish a"),
              HasSubstr("acl:1:25: something is missing; a test case reads"));
  EXPECT_THAT(one("#? alice phone pub a allow"),
              HasSubstr("acl:1:16: publish or subscribe must stand here, not \"pub\""));
  EXPECT_THAT(one("#? alice phone publish my room allow"),
              HasSubstr("acl:1:27: allow or deny must stand here"));
  EXPECT_THAT(one("#? alice phone publish a allow x"), HasSubstr("acl:1:32: only label NAME may follow"));
  EXPECT_THAT(one("#? alice phone publish a allow label x y"), HasSubstr("acl:1:40: this is too much"));
  EXPECT_THAT(one("#? alice \"phone publish a allow"),
              HasSubstr("acl:1:10: this quotation mark is not closed"));
}

TEST(FileCases, FailWithTheExplanation) {
  Labels labels;
  const std::string text =
      "topic read news/# label news\n"
      "#? - x subscribe news/today allow label news\n"
      "#? - x publish news/today allow\n"
      "#? - x subscribe news/+ deny\n"
      "#? - x subscribe news/+ allow label sport\n";
  const auto rules = RuleSet::parse(text, "acl", labels);
  ASSERT_TRUE(rules);
  const FileCases read = cases_of(text);
  ASSERT_EQ(read.cases.size(), 4U);
  EXPECT_EQ(difference(read.cases[0], **rules), std::nullopt);
  EXPECT_EQ(difference(read.cases[1], **rules),
            "expected allow, but publish to \"news/today\" is refused: no rule allows it; nearest: acl:1 "
            "`topic read "
            "news/# label news` allows reading it, not writing");
  EXPECT_EQ(difference(read.cases[2], **rules),
            "expected deny, but subscribe to \"news/+\" is allowed by acl:1 `topic read news/# label news`");
  EXPECT_THAT(*difference(read.cases[3], **rules), HasSubstr("expected label sport, but it is news"));
}

}  // namespace
}  // namespace courier::auth::acl
