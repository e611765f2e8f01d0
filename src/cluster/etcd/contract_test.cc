// What every driver of the log's port must do, done by this one. The state store beside it is in memory; as
// in a node, the log hears of what it has written.
#include <gtest/gtest.h>

#include <memory>

#include "cluster/etcd/etcd_test_node.h"
#include "store/memory/memory_store.h"
#include "store/store_test_contract.h"

namespace courier::store {
namespace {

using cluster::etcd::Keys;
using cluster::etcd::TestEtcd;
using cluster::etcd::TestNode;

class TellingStore : public MemoryStore {
 public:
  explicit TellingStore(MemoryDisk& disk) : MemoryStore(disk) {}
  void tell(OrderedLog* log) { log_ = log; }
  Result<void> write(const std::vector<StateBatch>& parts, Position position, uint64_t cursor,
                     WallMs clock) override {
    Result<void> written = MemoryStore::write(parts, position, cursor, clock);
    if (written) log_->checkpointed(position);
    return written;
  }

 private:
  OrderedLog* log_ = nullptr;
};

class EtcdHarness {
 public:
  EtcdHarness() { open(); }
  ~EtcdHarness() { node_->leave(); }
  OrderedLog& log() { return node_->log(); }
  StateStore& state() { return store_; }
  TestClock& clock() { return clock_; }
  void settle(RecordingReader& reader, size_t batches) { reader.wait_for_batches(batches); }
  void restart() {
    node_->leave();
    open();
  }

 private:
  void open() {
    // Nothing is truncated: the contract reads from wherever it likes.
    node_ = std::make_unique<TestNode>(
        TestEtcd::shared(), keys_,
        TestNode::Options{.truncation = {.every_ms = 1'000'000}, .clock = &clock_});
    store_.tell(&node_->log());
  }

  TestClock clock_;
  MemoryDisk disk_;
  TellingStore store_{disk_};
  const Keys keys_ = cluster::etcd::test_keys();
  std::unique_ptr<TestNode> node_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, StoreContract, EtcdHarness);

}  // namespace
}  // namespace courier::store
