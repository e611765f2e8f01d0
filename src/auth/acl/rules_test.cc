#include "auth/acl/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "auth/acl/errc.h"
#include "base/errc.h"
#include "base/log.h"

namespace courier::auth::acl {
namespace {

using testing::HasSubstr;

constexpr MonoNs kSecond = kNsPerSecond;

class RulesTest : public testing::Test {
 protected:
  RulesTest() {
    std::filesystem::create_directories(folder_);
    log::Options options;
    options.file = log_file_;
    EXPECT_TRUE(log::configure(options));
  }
  ~RulesTest() override {
    EXPECT_TRUE(log::configure({}));
    std::filesystem::remove_all(folder_);
  }

  // Another inode, so that the change shows whatever the clock's resolution.
  void write(std::string_view text) {
    std::ofstream(path_ + ".new", std::ios::binary) << text;
    std::filesystem::rename(path_ + ".new", path_);
  }
  std::string logged() {
    std::ifstream in(log_file_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static bool allows(Rules& rules, std::string_view topic) {
    return rules.current()->check({"alice", "phone", ""}, Action::publish, topic).allowed;
  }

  const std::string folder_ = testing::TempDir() + "acl_rules_" + std::to_string(::getpid());
  const std::string path_ = folder_ + "/acl";
  const std::string log_file_ = folder_ + "/log";
};

TEST_F(RulesTest, AChangedFileAppliesAtTheNextLookAndAtMostOnceASecond) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  EXPECT_TRUE(allows(*rules, "a"));
  EXPECT_FALSE(rules->refresh(0));
  const uint32_t before = rules->generation();
  write("topic write b\n");
  EXPECT_FALSE(rules->refresh(kSecond - 1)) << "it looked a moment ago";
  EXPECT_TRUE(allows(*rules, "a"));
  EXPECT_TRUE(rules->refresh(kSecond));
  EXPECT_TRUE(allows(*rules, "b"));
  EXPECT_FALSE(allows(*rules, "a"));
  EXPECT_NE(rules->generation(), before);
  EXPECT_FALSE(rules->refresh(3 * kSecond)) << "nothing changed";
}

TEST_F(RulesTest, ABadFileLeavesTheOldRulesAndIsLoggedOnceWithAllProblems) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  write("topic\nuser\n");
  EXPECT_FALSE(rules->refresh(kSecond));
  EXPECT_FALSE(rules->refresh(5 * kSecond));
  EXPECT_TRUE(allows(*rules, "a"));
  const std::string log = logged();
  EXPECT_THAT(log, HasSubstr(path_ + ":1:6: a filter must follow"));
  EXPECT_THAT(log, HasSubstr(path_ + ":2:5: a name must follow user"));
  EXPECT_THAT(log, HasSubstr("the rules from before stay in force"));
  EXPECT_EQ(log.find("stay in force"), log.rfind("stay in force")) << "once";
  write("topic write b\n");
  EXPECT_TRUE(rules->refresh(10 * kSecond));
  EXPECT_TRUE(allows(*rules, "b"));
}

TEST_F(RulesTest, AFileThatIsGoneLeavesTheOldRules) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  std::filesystem::remove(path_);
  EXPECT_FALSE(rules->refresh(kSecond));
  EXPECT_TRUE(allows(*rules, "a"));
  EXPECT_THAT(logged(), HasSubstr("cannot read "));
  write("topic write b\n");
  EXPECT_TRUE(rules->refresh(2 * kSecond));
  EXPECT_TRUE(allows(*rules, "b"));
}

TEST_F(RulesTest, APreparedFileCountsOnceItIsCommittedAndABadOneIsItsCallersToReport) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  const uint32_t first = rules->generation();
  rules->prepare_reload(path_).value()();
  EXPECT_EQ(rules->generation(), first) << "nothing changed, so nobody need look again";
  write("topic write %c\n");
  const auto bad = rules->prepare_reload(path_);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, errc::invalid);
  EXPECT_THAT(bad.error().message, HasSubstr(path_ + ":1:13: a topic line has no variables"));
  EXPECT_TRUE(allows(*rules, "a"));
  write("topic write b\n");
  const auto commit = rules->prepare_reload(path_);
  ASSERT_TRUE(commit);
  EXPECT_TRUE(allows(*rules, "a")) << "prepared only";
  (*commit)();
  EXPECT_TRUE(allows(*rules, "b"));
  EXPECT_FALSE(rules->refresh(kSecond)) << "it was read";
}

TEST_F(RulesTest, AFileThatStaysBadIsReportedEachTime) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  write("topic write %c\n");
  rules->refresh(kSecond);
  EXPECT_FALSE(rules->prepare_reload(path_));
  EXPECT_FALSE(rules->prepare_reload(path_));
}

TEST_F(RulesTest, AnotherFileOrNoneMayTakeItsPlace) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  rules->prepare_reload("").value()();
  EXPECT_TRUE(allows(*rules, "anything"));
  rules->prepare_reload(path_).value()();
  EXPECT_TRUE(allows(*rules, "a"));
  EXPECT_FALSE(allows(*rules, "anything"));
  EXPECT_FALSE(rules->prepare_reload(path_ + ".not-there"));
  EXPECT_TRUE(allows(*rules, "a"));
}

TEST_F(RulesTest, OpeningSaysWhatIsWrong) {
  const auto missing = Rules::open(path_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, BaseErrc::unreadable);
  EXPECT_THAT(missing.error().message, HasSubstr("No such file"));
  EXPECT_THAT(Rules::open(folder_).error().message, HasSubstr("it is not a plain file"));
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Rules::open(folder_ + "/pipe").error().message, HasSubstr("it is not a plain file"));
  write("topic\nuser\n");
  const auto bad = Rules::open(path_);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, errc::invalid);
  EXPECT_THAT(bad.error().message, HasSubstr(":2:5:"));
}

TEST_F(RulesTest, WithoutAFileThereIsNothingToLookAt) {
  const auto rules = *Rules::open("");
  EXPECT_TRUE(allows(*rules, "anything"));
  EXPECT_FALSE(rules->refresh(kSecond));
  rules->prepare_reload("").value()();
  EXPECT_TRUE(allows(*rules, "anything"));
}

TEST_F(RulesTest, AGateFollowsTheRulesInForce) {
  write("topic write a\n");
  const auto rules = *Rules::open(path_);
  Gate gate(*rules);
  DecisionCache cache;
  const Subject subject{"alice", "phone", ""};
  const auto allowed = [&](std::string_view topic) {
    return gate.check(subject, Action::publish, topic, cache).allowed;
  };
  EXPECT_TRUE(allowed("a"));
  EXPECT_TRUE(allowed("a"));
  const uint32_t before = gate.generation();
  write("topic write b\n");
  rules->prepare_reload(path_).value()();
  EXPECT_FALSE(allowed("a")) << "nothing of before is remembered";
  EXPECT_TRUE(allowed("b"));
  EXPECT_NE(gate.generation(), before);
  EXPECT_THAT(gate.explain(subject, Action::publish, "a").text(), HasSubstr("no rule allows it"));
}

TEST_F(RulesTest, ThreadsMayAskWhileTheRulesChange) {
  write("topic write a\npattern write own/%c label l0\n");
  const auto rules = *Rules::open(path_);
  std::atomic<bool> stop{false};
  std::atomic<size_t> asked{0}, wrong{0};
  std::vector<std::jthread> shards;
  for (int i = 0; i < 3; ++i) {
    shards.emplace_back([&] {
      Gate gate(*rules);
      DecisionCache cache;
      const auto own = *rules->grants().compile(std::vector<Grant>{{.filter = "mine/%c", .publish = true}});
      const Subject subject{"alice", "phone", "", own.get()};
      while (!stop.load()) {
        wrong += gate.check(subject, Action::publish, "own/phone", cache).allowed ? 0 : 1;
        wrong += gate.check(subject, Action::publish, "mine/phone", cache).allowed ? 0 : 1;
        wrong += gate.check(subject, Action::publish, "other", cache).allowed ? 1 : 0;
        ++asked;
      }
    });
  }
  for (int i = 1; i <= 20; ++i) {
    write("topic write a\npattern write own/%c label l" + std::to_string(i) + "\n");
    rules->prepare_reload(path_).value()();
    const size_t before = asked;
    while (asked < before + 10) std::this_thread::yield();
  }
  stop = true;
  shards.clear();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace courier::auth::acl
