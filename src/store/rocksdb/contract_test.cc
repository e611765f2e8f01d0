#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

class RocksHarness {
 public:
  RocksHarness() {
    static std::atomic<int> count{0};
    path_ =
        ::testing::TempDir() + "courier_contract_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    std::filesystem::remove_all(path_);
    open();
  }
  ~RocksHarness() {
    store_.reset();
    std::filesystem::remove_all(path_);
  }
  OrderedLog& log() { return store_->log(); }
  StateStore& state() { return store_->state(); }
  TestClock& clock() { return clock_; }
  void settle(RecordingReader& reader, size_t batches) { reader.wait_for_batches(batches); }
  void restart() {
    store_.reset();
    open();
  }

 private:
  void open() {
    Result<std::unique_ptr<RocksStore>> store =
        RocksStore::open({.data_dir = path_, .clock = &clock_, .file_system = nullptr});
    if (!store) {
      ADD_FAILURE() << store.error().message;
      std::abort();
    }
    store_ = std::move(*store);
  }

  TestClock clock_;
  std::string path_;
  std::unique_ptr<RocksStore> store_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, StoreContract, RocksHarness);

TEST(RocksState, MessageThatThousandsOfInboxesNameIsWrittenOnce) {
  TestFolder folder;
  const std::string data = folder / "data";
  const std::unique_ptr<RocksStore> store = must_open(data);
  std::vector<StateBatch> parts(2);
  const auto message = message_of(std::string(100'000, 'x'));
  for (int i = 0; i < 1000; ++i) parts[i % 2].messages.push_back({Position(5), 1, message});
  ASSERT_TRUE(store->state().write(parts, Position(5)));
  uintmax_t bytes = 0;
  for (const std::string& journal : files_in(data + "/db", "", ".log"))
    bytes += std::filesystem::file_size(journal);
  EXPECT_LT(bytes, 300'000u);
  StateBatch rest;
  rest.messages.push_back({Position(5), -999, {}});
  ASSERT_TRUE(write_state(store->state(), std::move(rest), 6));
  const auto loaded = store->state().load_messages({Position(5)});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)[0]->payload.size(), 100'000u);
}

}  // namespace
}  // namespace courier::store
