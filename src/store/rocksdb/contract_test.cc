#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "store/rocksdb/rocks_store.h"
#include "store/store_test_contract.h"

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

}  // namespace
}  // namespace courier::store
