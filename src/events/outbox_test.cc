#include "events/outbox.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "store/memory/memory_disk.h"
#include "store/memory/memory_store.h"

namespace courier::events {
namespace {

constexpr size_t kAny = SIZE_MAX;

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() { restart(); }

  // As after a crash: what is in the store, and no more.
  void restart(std::vector<std::string> sinks = {"one", "two"}) {
    metrics_ = std::make_unique<Registry>();
    store_ = std::make_unique<store::MemoryStore>(disk_);
    outbox_ = std::make_unique<Outbox>(options_, std::move(sinks), *store_, *metrics_);
    ASSERT_TRUE(outbox_->restore());
  }
  void add(uint64_t position, Kind kind = Kind::publish) {
    outbox_->add(Position(position), kind, text(position));
    last_ = position;
  }
  static std::string text(uint64_t position) { return "event " + std::to_string(position); }
  void checkpoint() {
    std::vector<store::StateBatch> parts(1);
    outbox_->write(parts[0]);
    ASSERT_TRUE(store_->write(parts, Position(last_), 1));
    outbox_->written();
  }
  std::vector<uint64_t> positions(uint64_t behind, size_t count = kAny, size_t bytes = kAny) {
    const auto events = outbox_->read(Position(behind), count, bytes);
    EXPECT_TRUE(events);
    std::vector<uint64_t> list;
    for (const EventPtr& event : *events) {
      EXPECT_EQ(event->bytes, text(event->position.value));
      list.push_back(event->position.value);
    }
    return list;
  }
  size_t rows() {
    size_t count = 0;
    EXPECT_TRUE(store_->scan(store::Table::event, "e", "f", [&](std::string_view, std::string_view) {
      ++count;
      return true;
    }));
    return count;
  }

  OutboxOptions options_;
  store::MemoryDisk disk_;
  std::unique_ptr<Registry> metrics_;
  std::unique_ptr<store::MemoryStore> store_;
  std::unique_ptr<Outbox> outbox_;
  uint64_t last_ = 0;
};

using List = std::vector<uint64_t>;

TEST_F(OutboxTest, EachSinkReadsInOrderFromWhereItWas) {
  for (const uint64_t each : {3, 5, 9}) add(each);
  EXPECT_EQ(positions(0), List({3, 5, 9}));
  EXPECT_EQ(positions(3), List({5, 9}));
  EXPECT_EQ(positions(4, 1), List({5}));
  EXPECT_EQ(positions(0, kAny, 1), List({3})) << "one at least, however large";
  EXPECT_EQ(positions(9), List());
}

TEST_F(OutboxTest, WhatAllWereToldIsNeverWritten) {
  add(1);
  add(2);
  outbox_->told("one", Position(2));
  EXPECT_EQ(positions(0), List({1, 2})) << "the other was not";
  outbox_->told("two", Position(1));
  EXPECT_EQ(positions(0), List({2}));
  checkpoint();
  EXPECT_EQ(rows(), 1u);
  outbox_->told("two", Position(2));
  checkpoint();
  EXPECT_EQ(rows(), 0u);
  EXPECT_EQ(outbox_->bytes_waiting(), 0u);
}

TEST_F(OutboxTest, AfterACrashRowsAndTheLogGiveWhatWasNotTold) {
  for (uint64_t each = 1; each <= 5; ++each) add(each);
  outbox_->told("one", Position(4));
  outbox_->told("two", Position(2));
  checkpoint();
  add(6);
  restart();
  EXPECT_EQ(outbox_->told(0), Position(4));
  EXPECT_EQ(outbox_->told(1), Position(2));
  EXPECT_GT(outbox_->bytes_waiting(), 0u);
  EXPECT_EQ(positions(2), List({3, 4, 5}));
  add(6);  // the log again
  EXPECT_EQ(positions(2, 3), List({3, 4, 5}));
  EXPECT_EQ(positions(5), List({6}));
  outbox_->told("one", Position(6));
  outbox_->told("two", Position(6));
  EXPECT_EQ(outbox_->bytes_waiting(), 0u);
  checkpoint();
  EXPECT_EQ(rows(), 0u);
}

TEST_F(OutboxTest, ASinkThatIsNewBeginsNowAndOneThatWentHoldsNothingUp) {
  add(1);
  checkpoint();
  restart({"one", "three"});
  EXPECT_EQ(outbox_->told(1), Position(1));
  add(2);
  outbox_->told("one", Position(2));
  outbox_->told("three", Position(2));
  outbox_->told("two", Position(2));  // nobody's any more
  checkpoint();
  EXPECT_EQ(rows(), 0u);
}

TEST_F(OutboxTest, ASinkThatWasNeverToldStaysWhereItBegan) {
  add(1);
  add(2);
  checkpoint();
  restart();
  EXPECT_EQ(outbox_->told(0), Position(0));
  EXPECT_EQ(positions(outbox_->told(0).value), List({1, 2}));
  add(3);
  checkpoint();
  restart();
  EXPECT_EQ(positions(outbox_->told(0).value), List({1, 2, 3}));
}

TEST_F(OutboxTest, MemoryIsBoundedByLeavingWhatHasARow) {
  options_.memory_bytes_max = 20 * (sizeof(Event) + text(100).size());
  restart();
  for (uint64_t each = 100; each < 200; ++each) add(each);
  EXPECT_EQ(positions(0).size(), 100u) << "nothing has a row yet";
  checkpoint();
  List all;
  for (uint64_t behind = 0;;) {
    const List some = positions(behind, 7);
    if (some.empty()) break;
    all.insert(all.end(), some.begin(), some.end());
    behind = all.back();
  }
  EXPECT_EQ(all.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(rows(), 100u);
}

TEST_F(OutboxTest, ManyRowsGoAtOnce) {
  for (uint64_t each = 1; each <= 10'000; ++each) add(each);
  checkpoint();
  EXPECT_EQ(rows(), 10'000u);
  outbox_->told("one", Position(9'999));
  outbox_->told("two", Position(9'990));
  checkpoint();
  EXPECT_EQ(rows(), 10u);
  outbox_->told("two", Position(10'000));
  outbox_->told("one", Position(10'000));
  checkpoint();
  EXPECT_EQ(rows(), 0u);
  add(10'001);
  checkpoint();
  EXPECT_EQ(rows(), 1u);
}

TEST_F(OutboxTest, WhenTooMuchWaitsDeliveriesAreDroppedLast) {
  options_.bytes_max = 100 * (sizeof(Event) + text(100).size());
  restart();
  for (uint64_t each = 100; each < 300; ++each) add(each, Kind::publish);
  const size_t taken = positions(0).size();
  EXPECT_GE(taken, 80u);
  EXPECT_LE(taken, 81u);
  for (uint64_t each = 300; each < 400; ++each) add(each, Kind::delivery_complete);
  EXPECT_GE(positions(0).size(), 100u);
  EXPECT_LE(positions(0).size(), 101u);
  EXPECT_EQ(metrics_->value("courier_events_dropped_total", {{"kind", "publish"}}), 200 - taken);
  outbox_->told("one", Position(399));
  outbox_->told("two", Position(399));
  add(400, Kind::publish);
  EXPECT_EQ(positions(0), List({400})) << "there is room again";
}

TEST_F(OutboxTest, BestEffortEventsAreBoundedAndTheirNumbersShowAGap) {
  options_.noted_max = 3;
  restart();
  for (int i = 0; i < 5; ++i) outbox_->note(Kind::deliver, "", 0);
  const auto noted = outbox_->read_noted(0, 2);
  ASSERT_EQ(noted.size(), 2u);
  EXPECT_EQ(noted[0]->position, Position(3));
  EXPECT_EQ(outbox_->read_noted(4, 10).size(), 1u);
}

TEST_F(OutboxTest, AWaitEndsWithAnEventAndWithStop) {
  std::thread adder([&] {
    outbox_->add(Position(1), Kind::publish, text(1));
    outbox_->wake();
  });
  outbox_->wait(Position(0), 0, 60'000);
  adder.join();
  EXPECT_EQ(positions(0), List({1}));
  std::thread stopper([&] { outbox_->stop(); });
  outbox_->wait(Position(1), 0, 60'000);
  stopper.join();
}

// Two sinks read while the feed adds, writes and hears what they were told: each gets every event once, in
// order.
TEST_F(OutboxTest, SinksReadEverythingOnceWhileItIsMoved) {
  options_.memory_bytes_max = 64 * (sizeof(Event) + 10);
  restart();
  constexpr uint64_t kEvents = 20'000;
  std::atomic<uint64_t> read_up_to[2] = {0, 0};
  std::atomic<bool> wrong = false;
  const auto sink = [&](size_t index) {
    uint64_t behind = 0;
    while (behind < kEvents && !wrong) {
      const auto events = outbox_->read(Position(behind), 50 + 100 * index, kAny);
      if (!events) wrong = true;
      for (size_t i = 0; events && i < events->size(); ++i) {
        if ((*events)[i]->position.value != behind + 1) wrong = true;
        behind = (*events)[i]->position.value;
      }
      read_up_to[index] = behind;
    }
  };
  std::thread one(sink, 0), two(sink, 1);
  for (uint64_t each = 1; each <= kEvents; ++each) {
    add(each);
    if (each % 32 == 0) {
      outbox_->told("one", Position(read_up_to[0]));
      outbox_->told("two", Position(read_up_to[1]));
    }
    if (each % 100 == 0) checkpoint();
  }
  one.join();
  two.join();
  EXPECT_FALSE(wrong);
}

TEST_F(OutboxTest, WhoLooksOnSeesEachEventAndNothingWaitsForHim) {
  restart({});
  std::vector<std::string> seen;
  const uint64_t watch = outbox_->watch([&](const EventPtr& event) {
    seen.push_back(std::string(info(event->kind).name) + " " + std::to_string(event->position.value));
  });
  add(3);
  outbox_->note(Kind::deliver, "", 0);
  outbox_->unwatch(watch);
  add(4);
  EXPECT_EQ(seen, std::vector<std::string>({"publish 3", "deliver 1"}));
  EXPECT_EQ(outbox_->bytes_waiting(), 0u);
  EXPECT_TRUE(outbox_->read_noted(0, kAny).empty());
  checkpoint();
  EXPECT_EQ(rows(), 0u);
}

}  // namespace
}  // namespace courier::events
