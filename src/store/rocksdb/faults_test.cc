// Disks that fill up, fail and lose power: what was accepted comes back once, what came back is kept.
#include <gtest/gtest.h>
#include <rocksdb/write_batch.h>
#include <sys/mount.h>

#include <future>
#include <map>
#include <random>

#include "store/rocksdb/database.h"
#include "store/rocksdb/faulty_file_system.h"
#include "store/rocksdb/inspection.h"
#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

// The tickets of one origin's batches in the order they came back, with dense positions from `next` on.
std::vector<uint64_t> tickets(const std::vector<CommittedBatch>& batches, uint64_t next = 1) {
  std::vector<uint64_t> list;
  for (const CommittedBatch& batch : batches) {
    EXPECT_EQ(batch.first.value, next);
    next += batch.records.size();
    list.push_back(batch.ticket);
  }
  return list;
}

std::vector<uint64_t> first_numbers(size_t count) {
  std::vector<uint64_t> list(count);
  for (size_t i = 0; i < count; ++i) list[i] = i;
  return list;
}

struct FaultsTest : ::testing::Test {
  void open() {
    files = std::make_shared<FaultyFileSystem>(folder / "data");
    store = must_open(folder / "data", files);
  }
  RecordingReader& start() {
    RecordingReader& reader = *readers.emplace_back(std::make_unique<RecordingReader>());
    store->log().start(reader);
    return reader;
  }
  // Loses power now; the next open() sees what the disk kept.
  void lose_power(const std::function<size_t(const std::string&, size_t)>& keep = {}) {
    files->power_cut(keep);
    store.reset();
    files.reset();
  }
  std::vector<record::Record> replayed_records() {
    std::vector<record::Record> records;
    for (CommittedBatch& batch : replayed(store->log(), store->state().position())) {
      records.insert(records.end(), batch.records.begin(), batch.records.end());
    }
    return records;
  }
  // A fault begins while batches come, and ends: all come back, in order, once, and are on the disk.
  void expect_nothing_lost(const std::function<void(bool)>& fault, const std::string& said) {
    open();
    RecordingReader& reader = start();
    for (uint64_t ticket = 0; ticket < 3; ++ticket) store->log().append(numbered_batch(0, ticket, 2));
    reader.wait_for_batches(3);
    fault(true);
    for (uint64_t ticket = 3; ticket < 6; ++ticket) store->log().append(numbered_batch(0, ticket, 2));
    reader.wait_for_states(1);
    EXPECT_FALSE(reader.states()[0].accepting);
    EXPECT_SAYS(reader.states()[0].reason, said);
    EXPECT_FALSE(store->log().state().accepting);
    EXPECT_EQ(reader.count(), 3u) << "nothing is called safe that is not";
    for (uint64_t ticket = 6; ticket < 9; ++ticket) store->log().append(numbered_batch(0, ticket, 2));
    fault(false);
    reader.wait_for_batches(9);
    EXPECT_EQ(tickets(reader.batches()), first_numbers(9));
    EXPECT_TRUE(reader.states().back().accepting);
    EXPECT_TRUE(store->log().state().accepting);
    lose_power();
    open();
    std::vector<record::Record> live;
    for (const CommittedBatch& batch : reader.batches()) {
      live.insert(live.end(), batch.records.begin(), batch.records.end());
    }
    EXPECT_TRUE(same(replayed_records(), live));
  }

  TestFolder folder;
  std::shared_ptr<FaultyFileSystem> files;
  std::vector<std::unique_ptr<RecordingReader>> readers;  // each outlives its log
  std::unique_ptr<RocksStore> store;
};

TEST_F(FaultsTest, FullDiskStallsTheLogAndLosesNothing) {
  expect_nothing_lost([&](bool on) { files->set_free_space(on ? std::optional<uint64_t>(0) : std::nullopt); },
                      "No space left on device");
}

TEST_F(FaultsTest, DiskThatFillsUpInTheMiddleOfAWriteLosesNothing) {
  for (const uint64_t room : {1u, 6u, 7u, 20u, 30u}) {
    SCOPED_TRACE(room);
    expect_nothing_lost(
        [&](bool on) { files->set_free_space(on ? std::optional<uint64_t>(room) : std::nullopt); },
        "free some space, Courier goes on by itself");
    store.reset();
    std::filesystem::remove_all(folder / "data");
  }
}

TEST_F(FaultsTest, FailedWriteLosesNothing) {
  expect_nothing_lost([&](bool on) { files->fail_appends(on); }, "injected error of a write");
}

TEST_F(FaultsTest, FailedSyncLosesNothingEvenThoughTheDiskForgetsWhatItHeld) {
  expect_nothing_lost([&](bool on) { files->fail_syncs(on); }, "injected error of a sync");
}

TEST_F(FaultsTest, FailedSyncOfTheFolderOfTheFirstWriteLosesNothing) {
  open();
  store.reset();
  open();  // with a journal that nothing was written to yet
  files->fail_folder_syncs(true);
  RecordingReader& reader = start();
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_states(1);
  EXPECT_FALSE(reader.states()[0].accepting);
  files->fail_folder_syncs(false);
  reader.wait_for_batches(1);
  lose_power();
  open();
  EXPECT_EQ(replayed_records().size(), 1u);
}

TEST_F(FaultsTest, PostedTasksRunWhileTheLogIsStalled) {
  open();
  RecordingReader& reader = start();
  files->fail_syncs(true);
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_states(1);
  std::promise<void> ran;
  store->log().post([&] { ran.set_value(); });
  ran.get_future().wait();
  files->fail_syncs(false);
  reader.wait_for_batches(1);
}

TEST_F(FaultsTest, StoppingAStalledLogEndsAndWhatWaitedWasNeverAcknowledged) {
  open();
  RecordingReader& reader = start();
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_batches(1);
  files->fail_appends(true);
  store->log().append(numbered_batch(0, 1));
  reader.wait_for_states(1);
  store->log().stop();
  EXPECT_EQ(reader.count(), 1u);
  files->fail_appends(false);
  store.reset();
  open();
  EXPECT_GE(replayed_records().size(), 1u);
}

// What counts is that it is not applied twice when the caller writes it again.
TEST_F(FaultsTest, FailedCheckpointWasNeverWritten) {
  for (const bool fails_at_sync : {false, true}) {
    SCOPED_TRACE(fails_at_sync);
    open();
    RecordingReader& reader = start();
    store->log().append(numbered_batch(0, 0, 5));
    reader.wait_for_batches(1);
    const auto checkpoint = [&](int64_t delta, uint64_t position) {
      StateBatch batch;
      batch.puts.push_back({Table::session, key_of("s"), std::to_string(position)});
      batch.messages.push_back({Position(1), delta, delta > 0 ? message_of("m") : mqtt::MessagePtr()});
      return write_state(store->state(), std::move(batch), position);
    };
    if (fails_at_sync) {
      files->fail_syncs(true);
    } else {
      files->set_free_space(30);
    }
    const Result<void> failed = checkpoint(2, 1);
    ASSERT_FALSE(failed);
    EXPECT_SAYS(failed.error().message, "checkpoint cannot be written");
    EXPECT_EQ(store->state().position(), Position(0));
    reader.wait_for_states(1);
    EXPECT_FALSE(reader.states()[0].accepting) << "the log notices though nothing was appended";
    files->fail_syncs(false);
    files->set_free_space(std::nullopt);
    reader.wait_for_states(2);
    while (!reader.states().back().accepting) reader.wait_for_states(reader.states().size() + 1);
    EXPECT_TRUE(rows(store->state(), Table::session).empty());

    ASSERT_TRUE(checkpoint(2, 3));
    ASSERT_TRUE(checkpoint(-1, 4));
    EXPECT_TRUE(store->state().load_messages({Position(1)}));
    ASSERT_TRUE(checkpoint(-1, 5));
    EXPECT_FALSE(store->state().load_messages({Position(1)})) << "counted twice";
    lose_power();
    open();
    EXPECT_EQ(store->state().position(), Position(5));
    EXPECT_EQ(rows(store->state(), Table::session), (std::vector<Row>{{key_of("s"), "5"}}));
    store.reset();
    std::filesystem::remove_all(folder / "data");
  }
}

TEST_F(FaultsTest, ErrorOfAFlushInTheBackgroundIsRecoveredFrom) {
  open();
  RecordingReader& reader = start();
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_batches(1);
  files->set_free_space(0);
  EXPECT_FALSE(store->state().backup(folder / "backup")) << "a backup flushes";
  reader.wait_for_states(1);
  EXPECT_FALSE(reader.states()[0].accepting);
  store->log().append(numbered_batch(0, 1));
  files->set_free_space(std::nullopt);
  reader.wait_for_batches(2);
  EXPECT_TRUE(store->state().backup(folder / "backup"));
  EXPECT_EQ(tickets(reader.batches()), first_numbers(2));
}

// Why the log closes and opens the database instead of going on: RocksDB 7.8 takes no write after one has
// failed, though the disk is well again, and what it wrote before the failed sync may be in its journal.
TEST_F(FaultsTest, DatabaseTakesNoWritesAfterAFailedOneUntilItIsOpenedAgain) {
  files = std::make_shared<FaultyFileSystem>(folder / "data");
  const auto directory = DataDirectory::open(files, folder / "data", DataDirectory::Access::create);
  ASSERT_TRUE(directory) << directory.error().message;
  const auto database = Database::open(**directory, {.file_system = files});
  ASSERT_TRUE(database) << database.error().message;
  const auto put = [&](const char* key) {
    rocksdb::WriteBatch batch;
    batch.Put((*database)->use()->column(schema::Column::meta), key, "value");
    return (*database)->write(batch);
  };
  EXPECT_TRUE(put("one").ok());
  files->fail_syncs(true);
  EXPECT_FALSE(put("two").ok());
  files->fail_syncs(false);
  EXPECT_FALSE(put("three").ok());
  const Result<void> recovered = (*database)->recover(0);
  ASSERT_TRUE(recovered) << recovered.error().message;
  EXPECT_TRUE(put("four").ok());
  const auto has = [&](const char* key) { return (*database)->use()->meta(key)->has_value(); };
  EXPECT_TRUE(has("one"));
  EXPECT_FALSE(has("two")) << "it failed, so it never happened";
  EXPECT_FALSE(has("three"));
  EXPECT_TRUE(has("four"));
}

TEST_F(FaultsTest, ReadersGoOnWhileTheDiskIsFull) {
  open();
  RecordingReader& reader = start();
  StateBatch batch;
  batch.puts.push_back({Table::session, key_of("s"), "value"});
  ASSERT_TRUE(write_state(store->state(), std::move(batch), 0));
  files->set_free_space(0);
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_states(1);
  EXPECT_EQ(rows(store->state(), Table::session), (std::vector<Row>{{key_of("s"), "value"}}));
  files->set_free_space(std::nullopt);
  reader.wait_for_batches(1);
}

TEST_F(FaultsTest, ReopeningThatFailsIsTriedAgainAndReadersAreToldMeanwhile) {
  open();
  RecordingReader& reader = start();
  store->log().append(numbered_batch(0, 0));
  reader.wait_for_batches(1);
  files->set_free_space(0);
  store->log().append(numbered_batch(0, 1));
  reader.wait_for_states(1);
  // Room enough to look as if there were room, and not enough to open a database.
  files->set_free_space((1 << 20) + 1000);
  size_t seen = 1;
  while (reader.states().back().reason.find("cannot open the database") == std::string::npos) {
    reader.wait_for_states(++seen);
  }
  const Result<std::vector<mqtt::MessagePtr>> read = store->state().load_messages({Position(1)});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, make_error_code(errc::unavailable));
  EXPECT_FALSE(write_state(store->state(), {}, 1));
  const Result<void> handed = store->hand_over("log-1", 7);
  ASSERT_FALSE(handed);
  EXPECT_EQ(handed.error().code, make_error_code(errc::unavailable));
  files->set_free_space(std::nullopt);
  reader.wait_for_batches(2);
  EXPECT_EQ(tickets(reader.batches()), first_numbers(2));
  lose_power();
  open();
  EXPECT_EQ(replayed_records().size(), 2u);
}

// Random work on two threads, a power cut at a random moment, and what the disk kept of the unsynced is
// random too.
TEST_F(FaultsTest, PowerCutAtAnyMomentKeepsAllThatCameBack) {
  std::mt19937_64 random(20'240'601);
  std::vector<record::Record> kept;  // the log so far, from position 1
  uint64_t checkpoint = 0;
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(round);
    open();
    const std::vector<CommittedBatch> tail = replayed(store->log(), store->state().position());
    ASSERT_GE(store->state().position().value, checkpoint) << "a checkpoint that was acknowledged is gone";
    uint64_t end = store->state().position().value;
    for (const CommittedBatch& batch : tail) {
      ASSERT_EQ(batch.first.value, end + 1);
      for (const record::Record& r : batch.records) {
        if (end < kept.size()) {
          ASSERT_TRUE(record::same(kept[end], r)) << end;
        } else {
          kept.push_back(r);  // it was on its way
        }
        ++end;
      }
    }
    ASSERT_GE(end, kept.size()) << "what came back is gone";
    const std::vector<Row> counted = rows(store->state(), Table::session);
    if (!counted.empty()) {
      EXPECT_EQ(counted[0].second, std::to_string(store->state().position().value))
          << "state and position differ";
    }

    RecordingReader& reader = start();
    const size_t batches = random() % 60;
    const uint64_t cut_after = random() % (batches + 1);
    std::jthread appender([&, seed = random()] {
      std::mt19937_64 own(seed);
      for (size_t ticket = 0; ticket < batches; ++ticket) {
        store->log().append(numbered_batch(static_cast<uint32_t>(round), ticket, 1 + own() % 40));
      }
    });
    const uint64_t checkpoints = random() % 5;
    for (uint64_t i = 0; i < checkpoints; ++i) {
      reader.wait_for_batches(std::min<size_t>(i, cut_after));
      const std::vector<CommittedBatch> seen = reader.batches();
      const uint64_t position = seen.empty() ? end : seen.back().first.value + seen.back().records.size() - 1;
      StateBatch batch;
      batch.puts.push_back({Table::session, key_of("s"), std::to_string(position)});
      ASSERT_TRUE(write_state(store->state(), std::move(batch), position));
      checkpoint = position;
    }
    reader.wait_for_batches(cut_after);
    files->power_cut([&](const std::string&, size_t bytes) { return random() % (bytes + 1); });
    appender.join();
    store.reset();
    for (const CommittedBatch& batch : reader.batches()) {
      ASSERT_EQ(batch.first.value, kept.size() + 1);
      kept.insert(kept.end(), batch.records.begin(), batch.records.end());
    }
  }
  EXPECT_GT(kept.size(), 1'000u);
}

TEST_F(FaultsTest, RealDiskThatIsFullStallsAndRecovers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount a small file system";
  const std::string disk = folder / "disk";
  std::filesystem::create_directories(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=24m") != 0) {
    GTEST_SKIP() << "cannot mount a small file system here";
  }
  {
    store = must_open(disk + "/data");
    RecordingReader& reader = start();
    store->log().append(numbered_batch(0, 0));
    reader.wait_for_batches(1);
    {
      std::ofstream ballast(disk + "/ballast", std::ios::binary);
      const std::string piece(1 << 16, 'x');
      while (ballast << piece && ballast.flush()) {
      }
    }
    uint64_t ticket = 1;
    while (reader.states().empty()) {
      store->log().append(numbered_batch(0, ticket++, 2'000));
      if (reader.count() < ticket && reader.states().empty()) std::this_thread::yield();
    }
    EXPECT_FALSE(reader.states()[0].accepting);
    EXPECT_SAYS(reader.states()[0].reason, "No space left on device");
    std::filesystem::remove(disk + "/ballast");
    reader.wait_for_batches(ticket);
    EXPECT_EQ(tickets(reader.batches()), first_numbers(ticket));
    EXPECT_TRUE(store->log().state().accepting);
    store.reset();
    store = must_open(disk + "/data");
    size_t records = 0;
    for (const CommittedBatch& batch : replayed(store->log())) records += batch.records.size();
    EXPECT_EQ(records, 1 + (ticket - 1) * 2'000);
    store.reset();
  }
  ::umount(disk.c_str());
}

}  // namespace
}  // namespace courier::store
