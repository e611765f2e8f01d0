#include "store/rocksdb/faulty_file_system.h"

#include <gtest/gtest.h>

#include "store/rocksdb/files.h"
#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

struct FaultyFileSystemTest : ::testing::Test {
  std::unique_ptr<rocksdb::FSWritableFile> create(const std::string& name) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    EXPECT_TRUE(files->NewWritableFile(folder / name, {}, &file, nullptr).ok());
    return file;
  }
  void append(rocksdb::FSWritableFile& file, const std::string& bytes) {
    EXPECT_TRUE(file.Append(bytes, {}, nullptr).ok());
  }
  void sync(rocksdb::FSWritableFile& file) { EXPECT_TRUE(file.Sync({}, nullptr).ok()); }
  void sync_names() {
    const Result<void> done = sync_folder(*files, folder.path());
    EXPECT_TRUE(done);
  }
  std::string seen(const std::string& name) {
    const Result<std::string> content = read_file(*files, folder / name);
    return content ? *content : "(none)";
  }
  // What is on the disk after a power cut now.
  std::string kept(const std::string& name) {
    files->power_cut();
    files = std::make_shared<FaultyFileSystem>(folder.path());
    return seen(name);
  }

  TestFolder folder;
  std::shared_ptr<FaultyFileSystem> files = std::make_shared<FaultyFileSystem>(folder.path());
};

TEST_F(FaultyFileSystemTest, BytesAreSeenAtOnceButSafeOnlyWhenSynced) {
  const auto file = create("a");
  sync_names();
  append(*file, "safe ");
  sync(*file);
  append(*file, "not safe");
  EXPECT_EQ(seen("a"), "safe not safe");
  uint64_t size = 0;
  EXPECT_TRUE(files->GetFileSize(folder / "a", {}, &size, nullptr).ok());
  EXPECT_EQ(size, 13u);
  EXPECT_EQ(kept("a"), "safe ");
}

TEST_F(FaultyFileSystemTest, NewNameIsSafeOnlyWhenItsFolderIsSynced) {
  const auto file = create("a");
  append(*file, "content");
  sync(*file);
  EXPECT_EQ(list(*files, folder.path()).value(), std::vector<std::string>{"a"});
  EXPECT_EQ(kept("a"), "(none)");
  EXPECT_TRUE(list(*files, folder.path())->empty()) << "nothing is left behind";
}

TEST_F(FaultyFileSystemTest, RenameAndDeletionAreSafeOnlyWhenTheFolderIsSynced) {
  for (const char* name : {"old", "target", "gone"}) {
    const auto file = create(name);
    append(*file, name);
    sync(*file);
  }
  sync_names();
  EXPECT_TRUE(files->RenameFile(folder / "old", folder / "target", {}, nullptr).ok());
  EXPECT_TRUE(files->DeleteFile(folder / "gone", {}, nullptr).ok());
  EXPECT_EQ(seen("target"), "old");
  EXPECT_EQ(seen("old"), "(none)");
  EXPECT_EQ(seen("gone"), "(none)");
  files->power_cut();
  files = std::make_shared<FaultyFileSystem>(folder.path());
  EXPECT_EQ(seen("target"), "target");
  EXPECT_EQ(seen("old"), "old");
  EXPECT_EQ(seen("gone"), "gone");

  EXPECT_TRUE(files->RenameFile(folder / "old", folder / "target", {}, nullptr).ok());
  EXPECT_TRUE(files->DeleteFile(folder / "gone", {}, nullptr).ok());
  const auto again = create("old");
  append(*again, "again");
  sync(*again);
  sync_names();
  files->power_cut();
  files = std::make_shared<FaultyFileSystem>(folder.path());
  EXPECT_EQ(seen("target"), "old");
  EXPECT_EQ(seen("old"), "again");
  EXPECT_EQ(seen("gone"), "(none)");
}

TEST_F(FaultyFileSystemTest, FullDiskTakesWhatFitsAndThenNothing) {
  const auto file = create("a");
  files->set_free_space(4);
  const auto status = file->Append("123456", {}, nullptr);
  EXPECT_TRUE(status.IsNoSpace());
  EXPECT_EQ(seen("a"), "1234");
  files->set_free_space(std::nullopt);
  append(*file, "56");
  EXPECT_EQ(seen("a"), "123456");
}

TEST_F(FaultyFileSystemTest, WhatAFailedSyncHeldIsLostEvenIfALaterOneSucceeds) {
  const auto file = create("a");
  sync_names();
  append(*file, "lost");
  files->fail_syncs(true);
  EXPECT_FALSE(file->Sync({}, nullptr).ok());
  files->fail_syncs(false);
  append(*file, "kept");
  EXPECT_EQ(seen("a"), "lostkept");
  sync(*file);
  EXPECT_EQ(kept("a"), std::string(4, '\0') + "kept");
}

TEST_F(FaultyFileSystemTest, PowerCutMayKeepAPartOfWhatWaits) {
  const auto file = create("a");
  sync_names();
  append(*file, "0123456789");
  files->power_cut([](const std::string&, size_t bytes) { return bytes / 2; });
  EXPECT_FALSE(file->Append("x", {}, nullptr).ok());
  files = std::make_shared<FaultyFileSystem>(folder.path());
  EXPECT_EQ(seen("a"), "01234");
}

}  // namespace
}  // namespace courier::store
