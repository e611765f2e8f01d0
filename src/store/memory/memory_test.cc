#include <gtest/gtest.h>

#include <memory>

#include "store/memory/memory_log.h"
#include "store/memory/memory_store.h"
#include "store/store_test_contract.h"

namespace courier::store {
namespace {

class MemoryHarness {
 public:
  MemoryHarness() { open({}); }
  OrderedLog& log() { return *log_; }
  StateStore& state() { return *store_; }
  TestClock& clock() { return clock_; }
  void settle(RecordingReader& reader, size_t batches) {
    log_->pump();
    EXPECT_GE(reader.count(), batches);
  }
  void restart() { open(log_->crash()); }

 private:
  void open(MemoryImage image) {
    store_.reset();
    log_.reset();
    disk_ = std::make_unique<MemoryDisk>(std::move(image));
    log_ = std::make_unique<MemoryLog>(*disk_, clock_);
    store_ = std::make_unique<MemoryStore>(*disk_);
  }

  TestClock clock_;
  std::unique_ptr<MemoryDisk> disk_;
  std::unique_ptr<MemoryLog> log_;
  std::unique_ptr<MemoryStore> store_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, MemoryHarness);

struct MemoryLogTest : ::testing::Test {
  MemoryLogTest() { log.start(reader); }
  std::vector<uint64_t> tickets() const {
    std::vector<uint64_t> list;
    for (const CommittedBatch& batch : reader.batches()) list.push_back(batch.ticket);
    return list;
  }

  TestClock clock;
  MemoryDisk disk;
  MemoryLog log{disk, clock};
  MemoryStore store{disk};
  RecordingReader reader;
};

TEST_F(MemoryLogTest, NothingComesBackUntilTheTestSaysSo) {
  for (uint64_t ticket = 0; ticket < 4; ++ticket) log.append(numbered_batch(0, ticket));
  EXPECT_EQ(reader.count(), 0u);
  EXPECT_EQ(log.waiting(), 4u);
  EXPECT_TRUE(log.commit_next());
  EXPECT_EQ(tickets(), (std::vector<uint64_t>{0}));
  EXPECT_TRUE(log.commit_next(2));
  EXPECT_EQ(tickets(), (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(disk.image().log.size(), 2u) << "merged batches are one value";
  EXPECT_EQ(log.pump(), 1u);
  EXPECT_FALSE(log.commit_next());
}

TEST_F(MemoryLogTest, PumpGivesNoMoreThanItWasAskedFor) {
  for (uint64_t ticket = 0; ticket < 4; ++ticket) log.append(numbered_batch(0, ticket));
  EXPECT_EQ(log.pump(3), 3u);
  EXPECT_EQ(log.waiting(), 1u);
}

TEST_F(MemoryLogTest, CrashKeepsWhatWasCommittedAndAsMuchOfTheRestAsTheTestSays) {
  for (uint64_t ticket = 0; ticket < 4; ++ticket) log.append(numbered_batch(0, ticket));
  log.pump(1);
  for (size_t kept = 0; kept <= 3; ++kept) {
    MemoryDisk after(log.crash(kept));
    MemoryLog again(after, clock);
    EXPECT_EQ(replayed(again).size(), 1 + kept);
    RecordingReader later;
    again.start(later);
    again.append(numbered_batch(0, 9));
    again.pump();
    EXPECT_EQ(later.batches().at(0).first.value, 2 + kept);
  }
}

TEST_F(MemoryLogTest, CrashCanTakeBackWritesOfStateSinceTheLastCommit) {
  for (uint64_t ticket = 0; ticket < 3; ++ticket) {
    log.append(numbered_batch(0, ticket));
    log.pump();
  }
  const auto write = [&](std::string value, int64_t delta, uint64_t position) {
    StateBatch batch;
    batch.puts.push_back({Table::session, "s", std::move(value)});
    batch.messages.push_back({Position(1), delta, message_of("m")});
    if (position == 2) batch.erases.push_back({Table::inbox, "i"});
    if (position == 1) batch.puts.push_back({Table::inbox, "i", "entry"});
    std::vector<StateBatch> parts;
    parts.push_back(std::move(batch));
    ASSERT_TRUE(store.write(parts, Position(position)));
  };
  write("one", 1, 1);
  write("two", -1, 2);
  EXPECT_EQ(disk.unsafe_state_writes(), 2u);

  const MemoryImage all = log.crash(0, 0);
  EXPECT_EQ(all.position, Position(2));
  EXPECT_EQ(all.log.size(), 1u);
  EXPECT_TRUE(all.messages.empty());
  EXPECT_TRUE(all.tables[static_cast<size_t>(Table::inbox)].empty());

  const MemoryImage one = log.crash(0, 1);
  EXPECT_EQ(one.position, Position(1));
  EXPECT_EQ(one.log.size(), 2u) << "the trim was after the write that is lost";
  EXPECT_EQ(one.messages.at(Position(1)).count, 1);
  EXPECT_EQ(one.tables[static_cast<size_t>(Table::session)].at("s"), "one");
  EXPECT_EQ(one.tables[static_cast<size_t>(Table::inbox)].at("i"), "entry");

  const MemoryImage none = log.crash(0, 2);
  EXPECT_EQ(none.position, Position(0));
  EXPECT_EQ(none.log.size(), 3u);
  EXPECT_TRUE(none.messages.empty());
  EXPECT_TRUE(none.tables[static_cast<size_t>(Table::session)].empty());

  log.append(numbered_batch(0, 3));
  log.pump();
  EXPECT_EQ(disk.unsafe_state_writes(), 0u) << "a commit makes safe what was written before it";
}

TEST_F(MemoryLogTest, StalledLogKeepsWhatItTookAndSaysWhy) {
  log.append(numbered_batch(0, 0));
  log.stall("the disk is full");
  EXPECT_EQ(log.pump(), 0u);
  EXPECT_FALSE(log.state().accepting);
  EXPECT_EQ(log.state().reason, "the disk is full");
  log.append(numbered_batch(0, 1));
  log.unstall();
  EXPECT_EQ(log.pump(), 2u);
  EXPECT_EQ(tickets(), (std::vector<uint64_t>{0, 1}));
  ASSERT_EQ(reader.states().size(), 2u);
  EXPECT_FALSE(reader.states()[0].accepting);
  EXPECT_TRUE(reader.states()[1].accepting);
}

TEST_F(MemoryLogTest, DamagedOrMissingBatchIsNamedByItsPosition) {
  for (uint64_t ticket = 0; ticket < 3; ++ticket) {
    log.append(numbered_batch(0, ticket));
    log.pump();
  }
  const auto error = [&](MemoryImage image) {
    MemoryDisk after(std::move(image));
    MemoryLog again(after, clock);
    const Result<void> done = again.replay({}, [](CommittedBatch&&) -> Result<void> { return {}; });
    return done ? std::string() : done.error().message;
  };
  MemoryImage flipped = log.crash();
  flipped.log[1].bytes[12] ^= 1;
  EXPECT_NE(error(flipped).find("position 2"), std::string::npos);
  MemoryImage missing = log.crash();
  missing.log.erase(missing.log.begin() + 1);
  EXPECT_NE(error(missing).find("position 2"), std::string::npos);
  EXPECT_EQ(error(log.crash()), "");
}

TEST_F(MemoryLogTest, WriteThatFailsChangesNothing) {
  store.fail_writes(Error(make_error_code(errc::disk_full), "no space"));
  std::vector<StateBatch> parts(1);
  parts[0].puts.push_back({Table::session, "s", "v"});
  const Result<void> failed = store.write(parts, Position(1));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no space");
  EXPECT_EQ(store.position(), Position(0));
  store.fail_writes(std::nullopt);
  EXPECT_TRUE(store.write(parts, Position(1)));
  EXPECT_EQ(store.position(), Position(1));
}

}  // namespace
}  // namespace courier::store
