#include "events/file/file_sink.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "events/catalogue/fields.h"

namespace courier::events::file {
namespace {

namespace fs = std::filesystem;

EventPtr event(int number) {
  std::string bytes;
  FieldWriter(bytes).text(Field::id, std::to_string(number));
  return std::make_shared<const Event>(Event{Position(static_cast<uint64_t>(number)), Kind::publish, bytes});
}
std::string line(int number) {
  return R"({"id":")" + std::to_string(number) + "\"}\n";
}
std::string content(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class FileSinkTest : public ::testing::Test {
 protected:
  FileSinkTest() { fs::remove_all(folder_); }
  ~FileSinkTest() override { fs::remove_all(folder_); }
  std::unique_ptr<FileSink> open() {
    auto sink = FileSink::open(options_);
    EXPECT_TRUE(sink) << sink.error().message;
    return std::move(*sink);
  }
  Result<Told> tell(FileSink& sink, int number) {
    const EventPtr events[] = {event(number)};
    return sink.tell({}, events);
  }
  const fs::path folder_ =
      fs::path(::testing::TempDir()) / ("courier_file_sink_" + std::to_string(::getpid()));
  LineFileOptions options_{.path = folder_ / "events.jsonl"};
};

TEST_F(FileSinkTest, EachEventIsALineAndANewRunGoesOn) {
  ASSERT_TRUE(tell(*open(), 1));
  ASSERT_TRUE(tell(*open(), 2));
  EXPECT_EQ(content(options_.path), line(1) + line(2));
}

TEST_F(FileSinkTest, ALineThatACrashToreIsCutOff) {
  ASSERT_TRUE(tell(*open(), 1));
  std::ofstream(options_.path, std::ios::app) << R"({"id":"2)";
  ASSERT_TRUE(tell(*open(), 2));
  EXPECT_EQ(content(options_.path), line(1) + line(2));
  std::ofstream(options_.path) << std::string(200'000, 'x');  // not a line at all
  ASSERT_TRUE(tell(*open(), 3));
  EXPECT_EQ(content(options_.path), line(3));
}

TEST_F(FileSinkTest, FilesAreRotatedAndTheOldestGoes) {
  options_.file_bytes_max = 2 * line(1).size();
  options_.files_max = 2;
  const auto sink = open();
  for (int i = 1; i <= 7; ++i) ASSERT_TRUE(tell(*sink, i));
  EXPECT_EQ(content(options_.path), line(7));
  EXPECT_EQ(content(options_.path + ".1"), line(5) + line(6));
  EXPECT_EQ(content(options_.path + ".2"), line(3) + line(4));
  EXPECT_FALSE(fs::exists(options_.path + ".3"));
}

TEST_F(FileSinkTest, ThatItCannotWriteIsSaidAndWrittenOnceItCan) {
  const auto sink = open();
  ASSERT_TRUE(tell(*sink, 1));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{line(1).size() + 3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const auto refused = tell(*sink, 2);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, ignored);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(options_.path), std::string::npos) << refused.error().message;
  EXPECT_EQ(content(options_.path), line(1)) << "nothing torn stays";
  ASSERT_TRUE(tell(*sink, 2));
  EXPECT_EQ(content(options_.path), line(1) + line(2));
}

TEST_F(FileSinkTest, AFolderThatCannotBeIsAnErrorWithItsPath) {
  options_.path = "/proc/no/such/events.jsonl";
  const auto sink = FileSink::open(options_);
  ASSERT_FALSE(sink);
  EXPECT_NE(sink.error().message.find("/proc/no/such/events.jsonl"), std::string::npos);
}

TEST_F(FileSinkTest, WhoeverStandsStillAtTheOtherEndOfAPipeDoesNotHoldUpTheStop) {
  fs::create_directories(folder_);
  ASSERT_EQ(::mkfifo(options_.path.c_str(), 0600), 0);
  const auto sink = open();  // reads and writes it, so that it opens without a reader
  std::vector<EventPtr> many(20'000, event(1));
  std::thread stopper([&] { sink->stop(); });
  EXPECT_FALSE(sink->tell({}, many));
  stopper.join();
}

}  // namespace
}  // namespace courier::events::file
