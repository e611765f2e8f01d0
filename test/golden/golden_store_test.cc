// Every format of the store that was ever committed here can still be read.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "golden_store.h"
#include "store/rocksdb/inspection.h"
#include "store/rocksdb/rocks_store.h"

namespace courier::store {
namespace {

namespace fs = std::filesystem;

class GoldenStore : public ::testing::TestWithParam<const char*> {
 protected:
  // Opening changes a store: a copy is opened.
  GoldenStore() {
    fs::remove_all(copy_);
    fs::copy(fs::path(GOLDEN_DIR) / GetParam(), copy_, fs::copy_options::recursive);
  }
  ~GoldenStore() override { fs::remove_all(copy_); }
  // "store_v1_killed"
  static uint32_t format() { return static_cast<uint32_t>(GetParam()[7] - '0'); }

  const std::string copy_ = ::testing::TempDir() + "courier_golden_" + std::to_string(getpid());
};

TEST_P(GoldenStore, OpensWithAllThatWasInIt) {
  const auto opened = RocksStore::open({.data_dir = copy_, .file_system = nullptr});
  ASSERT_TRUE(opened) << opened.error().message;
  RocksStore& store = **opened;
  EXPECT_EQ(store.notices().empty(), format() == schema::kFormat) << "an older one is brought up to date";
  EXPECT_EQ(store.state().position(), Position(golden::kPosition));
  for (size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    size_t rows = 0;
    ASSERT_TRUE(store.state().scan(table, "", "", [&](std::string_view key, std::string_view value) {
      EXPECT_EQ(key, golden::row_key(table));
      EXPECT_EQ(value, golden::row_value(table));
      ++rows;
      return true;
    }));
    const bool was_there = schema::is_in(schema::column_of(table), format());
    EXPECT_EQ(rows, was_there ? 1u : 0u) << i;
  }
  const auto messages = store.state().load_messages({Position(1)});
  ASSERT_TRUE(messages) << messages.error().message;
  EXPECT_TRUE(record::same((*messages)[0], record::specimen_message()));

  const std::vector<record::Record> expected = golden::log_records();
  uint64_t next = golden::kPosition + 1;
  const auto replayed =
      store.log().replay(Position(golden::kPosition), [&](CommittedBatch&& batch) -> Result<void> {
        EXPECT_EQ(batch.first.value, next);
        EXPECT_EQ(batch.clock, golden::kClock);
        for (const record::Record& r : batch.records) EXPECT_TRUE(record::same(r, expected.at(next++ - 1)));
        return {};
      });
  ASSERT_TRUE(replayed) << replayed.error().message;
  EXPECT_EQ(next, expected.size() + 1);
}

TEST_P(GoldenStore, IsOfTheNewestFormatOnceItWasOpened) {
  const auto key = golden::row_key(Table::event);
  {
    const auto opened = RocksStore::open({.data_dir = copy_, .file_system = nullptr});
    ASSERT_TRUE(opened) << opened.error().message;
    std::vector<StateBatch> more(1);
    more[0].puts.push_back({Table::event, key, "new"});
    ASSERT_TRUE((*opened)->state().write(more, Position(golden::kPosition)));
  }
  const auto again = RocksStore::open({.data_dir = copy_, .file_system = nullptr});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE((*again)->notices().empty());
  std::string value;
  ASSERT_TRUE((*again)->state().scan(Table::event, "", "", [&](std::string_view, std::string_view row) {
    value = row;
    return true;
  }));
  EXPECT_EQ(value, "new");
}

// The database is brought up to date first, then FORMAT.
TEST_P(GoldenStore, IsBroughtUpToDateAgainIfThatWasCutOff) {
  const auto file = fs::path(copy_) / "FORMAT";
  fs::copy_file(file, copy_ + ".FORMAT", fs::copy_options::overwrite_existing);
  ASSERT_TRUE(RocksStore::open({.data_dir = copy_, .file_system = nullptr}));
  fs::rename(copy_ + ".FORMAT", file);
  const auto again = RocksStore::open({.data_dir = copy_, .file_system = nullptr});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->state().position(), Position(golden::kPosition));
}

TEST_P(GoldenStore, IsReadByInspection) {
  const auto inspection = Inspection::open(copy_);
  ASSERT_TRUE(inspection) << inspection.error().message;
  EXPECT_EQ((*inspection)->position(), Position(golden::kPosition));
  EXPECT_EQ((*inspection)->log_end(), Position(golden::log_records().size()));
  EXPECT_EQ((*inspection)->count(Table::session).value(), 1u);
  EXPECT_EQ((*inspection)->count(Table::event).value(), format() >= 2 ? 1u : 0u);
}

INSTANTIATE_TEST_SUITE_P(Formats, GoldenStore,
                         ::testing::Values("store_v1", "store_v1_killed", "store_v2", "store_v2_killed"));

}  // namespace
}  // namespace courier::store
