// Whose state a data directory holds: a node's alone, or a cluster's.
#include <gtest/gtest.h>

#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

Result<std::unique_ptr<RocksStore>> open_as(const std::string& data_dir, const std::string& log_id) {
  return RocksStore::open({.data_dir = data_dir, .log_id = log_id, .file_system = nullptr});
}

// Why it cannot be opened so; empty if it can.
std::string refused_as(const std::string& data_dir, const std::string& log_id) {
  const Result<std::unique_ptr<RocksStore>> store = open_as(data_dir, log_id);
  if (store) return {};
  EXPECT_EQ(store.error().code, make_error_code(errc::another_log)) << store.error().message;
  return store.error().message;
}

TEST(Belonging, StateOfAClusterKeepsItsCursorAndClock) {
  TestFolder folder;
  const std::string data = folder / "data";
  {
    const auto store = open_as(data, "log-1");
    ASSERT_TRUE(store) << store.error().message;
    StateStore& state = (*store)->state();
    EXPECT_EQ(state.cursor(), 0u);
    std::vector<StateBatch> parts(1);
    parts[0].puts.push_back({Table::retained, "t", "v"});
    ASSERT_TRUE(state.write(parts, Position(5), 77, 1'700'000'000'123));
    EXPECT_EQ(state.cursor(), 77u);
    EXPECT_EQ(state.clock(), 1'700'000'000'123);
  }
  const auto store = open_as(data, "log-1");
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->state().position(), Position(5));
  EXPECT_EQ((*store)->state().cursor(), 77u);
  EXPECT_EQ((*store)->state().clock(), 1'700'000'000'123);
  EXPECT_EQ(rows((*store)->state(), Table::retained).size(), 1u);
}

TEST(Belonging, StateOfAnotherLogIsRefusedAndStaysAsItWas) {
  TestFolder folder;
  const std::string cluster = folder / "cluster", alone = folder / "alone";
  {
    const auto store = open_as(cluster, "log-1");
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE((*store)->state().write({}, Position(3), 9, 1));
    const auto solo = must_open(alone);
    ASSERT_TRUE(write_state(solo->state(), {}, 3));
    EXPECT_EQ(solo->state().cursor(), 0u);
  }
  EXPECT_SAYS(refused_as(cluster, "log-2"), "log-1");
  EXPECT_SAYS(refused_as(cluster, ""), "node alone");
  EXPECT_SAYS(refused_as(alone, "log-1"), "node alone");
  EXPECT_EQ(refused_as(cluster, "log-1"), "");
  EXPECT_EQ(refused_as(alone, ""), "");
  EXPECT_EQ((*open_as(cluster, "log-1"))->state().position(), Position(3));
  EXPECT_EQ(must_open(alone)->state().position(), Position(3));
}

// A log that was written and not covered by a checkpoint is something, too.
TEST(Belonging, NodeAloneThatHasOnlyItsLogIsRefusedToo) {
  TestFolder folder;
  const std::string data = folder / "data";
  {
    const auto store = must_open(data);
    RecordingReader reader;
    store->log().start(reader);
    store->log().append(numbered_batch(0, 1));
    reader.wait_for_batches(1);
    store->log().stop();
  }
  EXPECT_SAYS(refused_as(data, "log-1"), "node alone");
}

TEST(Belonging, StoreThatIsStillEmptyBecomesWhatIsAskedFor) {
  TestFolder folder;
  const std::string data = folder / "data";
  (void)must_open(data);
  EXPECT_EQ(refused_as(data, "log-1"), "");
  EXPECT_SAYS(refused_as(data, ""), "log-1");
}

}  // namespace
}  // namespace courier::store
