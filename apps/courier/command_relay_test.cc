#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "courier/command.h"
#include "courier/courier_process.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;

class RelayCommand : public testing::Test {
 protected:
  ~RelayCommand() override { std::filesystem::remove(path_); }
  const std::string& file(std::string_view text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }
  const std::string path_ = testing::TempDir() + "relay_" + std::to_string(::getpid()) + ".toml";
};

TEST_F(RelayCommand, ItsExampleIsGood) {
  const auto example = courier({"relay", "--example"});
  EXPECT_EQ(example.code, kOk);
  const auto checked = courier({"relay", "--check", file(example.out)});
  EXPECT_EQ(checked.code, kOk);
  EXPECT_EQ(checked.out, path_ + ": good\n");
}

TEST_F(RelayCommand, WhatIsWrongHasItsFileAndLine) {
  const auto checked = courier({"relay", "--check", file("[kafka]\nbroker = \"a\"\n")});
  EXPECT_EQ(checked.code, kFailure);
  EXPECT_THAT(checked.err, HasSubstr(path_ + ":2: [kafka] has no key \"broker\"; did you mean \"brokers\"?"));
  EXPECT_EQ(courier({"relay"}).code, kUsage);
  EXPECT_EQ(courier({"relay", "/nowhere/relay.toml"}).code, kFailure);
}

TEST_F(RelayCommand, ItWaitsForKafkaUntilItIsStopped) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer falls over librdkafka's threads (kafka_test_cluster.h)";
#endif
  Process relay({"relay", file("[kafka]\nbrokers = \"127.0.0.1:1\"\ngroup = \"g\"\ntopics = [\"t\"]\n"
                               "[http]\nurl = \"http://127.0.0.1:1/\"\n[admin]\nbind = \"127.0.0.1:0\"\n")});
  ASSERT_TRUE(relay.wait_for_note("msg=\"the relay starts\""));
  ASSERT_TRUE(relay.wait_for_note("Connection refused"));
  relay.signal(SIGTERM);
  EXPECT_EQ(relay.wait(), kOk);
  EXPECT_THAT(relay.err, HasSubstr("msg=\"the relay stops\""));
}

}  // namespace
}  // namespace courier::cli
