// The state of a node alone on its way to be a cluster's: whole, cut off, and not for a folder that is taken.
#include "store/rocksdb/import_folder.h"

#include "store/errc.h"
#include "store/rocksdb/inspection.h"
#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

StateBatch put(const std::string& key, const std::string& value) {
  StateBatch batch;
  batch.puts.push_back({Table::retained, key, value});
  return batch;
}

class Importing : public ::testing::Test {
 protected:
  // Two rows as of position 1, and two records behind that in the log.
  Importing() {
    const auto store = must_open(source_);
    RecordingReader reader;
    store->log().start(reader);
    store->log().append(numbered_batch(0, 1, 3));
    reader.wait_for_batches(1);
    store->log().stop();
    EXPECT_TRUE(write_state(store->state(), put("a", "old"), 1));
  }

  std::unique_ptr<ImportFolder> open() {
    auto folder = ImportFolder::open(data_);
    EXPECT_TRUE(folder) << folder.error().message;
    return std::move(*folder);
  }
  Result<void> finish(ImportFolder& folder) {
    return folder.finish({put("b", "new")}, Position(4), 4'000'000'000'123, "log-1", 77);
  }
  std::string refused() {
    const auto folder = ImportFolder::open(data_);
    return folder ? std::string() : folder.error().message;
  }

  TestFolder folder_;
  const std::string source_ = folder_ / "source", data_ = folder_ / "data";
};

TEST_F(Importing, PutInPlaceItIsTheStateOfTheClustersLog) {
  auto folder = open();
  EXPECT_FALSE(folder->holds_store());
  const auto source = Inspection::open(source_);
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ((*source)->log_end(), Position(3));
  ASSERT_TRUE(folder->copy(source_));
  ASSERT_TRUE(finish(*folder));
  {
    const auto copy = Inspection::open(folder->path());
    ASSERT_TRUE(copy) << copy.error().message;
    EXPECT_EQ((*copy)->log_id(), "log-1");
    EXPECT_EQ((*copy)->cursor(), 77u);
    EXPECT_EQ((*copy)->clock(), 4'000'000'000'123);
    EXPECT_EQ((*copy)->log_end(), Position(4)) << "the log that it had is folded into it";
  }
  const Result<void> moved = ImportFolder::put_in_place(std::move(folder));
  ASSERT_TRUE(moved) << moved.error().message;

  EXPECT_TRUE(open()->holds_store());
  const auto store = RocksStore::open({.data_dir = data_, .log_id = "log-1", .file_system = nullptr});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->state().position(), Position(4));
  EXPECT_EQ((*store)->state().cursor(), 77u);
  EXPECT_EQ(rows((*store)->state(), Table::retained).size(), 2u);
  EXPECT_EQ((*source)->position(), Position(1)) << "the source is as it was";
  EXPECT_EQ(*(*source)->count(Table::retained), 1u);
  EXPECT_FALSE(std::filesystem::exists(data_ + "/import"));
  EXPECT_FALSE(std::filesystem::exists(data_ + "/replacement"));
}

TEST_F(Importing, CutOffItIsNoStoreAndTheNextOneGoesOn) {
  {
    auto folder = open();
    ASSERT_TRUE(folder->copy(source_));
    EXPECT_SAYS(refused(), "in this process");
  }
  EXPECT_SAYS(refusal(data_), "Run courier cluster import again");
  EXPECT_FALSE(std::filesystem::exists(data_ + "/FORMAT"));
  auto folder = open();
  EXPECT_FALSE(folder->holds_store());
  EXPECT_EQ((*Inspection::open(folder->path()))->log_id(), "") << "it is not whole";
  ASSERT_TRUE(finish(*folder));
  EXPECT_EQ((*Inspection::open(folder->path()))->log_id(), "log-1");
  // Between the two names of the exchange.
  folder.reset();
  std::filesystem::rename(data_ + "/import", data_ + "/replacement");
  EXPECT_TRUE(open()->holds_store());
}

TEST_F(Importing, CutOffBesideAStoreThatIsWholeItIsNothing) {
  (void)must_open(data_);
  std::filesystem::create_directories(data_ + "/import");
  EXPECT_EQ(refusal(data_), "");
  // But not beside one that is not.
  write_bytes(data_ + "/FORMAT", "courier store\nformat 1\ncreating\n");
  EXPECT_SAYS(refusal(data_), "Run courier cluster import again");
  EXPECT_FALSE(open()->holds_store());
}

TEST_F(Importing, HalfACopyIsMadeAnew) {
  auto folder = open();
  ASSERT_TRUE(folder->copy(source_));
  write_bytes(folder->path() + "/FORMAT", "courier store\nformat 1\nrestoring\n");
  EXPECT_FALSE(Inspection::open(folder->path()));
  ASSERT_TRUE(folder->copy(source_));
  EXPECT_TRUE(finish(*folder));
  folder->remove();
  EXPECT_FALSE(std::filesystem::exists(folder->path()));
}

TEST_F(Importing, FolderThatIsTakenIsRefusedOrSaysSo) {
  (void)must_open(data_);
  EXPECT_TRUE(open()->holds_store());
  {
    const auto node = must_open(data_);
    EXPECT_SAYS(refused(), "is open already");
  }
  std::filesystem::remove_all(data_);
  std::filesystem::create_directories(data_);
  write_bytes(data_ + "/letter", "dear");
  EXPECT_SAYS(refused(), "letter");
}

}  // namespace
}  // namespace courier::store
