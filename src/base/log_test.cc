#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/errc.h"

namespace courier::log {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr WallMs kTime = 1'714'557'600'123;  // 2024-05-01T10:00:00.123Z

std::string logfmt(std::string_view value) {
  const std::string line = format_line(Format::logfmt, kTime, Level::info, "m", {{"k", value}});
  return line.substr(line.find(" k=") + 3);
}

TEST(LogLine, TimeIsIso8601InUtcWithMilliseconds) {
  EXPECT_EQ(iso8601(kTime), "2024-05-01T10:00:00.123Z");
  EXPECT_EQ(iso8601(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso8601(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(iso8601(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(iso8601(4'102'444'799'999), "2099-12-31T23:59:59.999Z");
}

TEST(LogLine, LogfmtQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(
      format_line(Format::logfmt, kTime, Level::warn, "connection closed",
                  {{"client_id", "phone-7"}, {"bytes_in", 512u}, {"lag", -3}, {"clean", true}, {"s", 0.5}}),
      "ts=2024-05-01T10:00:00.123Z level=warn msg=\"connection closed\" client_id=phone-7 bytes_in=512 "
      "lag=-3 clean=true s=0.5");
  EXPECT_EQ(logfmt(""), "\"\"");
  EXPECT_EQ(logfmt("a b"), "\"a b\"");
  EXPECT_EQ(logfmt("a=b"), "\"a=b\"");
  EXPECT_EQ(logfmt("größe"), "\"größe\"");
}

TEST(LogLine, AHostileValueStaysOneValueOnOneLine) {
  EXPECT_EQ(logfmt("x\" level=error msg=\"forged"), R"("x\" level=error msg=\"forged")");
  EXPECT_EQ(logfmt("a\nts=1"), R"("a\nts=1")");
  EXPECT_EQ(logfmt("a\\"), R"("a\\")");
  EXPECT_EQ(logfmt(std::string_view("nul\0x", 5)), R"("nul\u0000x")");
  EXPECT_EQ(logfmt("\x1b[31mred"), R"("\u001b[31mred")");
  EXPECT_EQ(logfmt("\xc2\x9b"
                   "31m"),
            R"("\u009b31m")");  // the one-byte CSI, as UTF-8
  EXPECT_EQ(logfmt("a\xe2\x80\xae"
                   "b"),
            R"("a\u202eb")");  // right-to-left override
  EXPECT_EQ(logfmt("bad\xff\xc0\x80"), "\"bad\uFFFD\uFFFD\uFFFD\"");
  EXPECT_EQ(logfmt("\xed\xa0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");  // a surrogate
  EXPECT_EQ(logfmt("cut\xe2\x82"), "\"cut\uFFFD\uFFFD\"");
}

TEST(LogLine, ALongValueIsCut) {
  const std::string value = logfmt(std::string(5000, 'a'));
  EXPECT_EQ(value, "\"" + std::string(kValueBytesMax, 'a') + "…\"");
  EXPECT_EQ(logfmt(std::string(kValueBytesMax, 'a')), std::string(kValueBytesMax, 'a'));
}

TEST(LogLine, JsonKeepsTypes) {
  EXPECT_EQ(format_line(Format::json, kTime, Level::error, "a \"b\"",
                        {{"id", "x\ny"}, {"n", 1}, {"b", false}, {"d", 1.0 / 0.0}}, 7),
            R"({"ts":"2024-05-01T10:00:00.123Z","level":"error","msg":"a \"b\"","id":"x\ny","n":1,"b":false,)"
            R"("d":"+Inf","suppressed":7})");
}

TEST(LogLevel, NamesReadBack) {
  for (const auto level : {Level::trace, Level::debug, Level::info, Level::warn, Level::error, Level::off}) {
    EXPECT_EQ(parse_level(name(level)), level);
  }
  EXPECT_EQ(parse_level("loud"), std::nullopt);
}

TEST(LogLimit, CountsWhatItHoldsBackAndSaysSoWhenItOpens) {
  constexpr MonoNs kSecond = 1'000'000'000;
  Limit limit{{.per_second = 10}};
  MonoNs now = 50 * kSecond;
  uint64_t suppressed = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(limit.pass(now, suppressed)) << i;
    EXPECT_EQ(suppressed, 0u);
  }
  for (int i = 0; i < 41; ++i) ASSERT_FALSE(limit.pass(now, suppressed));
  now += kSecond / 10;
  ASSERT_TRUE(limit.pass(now, suppressed));
  EXPECT_EQ(suppressed, 41u);
  EXPECT_FALSE(limit.pass(now, suppressed));
  now += 100 * kSecond;  // a bucket never holds more than its burst
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(limit.pass(now, suppressed)) << i;
  EXPECT_FALSE(limit.pass(now, suppressed));
}

class LogFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / ("courier_log_test_" + std::to_string(::getpid()));
    std::filesystem::remove(path_);
  }
  void TearDown() override {
    ASSERT_TRUE(configure({}));
    std::filesystem::remove(path_);
  }
  std::vector<std::string> lines() const {
    std::ifstream in(path_);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  std::filesystem::path path_;
};

TEST_F(LogFile, LinesBelowTheLevelAreNotWritten) {
  ASSERT_TRUE(configure({.level = Level::warn, .format = Format::json, .file = path_}));
  info("unseen");
  warn("seen", {{"client_id", "%v {} c1"}});
  set_level(Level::debug);
  debug("seen too");
  set_level(Level::off);
  error("unseen");
  const auto got = lines();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_THAT(got[0], StartsWith("{\"ts\":\"2"));
  EXPECT_THAT(got[0], HasSubstr("\"msg\":\"seen\",\"client_id\":\"%v {} c1\"}"));
}

TEST_F(LogFile, AnUnwritableFileIsAnErrorAndTheOldDestinationStays) {
  ASSERT_TRUE(configure({.file = path_}));
  const auto result = configure({.file = (path_ / "below" / "a file").string()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, BaseErrc::log_destination);
  info("still here");
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(LogFile, ReopenWritesToANewFileAfterRotation) {
  ASSERT_TRUE(configure({.file = path_}));
  info("before");
  const auto rotated = path_.string() + ".1";
  std::filesystem::rename(path_, rotated);
  info("to the old file");
  ASSERT_TRUE(reopen());
  info("to the new file");
  std::filesystem::remove(rotated);
  const auto got = lines();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_THAT(got[0], HasSubstr("to the new file"));
}

TEST_F(LogFile, ThreadsWriteWholeLinesAndShutdownWaitsForTheQueue) {
  ASSERT_TRUE(configure({.file = path_, .asynchronous = true}));
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) info("line", {{"thread", t}, {"i", i}, {"text", std::string(300, 'x')}});
    });
  }
  threads.clear();
  shutdown();
  const auto got = lines();
  EXPECT_EQ(got.size(), 800u);
  for (const auto& line : got) {
    EXPECT_THAT(line, StartsWith("ts="));
    EXPECT_EQ(line.substr(line.size() - 3), "xxx");
  }
}

TEST_F(LogFile, ALimitedCallSiteWritesNoMoreThanItsRate) {
  ASSERT_TRUE(configure({.file = path_}));
  Limit limit{{.per_second = 1, .burst = 3}};
  for (int i = 0; i < 10; ++i) warn(limit, "flood");
  EXPECT_GE(lines().size(), 3u);
  EXPECT_LT(lines().size(), 10u);
}

}  // namespace
}  // namespace courier::log
