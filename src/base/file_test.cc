#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/errc.h"

namespace courier {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "courier_file_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = (folder_ / "file").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(FileTest, IsReadWholeUpToItsLimit) {
  const std::string text(100'000, 'x');
  write(text);
  EXPECT_EQ(read_file(path_, text.size()).value(), text);
  const auto refused = read_file(path_, text.size() - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, BaseErrc::unreadable);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("more than 99999 bytes"));
}

TEST_F(FileTest, WhatIsNoPlainFileIsNotWaitedFor) {
  EXPECT_EQ(read_file(path_, 10).error().code, BaseErrc::unreadable);
  EXPECT_EQ(read_file(folder_.string(), 10).error().code, BaseErrc::unreadable);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(read_file(path_, 10).error().message, testing::HasSubstr("not a plain file"));
}

TEST_F(FileTest, AChangeIsSeenOnceAndNotBeforeASecond) {
  write("one");
  WatchedFile file(path_, 0);
  EXPECT_FALSE(file.changed(WatchedFile::kLookEveryNs));
  write("other");
  EXPECT_FALSE(file.changed(2 * WatchedFile::kLookEveryNs - 1));
  EXPECT_TRUE(file.changed(2 * WatchedFile::kLookEveryNs));
  EXPECT_FALSE(file.changed(3 * WatchedFile::kLookEveryNs));
  std::filesystem::remove(path_);
  EXPECT_TRUE(file.changed(4 * WatchedFile::kLookEveryNs));
  EXPECT_FALSE(file.changed(5 * WatchedFile::kLookEveryNs));
  write("again");
  EXPECT_TRUE(file.changed(6 * WatchedFile::kLookEveryNs));
  write("once more");
  EXPECT_TRUE(file.changed());
  EXPECT_FALSE(file.changed());
  EXPECT_FALSE(file.changed(7 * WatchedFile::kLookEveryNs));
}

}  // namespace
}  // namespace courier
