#include "reload.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace courier::courierd {
namespace {

using Names = std::vector<std::string>;

// Parts that say in `done` what they do.
class ReloadTest : public testing::Test {
 protected:
  void add(std::string_view name, bool good = true) {
    reload_.add(
        {name,
         [this, name, good](const config::Settings&, const config::Settings& next) -> Result<Reload::Commit> {
           done_.push_back("prepare " + std::string(name));
           if (!good) return fail(std::errc::invalid_argument, std::string(name) + " is no good");
           return [this, name, inflight = next.limits.inflight_max] {
             done_.push_back("commit " + std::string(name) + " " + std::to_string(inflight));
           };
         }});
  }
  Reload reload_;
  Names done_;
  config::Settings running_;
};

TEST_F(ReloadTest, AllPartsPrepareBeforeTheFirstCommits) {
  add("a");
  add("b");
  config::Settings wanted = running_;
  wanted.limits.inflight_max = 7;
  wanted.threads = 5;
  const auto outcome = reload_.run(running_, wanted);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(done_, (Names{"prepare a", "prepare b", "commit a 7", "commit b 7"}));
  EXPECT_EQ(outcome->applied, (Names{"limits.inflight_max"}));
  EXPECT_EQ(outcome->need_restart, (Names{"threads"}));
  EXPECT_EQ(outcome->read, (Names{"a", "b"}));
  EXPECT_EQ(running_.limits.inflight_max, 7);
  EXPECT_EQ(running_.threads, 0u) << "what needs a restart is not in force";
}

TEST_F(ReloadTest, OneThatCannotPrepareLeavesAllAsTheyWere) {
  add("a");
  add("b", false);
  add("c");
  config::Settings wanted = running_;
  wanted.limits.inflight_max = 7;
  const config::Settings before = running_;
  const auto outcome = reload_.run(running_, wanted);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "b is no good");
  EXPECT_EQ(done_, (Names{"prepare a", "prepare b"}));
  EXPECT_EQ(running_, before);
}

TEST_F(ReloadTest, WhatNeedsARestartIsNamedEachTime) {
  config::Settings wanted = running_;
  wanted.data_dir = "/elsewhere";
  EXPECT_EQ(reload_.run(running_, wanted)->need_restart, (Names{"data_dir"}));
  EXPECT_EQ(reload_.run(running_, wanted)->need_restart, (Names{"data_dir"}));
}

}  // namespace
}  // namespace courier::courierd
