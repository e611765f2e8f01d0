// What every driver of the two ports must do: one suite of tests, instantiated beside each driver.
//
// A driver's test gives a Harness:
//   OrderedLog& log();  StateStore& state();  TestClock& clock();
//   void settle(RecordingReader&, size_t batches);  // until the reader has that many batches
//   void restart();                                 // as after a clean stop; the log is not started
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "record/codec.h"
#include "record/record_test_specimens.h"
#include "store/errc.h"
#include "store/ordered_log.h"
#include "store/state_store.h"

namespace courier::store {

class TestClock : public Clock {
 public:
  WallMs wall_ms() const override { return wall_ms_.load(); }
  MonoNs mono_ns() const override { return wall_ms_.load() * 1'000'000; }
  void set(WallMs now) { wall_ms_.store(now); }

 private:
  std::atomic<WallMs> wall_ms_{1'700'000'000'000};
};

// Keeps what it is given.
class RecordingReader : public LogReader {
 public:
  void on_committed(std::span<CommittedBatch> batches) override {
    {
      const std::lock_guard lock(mutex_);
      for (CommittedBatch& batch : batches) batches_.push_back(std::move(batch));
    }
    changed_.notify_all();
    if (then_) then_();
  }
  void on_state(const LogState& state) override {
    {
      const std::lock_guard lock(mutex_);
      states_.push_back(state);
    }
    changed_.notify_all();
  }
  // Runs after each on_committed(), on the feed thread. Set before start().
  void then(std::function<void()> task) { then_ = std::move(task); }

  std::vector<CommittedBatch> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  size_t count() const {
    const std::lock_guard lock(mutex_);
    return batches_.size();
  }
  std::vector<LogState> states() const {
    const std::lock_guard lock(mutex_);
    return states_;
  }
  void wait_for_batches(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= count; });
  }
  void wait_for_states(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return states_.size() >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<CommittedBatch> batches_;
  std::vector<LogState> states_;
  std::function<void()> then_;
};

inline Batch batch_of(std::vector<record::Record> records, uint32_t origin = 0, uint64_t ticket = 0) {
  Batch batch{origin, ticket, std::move(records), {}};
  for (const record::Record& r : batch.records) record::encode(batch.encoded, r);
  return batch;
}

// A batch of `count` records that can be told apart.
inline Batch numbered_batch(uint32_t origin, uint64_t ticket, size_t count = 1) {
  std::vector<record::Record> records;
  for (size_t i = 0; i < count; ++i) {
    records.push_back(
        record::Released{{SessionId(ticket), Position(origin)}, PacketId(static_cast<uint16_t>(i + 1))});
  }
  return batch_of(std::move(records), origin, ticket);
}

inline mqtt::MessagePtr message_of(std::string_view payload) {
  return mqtt::MessagePtr(mqtt::Message::make("t", payload));
}

inline bool same(const std::vector<record::Record>& a, const std::vector<record::Record>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const record::Record& x, const record::Record& y) { return record::same(x, y); });
}

inline std::vector<CommittedBatch> replayed(OrderedLog& log, Position after = {}) {
  std::vector<CommittedBatch> batches;
  const Result<void> done = log.replay(after, [&](CommittedBatch&& batch) -> Result<void> {
    batches.push_back(std::move(batch));
    return {};
  });
  EXPECT_TRUE(done) << done.error().message;
  return batches;
}

using Row = std::pair<std::string, std::string>;
inline std::vector<Row> rows(const StateStore& store, Table table, std::string_view from = "",
                             std::string_view to = "", size_t count_max = SIZE_MAX) {
  std::vector<Row> result;
  const Result<void> done = store.scan(table, from, to, [&](std::string_view key, std::string_view value) {
    result.emplace_back(key, value);
    return result.size() < count_max;
  });
  EXPECT_TRUE(done) << done.error().message;
  return result;
}

// A key as the rows of sessions have them: eight bytes and perhaps more.
inline std::string key_of(std::string_view name) {
  std::string key(name);
  key.resize(std::max<size_t>(8, key.size()), '\0');
  return key;
}

template <typename Harness>
class StoreContract : public ::testing::Test {
 protected:
  void write(StateBatch batch, uint64_t position) {
    std::vector<StateBatch> parts;
    parts.push_back(std::move(batch));
    const Result<void> written = state().write(parts, Position(position));
    ASSERT_TRUE(written) << written.error().message;
  }
  OrderedLog& log() { return harness_.log(); }
  StateStore& state() { return harness_.state(); }

  Harness harness_;
  RecordingReader reader_;
};
TYPED_TEST_SUITE_P(StoreContract);

// --- The log ---

TYPED_TEST_P(StoreContract, EveryKindOfRecordComesBackAsItWasAppended) {
  this->log().start(this->reader_);
  std::vector<record::Record> records;
  for (const auto& [name, record] : record::specimens()) records.push_back(record);
  this->log().append(batch_of(records, 3, 77));
  this->harness_.settle(this->reader_, 1);
  const CommittedBatch batch = this->reader_.batches().at(0);
  EXPECT_EQ(batch.first, Position(1));
  EXPECT_EQ(batch.origin, 3u);
  EXPECT_EQ(batch.ticket, 77u);
  EXPECT_EQ(batch.clock, this->harness_.clock().wall_ms());
  EXPECT_TRUE(same(batch.records, records));
  this->log().stop();
}

TYPED_TEST_P(StoreContract, PositionsGrowByOnePerRecordInTheOrderAppended) {
  this->log().start(this->reader_);
  for (uint64_t ticket = 0; ticket < 20; ++ticket)
    this->log().append(numbered_batch(0, ticket, 1 + ticket % 3));
  this->harness_.settle(this->reader_, 20);
  uint64_t next = 1;
  uint64_t ticket = 0;
  for (const CommittedBatch& batch : this->reader_.batches()) {
    EXPECT_EQ(batch.first.value, next);
    EXPECT_EQ(batch.ticket, ticket++);
    next += batch.records.size();
  }
  this->log().stop();
}

TYPED_TEST_P(StoreContract, BatchesOfConcurrentOriginsEachComeBackInTheirOrder) {
  constexpr uint32_t kOrigins = 4;
  constexpr uint64_t kBatches = 500;
  this->log().start(this->reader_);
  {
    std::vector<std::jthread> threads;
    for (uint32_t origin = 0; origin < kOrigins; ++origin) {
      threads.emplace_back([this, origin] {
        for (uint64_t ticket = 0; ticket < kBatches; ++ticket) {
          this->log().append(numbered_batch(origin, ticket, 1 + ticket % 4));
        }
      });
    }
  }
  this->harness_.settle(this->reader_, kOrigins * kBatches);
  std::vector<uint64_t> next_ticket(kOrigins);
  uint64_t next = 1;
  const std::vector<CommittedBatch> live = this->reader_.batches();
  for (const CommittedBatch& batch : live) {
    ASSERT_EQ(batch.first.value, next);
    ASSERT_EQ(batch.ticket, next_ticket[batch.origin]++);
    ASSERT_TRUE(
        same(batch.records, numbered_batch(batch.origin, batch.ticket, batch.records.size()).records));
    next += batch.records.size();
  }
  EXPECT_EQ(next_ticket, std::vector<uint64_t>(kOrigins, kBatches));
  this->log().stop();

  // Read again, it is the same log.
  this->harness_.restart();
  std::vector<record::Record> live_records, replayed_records;
  for (const CommittedBatch& batch : live) {
    live_records.insert(live_records.end(), batch.records.begin(), batch.records.end());
  }
  uint64_t position = 1;
  for (const CommittedBatch& batch : replayed(this->log())) {
    ASSERT_EQ(batch.first.value, position);
    ASSERT_EQ(batch.origin, kNoOrigin);
    position += batch.records.size();
    replayed_records.insert(replayed_records.end(), batch.records.begin(), batch.records.end());
  }
  EXPECT_TRUE(same(live_records, replayed_records));
}

TYPED_TEST_P(StoreContract, PositionsAndClockGoOnAfterARestart) {
  this->log().start(this->reader_);
  this->log().append(numbered_batch(0, 0, 3));
  this->harness_.settle(this->reader_, 1);
  this->log().stop();
  const WallMs before = this->harness_.clock().wall_ms();
  this->harness_.restart();
  this->harness_.clock().set(before - 5'000);
  EXPECT_EQ(replayed(this->log()).size(), 1u);
  RecordingReader reader;
  this->log().start(reader);
  this->log().append(numbered_batch(0, 1));
  this->harness_.settle(reader, 1);
  EXPECT_EQ(reader.batches().at(0).first, Position(4));
  EXPECT_EQ(reader.batches().at(0).clock, before) << "the clock of the log never goes back";
  this->log().stop();
}

TYPED_TEST_P(StoreContract, PositionsAndClockGoOnAfterAllWasTrimmed) {
  this->log().start(this->reader_);
  this->log().append(numbered_batch(0, 0, 3));
  this->harness_.settle(this->reader_, 1);
  this->write({}, 3);
  this->log().stop();
  const WallMs before = this->harness_.clock().wall_ms();
  this->harness_.restart();
  this->harness_.clock().set(before - 5'000);
  EXPECT_EQ(this->state().position(), Position(3));
  EXPECT_TRUE(replayed(this->log(), Position(3)).empty());
  RecordingReader reader;
  this->log().start(reader);
  this->log().append(numbered_batch(0, 1));
  this->harness_.settle(reader, 1);
  EXPECT_EQ(reader.batches().at(0).first, Position(4));
  EXPECT_EQ(reader.batches().at(0).clock, before);
  this->log().stop();
}

TYPED_TEST_P(StoreContract, ReplayBeginsRightAfterThePositionAskedForEvenInsideABatch) {
  this->log().start(this->reader_);
  this->log().append(numbered_batch(0, 0, 2));
  this->log().append(numbered_batch(0, 1, 4));
  this->harness_.settle(this->reader_, 2);
  this->log().stop();
  this->harness_.restart();
  std::vector<record::Record> all;
  for (const CommittedBatch& batch : this->reader_.batches()) {
    all.insert(all.end(), batch.records.begin(), batch.records.end());
  }
  for (uint64_t after = 0; after <= 6; ++after) {
    std::vector<record::Record> records;
    uint64_t next = after + 1;
    for (const CommittedBatch& batch : replayed(this->log(), Position(after))) {
      EXPECT_EQ(batch.first.value, next);
      next += batch.records.size();
      records.insert(records.end(), batch.records.begin(), batch.records.end());
    }
    EXPECT_TRUE(same(records, {all.begin() + static_cast<ptrdiff_t>(after), all.end()})) << after;
  }
}

TYPED_TEST_P(StoreContract, ReplayStopsAtTheFirstErrorOfTheFold) {
  this->log().start(this->reader_);
  for (uint64_t ticket = 0; ticket < 3; ++ticket) {
    this->log().append(numbered_batch(0, ticket));
    this->harness_.settle(this->reader_, ticket + 1);
  }
  this->log().stop();
  this->harness_.restart();
  int calls = 0;
  const Result<void> done = this->log().replay({}, [&](CommittedBatch&&) -> Result<void> {
    if (++calls == 2) return fail(errc::damaged, "no more");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "no more");
  EXPECT_EQ(calls, 2);
}

TYPED_TEST_P(StoreContract, PostedTaskSeesAllThatCameBackBeforeAndMayAppend) {
  std::atomic<bool> ran{false};
  this->reader_.then([&] {
    if (this->reader_.count() != 1) return;
    this->log().post([&] {
      EXPECT_EQ(this->reader_.count(), 1u);
      ran = true;
      this->log().append(numbered_batch(0, 1));
    });
  });
  this->log().start(this->reader_);
  this->log().append(numbered_batch(0, 0));
  this->harness_.settle(this->reader_, 2);
  EXPECT_TRUE(ran);
  EXPECT_EQ(this->reader_.batches().at(1).first, Position(2));
  this->log().stop();
}

TYPED_TEST_P(StoreContract, StopCommitsWhatWasAppended) {
  this->log().start(this->reader_);
  for (uint64_t ticket = 0; ticket < 100; ++ticket) this->log().append(numbered_batch(0, ticket));
  this->log().stop();
  EXPECT_EQ(this->reader_.count(), 100u);
}

TYPED_TEST_P(StoreContract, TailIsWhatNoCheckpointCovers) {
  this->log().start(this->reader_);
  EXPECT_EQ(this->log().tail_bytes(), 0u);
  this->log().append(numbered_batch(0, 0));
  this->harness_.settle(this->reader_, 1);
  const uint64_t one = this->log().tail_bytes();
  EXPECT_GT(one, 0u);
  this->log().append(numbered_batch(0, 1));
  this->harness_.settle(this->reader_, 2);
  EXPECT_GT(this->log().tail_bytes(), one);
  this->write({}, 2);
  EXPECT_EQ(this->log().tail_bytes(), 0u);
  this->log().stop();
  this->harness_.restart();
  EXPECT_TRUE(replayed(this->log(), Position(2)).empty());
  EXPECT_EQ(this->log().tail_bytes(), 0u);
}

TYPED_TEST_P(StoreContract, CheckpointInsideTheLogKeepsWhatComesAfter) {
  this->log().start(this->reader_);
  for (uint64_t ticket = 0; ticket < 10; ++ticket) this->log().append(numbered_batch(0, ticket));
  this->harness_.settle(this->reader_, 10);
  for (uint64_t position = 1; position <= 7; ++position) this->write({}, position);
  this->log().append(numbered_batch(0, 10));  // carries the trim along
  this->harness_.settle(this->reader_, 11);
  this->log().stop();
  this->harness_.restart();
  EXPECT_EQ(this->state().position(), Position(7));
  std::vector<uint64_t> positions;
  for (const CommittedBatch& batch : replayed(this->log(), Position(7))) {
    for (size_t i = 0; i < batch.records.size(); ++i) positions.push_back(batch.first.value + i);
  }
  EXPECT_EQ(positions, (std::vector<uint64_t>{8, 9, 10, 11}));
}

// --- The state ---

TYPED_TEST_P(StoreContract, NewStoreIsEmptyAndStandsBeforeAll) {
  EXPECT_EQ(this->state().position(), Position(0));
  for (size_t table = 0; table < kTableCount; ++table) {
    EXPECT_TRUE(rows(this->state(), static_cast<Table>(table)).empty());
  }
  EXPECT_TRUE(this->log().state().accepting);
}

TYPED_TEST_P(StoreContract, RowsComeBackInKeyOrderWithinTheRangeAskedFor) {
  StateBatch batch;
  for (const char* name : {"c", "a", "d", "b"}) batch.puts.push_back({Table::session, key_of(name), name});
  batch.puts.push_back({Table::inbox, key_of("b"), "other table"});
  this->write(std::move(batch), 1);
  const auto all = rows(this->state(), Table::session);
  EXPECT_EQ(all, (std::vector<Row>{
                     {key_of("a"), "a"}, {key_of("b"), "b"}, {key_of("c"), "c"}, {key_of("d"), "d"}}));
  EXPECT_EQ(rows(this->state(), Table::session, key_of("b"), key_of("d")),
            (std::vector<Row>{all[1], all[2]}));
  EXPECT_EQ(rows(this->state(), Table::session, key_of("c")), (std::vector<Row>{all[2], all[3]}));
  EXPECT_EQ(rows(this->state(), Table::session, "", key_of("b")), (std::vector<Row>{all[0]}));
  EXPECT_EQ(rows(this->state(), Table::session, "", "", 2), (std::vector<Row>{all[0], all[1]}));
  EXPECT_TRUE(rows(this->state(), Table::session, key_of("x")).empty());
  EXPECT_EQ(rows(this->state(), Table::inbox), (std::vector<Row>{{key_of("b"), "other table"}}));
}

TYPED_TEST_P(StoreContract, RowsOfOneSessionAreFoundByItsRangeAlone) {
  StateBatch batch;
  for (char session = 1; session < 50; ++session) {
    for (char seq = 0; seq < 5; ++seq) {
      std::string key(16, '\0');
      key[7] = session;
      key[15] = seq;
      batch.puts.push_back({Table::inbox, key, std::string(1, seq)});
    }
  }
  this->write(std::move(batch), 1);
  for (char session = 0; session <= 50; ++session) {
    std::string from(8, '\0'), to(8, '\0');
    from[7] = session;
    to[7] = static_cast<char>(session + 1);
    EXPECT_EQ(rows(this->state(), Table::inbox, from, to).size(), session > 0 && session < 50 ? 5u : 0u);
  }
}

TYPED_TEST_P(StoreContract, RangeErasesGoBeforeErasesBeforePutsInAllParts) {
  StateBatch first;
  for (const char* name : {"a", "b", "c", "d", "e"})
    first.puts.push_back({Table::inbox, key_of(name), "old"});
  this->write(std::move(first), 1);
  std::vector<StateBatch> parts(2);
  parts[0].puts.push_back({Table::inbox, key_of("c"), "new"});
  parts[0].erases.push_back({Table::inbox, key_of("e")});
  parts[1].range_erases.push_back({Table::inbox, key_of("b"), key_of("d")});
  const Result<void> written = this->state().write(parts, Position(2));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(rows(this->state(), Table::inbox),
            (std::vector<Row>{{key_of("a"), "old"}, {key_of("c"), "new"}, {key_of("d"), "old"}}));
}

TYPED_TEST_P(StoreContract, CheckpointSurvivesARestart) {
  StateBatch batch;
  batch.puts.push_back({Table::retained, "topic", "value"});
  batch.messages.push_back({Position(5), 2, message_of("shared")});
  this->write(std::move(batch), 9);
  this->harness_.restart();
  EXPECT_EQ(this->state().position(), Position(9));
  EXPECT_EQ(rows(this->state(), Table::retained), (std::vector<Row>{{"topic", "value"}}));
  const auto messages = this->state().load_messages({Position(5)});
  ASSERT_TRUE(messages) << messages.error().message;
  EXPECT_EQ(messages->at(0)->payload, "shared");
}

TYPED_TEST_P(StoreContract, SharedMessageLivesUntilItsLastRowIsGone) {
  StateBatch first;
  first.messages.push_back({Position(1), 3, message_of("one")});
  first.messages.push_back({Position(2), 1, message_of("two")});
  this->write(std::move(first), 2);
  auto loaded = this->state().load_messages({Position(2), Position(1), Position(2)});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->at(0)->payload, "two");
  EXPECT_EQ(loaded->at(1)->payload, "one");
  EXPECT_EQ(loaded->at(2)->payload, "two");

  StateBatch second;
  second.messages.push_back({Position(1), -2, {}});
  second.messages.push_back({Position(2), -1, {}});
  this->write(std::move(second), 3);
  loaded = this->state().load_messages({Position(1)});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->at(0)->payload, "one");
  loaded = this->state().load_messages({Position(1), Position(2)});
  ASSERT_FALSE(loaded) << "nobody names message 2 any more";
  EXPECT_EQ(loaded.error().code, make_error_code(errc::damaged));
  EXPECT_NE(loaded.error().message.find("position 2"), std::string::npos) << loaded.error().message;
}

TYPED_TEST_P(StoreContract, PartsOfOneWriteMayAddAndTakeBackTheSameMessage) {
  std::vector<StateBatch> parts(3);
  parts[0].messages.push_back({Position(1), -1, {}});
  parts[1].messages.push_back({Position(1), 2, message_of("x")});
  parts[2].messages.push_back({Position(1), 1, message_of("x")});
  ASSERT_TRUE(this->state().write(parts, Position(1)));
  const auto loaded = this->state().load_messages({Position(1)});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->at(0)->payload, "x");
  StateBatch rest;
  rest.messages.push_back({Position(1), -2, {}});
  this->write(std::move(rest), 2);
  EXPECT_FALSE(this->state().load_messages({Position(1)}));
}

TYPED_TEST_P(StoreContract, CountBelowZeroIsDamageAndNoCrash) {
  StateBatch batch;
  batch.messages.push_back({Position(4), -1, {}});
  this->write(std::move(batch), 4);
  const auto loaded = this->state().load_messages({Position(4)});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, make_error_code(errc::damaged));
}

TYPED_TEST_P(StoreContract, BackupRefusesAFolderThatIsThere) {
  const std::string path = ::testing::TempDir() + "courier_backup_" + std::to_string(getpid());
  ASSERT_TRUE(this->state().backup(path));
  const Result<void> again = this->state().backup(path);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, make_error_code(errc::already_there));
  std::filesystem::remove_all(path);
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreContract, EveryKindOfRecordComesBackAsItWasAppended, PositionsGrowByOnePerRecordInTheOrderAppended,
    BatchesOfConcurrentOriginsEachComeBackInTheirOrder, PositionsAndClockGoOnAfterARestart,
    PositionsAndClockGoOnAfterAllWasTrimmed, ReplayBeginsRightAfterThePositionAskedForEvenInsideABatch,
    ReplayStopsAtTheFirstErrorOfTheFold, PostedTaskSeesAllThatCameBackBeforeAndMayAppend,
    StopCommitsWhatWasAppended, TailIsWhatNoCheckpointCovers, CheckpointInsideTheLogKeepsWhatComesAfter,
    NewStoreIsEmptyAndStandsBeforeAll, RowsComeBackInKeyOrderWithinTheRangeAskedFor,
    RowsOfOneSessionAreFoundByItsRangeAlone, RangeErasesGoBeforeErasesBeforePutsInAllParts,
    CheckpointSurvivesARestart, SharedMessageLivesUntilItsLastRowIsGone,
    PartsOfOneWriteMayAddAndTakeBackTheSameMessage, CountBelowZeroIsDamageAndNoCrash,
    BackupRefusesAFolderThatIsThere);

}  // namespace courier::store
