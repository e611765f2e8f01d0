// What `courier demo --node … --kill …` takes, and what it says about the rest.
#include "courier/demo/running_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace courier::cli::demo {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kTwo = {"n1=127.0.0.1:18811", "n2=127.0.0.1:18821"};

std::string refusal(const std::vector<std::string>& nodes, const std::string& victim) {
  const auto cluster = RunningCluster::of(nodes, victim);
  return cluster ? "" : cluster.error().message;
}

TEST(RunningCluster, IsWhatTheFlagsSay) {
  const auto cluster = RunningCluster::of(kTwo, "n2=4711");
  ASSERT_TRUE(cluster);
  ASSERT_EQ(cluster->nodes().size(), 2u);
  EXPECT_EQ(cluster->nodes()[0].name, "n1");
  EXPECT_EQ(cluster->nodes()[1].phones.to_string(), "127.0.0.1:18821");
  EXPECT_EQ(cluster->victim(), 1u);
}

TEST(RunningCluster, WhatIsWrongWithAFlagIsSaid) {
  for (const char* node : {"", "n1", "n1=", "n1=127.0.0.1", "=127.0.0.1:1883", "n1=:1883", "n1=127.0.0.1:x",
                           "n1:1=2", "n1=127.0.0.1:65536", "n1=127.0.0.1:0"}) {
    EXPECT_THAT(refusal({node, kTwo[1]}, "n2=4711"), HasSubstr("is not NAME=HOST:PORT")) << node;
  }
  EXPECT_THAT(refusal({kTwo[0]}, "n1=4711"), HasSubstr("two nodes or more"));
  EXPECT_THAT(refusal({kTwo[0], kTwo[0]}, "n1=4711"), HasSubstr("twice"));
  for (const char* victim : {"", "n2", "n3=4711", "n2=", "n2=0", "n2=-1", "n2=4711x"}) {
    EXPECT_THAT(refusal(kTwo, victim), HasSubstr("is not NAME=PID")) << victim;
  }
}

TEST(RunningCluster, KillsTheProcessOfTheVictimAndSaysWhenThereIsNone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  auto cluster = RunningCluster::of(kTwo, "n2=" + std::to_string(child));
  ASSERT_TRUE(cluster);
  EXPECT_TRUE(cluster->kill());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto again = cluster->kill();
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("cannot kill n2"));
}

}  // namespace
}  // namespace courier::cli::demo
