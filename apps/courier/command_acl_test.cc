#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "courier/command.h"
#include "courier/courier_process.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class AclCheck : public testing::Test {
 protected:
  ~AclCheck() override { std::filesystem::remove(path_); }

  Outcome check(std::string_view text, std::vector<std::string> more = {}) {
    std::ofstream(path_, std::ios::binary) << text;
    std::vector<std::string> arguments = {"acl", "check", path_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return courier(arguments);
  }

  const std::string path_ = testing::TempDir() + "acl_check_" + std::to_string(::getpid());
};

TEST_F(AclCheck, AGoodFileWithItsCasesIsOk) {
  const auto result = check(
      "topic read news/#\n"
      "#? - phone subscribe news/today allow\n"
      "#? - phone publish news/today deny\n");
  EXPECT_EQ(result.code, kOk);
  EXPECT_EQ(result.out, path_ + ": ok, 1 rules, 2 test cases\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(AclCheck, ProblemsAreListedWithLineAndColumn) {
  const auto result = check("topic raed a/b\n#? alice\nuser\n");
  EXPECT_EQ(result.code, kFailure);
  EXPECT_THAT(result.out, StartsWith(path_ + ":1:7: the access is read, write"));
  EXPECT_THAT(result.out, HasSubstr("\n" + path_ + ":2:9: something is missing"));
  EXPECT_THAT(result.out, HasSubstr("\n" + path_ + ":3:5: a name must follow user\n"));
  EXPECT_THAT(result.err, HasSubstr("3 problems, 0 of 0 test cases failed"));
}

TEST_F(AclCheck, AFailedCaseIsExplained) {
  const auto result = check("topic read orders/+/status\n#? bob phone publish orders/7/status allow\n");
  EXPECT_EQ(result.code, kFailure);
  EXPECT_EQ(result.out,
            path_ +
                ":2:1: expected allow, but publish to \"orders/7/status\" is refused: no rule allows it; "
                "nearest: " +
                path_ + ":1 `topic read orders/+/status` allows reading it, not writing\n");
  EXPECT_THAT(result.err, HasSubstr("1 of 1 test cases failed"));
}

TEST_F(AclCheck, AnswersOneQuestion) {
  const char* const text = "user alice\ntopic readwrite a/#\npattern write up/%c label up\n";
  const auto allowed = check(text, {"-u", "bob", "-i", "p7", "publish", "up/p7"});
  EXPECT_EQ(allowed.code, kOk);
  EXPECT_THAT(allowed.out, StartsWith("answer     allowed\n"));
  EXPECT_THAT(allowed.out, HasSubstr(":3 `pattern write up/%c label up`\nlabel      up\n"));
  EXPECT_THAT(allowed.out, HasSubstr("%c         p7\n"));
  const auto refused = check(text, {"--user", "bob", "subscribe", "a/#"});
  EXPECT_EQ(refused.code, kFailure);
  EXPECT_THAT(refused.out, HasSubstr("difference is for user \"alice\", not \"bob\"\n"));
}

TEST_F(AclCheck, SpeaksJson) {
  const auto parse = [](const std::string& text) { return nlohmann::json::parse(text); };
  const auto bad = parse(check("topic\n", {"-o", "json"}).out);
  EXPECT_EQ(bad["ok"], false);
  EXPECT_EQ(bad["problems"][0]["column"], 6);
  const auto failed = parse(check("#? a b publish c allow\n", {"-o", "json"}).out);
  EXPECT_EQ(failed["failures"][0]["line"], 1);
  const auto answer =
      parse(check("pattern write up/%c\n", {"-o", "json", "-i", "a/b", "publish", "up/a"}).out);
  EXPECT_EQ(answer["allowed"], false);
  EXPECT_EQ(answer["outcome"], "no_rule");
  EXPECT_EQ(answer["nearest"]["line"], 1);
  EXPECT_EQ(answer["variables"][0]["usable"], false);
}

TEST_F(AclCheck, MistakesInTheCommandLineAreUsage) {
  EXPECT_EQ(check("", {"publish"}).code, kUsage);
  EXPECT_EQ(check("", {"read", "a"}).code, kUsage);
  EXPECT_EQ(courier({"acl", "check"}).code, kUsage);
  const auto missing = courier({"acl", "check", "/nowhere/acl"});
  EXPECT_EQ(missing.code, kFailure);
  EXPECT_THAT(missing.err, HasSubstr("cannot read /nowhere/acl: No such file"));
}

TEST_F(AclCheck, AMisleadingFileIsNoted) {
  const auto result = check("user alice\ntopic read a\npattern read %c\n");
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.err, HasSubstr(":3:1: pattern lines are for everybody"));
}

}  // namespace
}  // namespace courier::cli
