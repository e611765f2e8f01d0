#include "events/dispatcher.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "store/memory/memory_disk.h"
#include "store/memory/memory_store.h"

namespace courier::events {
namespace {

// Does as it is told, and remembers.
class ScriptedSink final : public Sink {
 public:
  struct Script {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<uint64_t> told;  // positions, or numbers of best-effort ones
    std::string fails;           // with that; "": it works
    size_t calls = 0;
    bool stands_still = false, stopped = false;
    size_t keeps = 0;  // of what it was given, until it is called with nothing new

    template <typename Condition>
    bool wait_for(Condition condition) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, std::chrono::seconds(30), condition);
    }
    std::vector<uint64_t> wait_for_told(size_t count) {
      EXPECT_TRUE(wait_for([&] { return told.size() >= count; }));
      const std::lock_guard lock(mutex);
      return told;
    }
  };
  explicit ScriptedSink(Script& script) : script_(script) {}

  Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) override {
    std::unique_lock lock(script_.mutex);
    ++script_.calls;
    script_.changed.notify_all();
    script_.changed.wait(lock, [&] { return !script_.stands_still || script_.stopped; });
    if (!script_.fails.empty() || script_.stopped)
      return courier::fail(Error(std::make_error_code(std::errc::io_error), script_.fails));
    for (const auto part : {noted, events}) {
      for (const EventPtr& event : part) script_.told.push_back(event->position.value);
    }
    under_way_ += events.size();
    script_.changed.notify_all();
    // It keeps some under way, and finishes them when it is called again.
    if (script_.keeps >= under_way_ && !events.empty()) return Told{0, "one is slow"};
    const size_t finished = events.empty() ? under_way_ : under_way_ - script_.keeps;
    under_way_ -= finished;
    return Told{finished, {}};
  }
  void forget() override { under_way_ = 0; }
  void stop() override {
    const std::lock_guard lock(script_.mutex);
    script_.stopped = true;
    script_.changed.notify_all();
  }

 private:
  Script& script_;
  size_t under_way_ = 0;
};

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() : outbox_({}, {"sink"}, store_, metrics_) {
    EXPECT_TRUE(outbox_.restore());
    kinds_ |= Kinds::of(Kind::publish);
    kinds_ |= Kinds::of(Kind::deliver);
  }
  void start(bool active = true) {
    dispatcher_ =
        std::make_unique<Dispatcher>(outbox_, 0, kinds_, std::make_unique<ScriptedSink>(script_), metrics_);
    dispatcher_->start(active);
  }
  void add(uint64_t position, Kind kind = Kind::publish) {
    outbox_.add(Position(position), kind, "");
    outbox_.wake();
  }
  // Which the log would say.
  void say_what_was_told() {
    for (const auto& [sink, up_to] : outbox_.take_reports()) outbox_.told(sink, up_to);
  }
  bool reported(uint64_t position) {
    for (int i = 0; i < 3000; ++i) {
      say_what_was_told();
      if (outbox_.told(0) >= Position(position)) return true;
      outbox_.wait(Position(UINT64_MAX), UINT64_MAX, 10);
    }
    return false;
  }

  store::MemoryDisk disk_;
  store::MemoryStore store_{disk_};
  Registry metrics_;
  Outbox outbox_;
  Kinds kinds_;
  ScriptedSink::Script script_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

using List = std::vector<uint64_t>;

TEST_F(DispatcherTest, ASinkIsToldWhatItWantsInOrderAndTheOutboxHearsHowFar) {
  start();
  add(1);
  add(2, Kind::drop);
  add(3);
  EXPECT_EQ(script_.wait_for_told(2), List({1, 3}));
  EXPECT_TRUE(reported(3));
  add(4, Kind::drop);
  EXPECT_TRUE(reported(4)) << "what it does not want holds nothing up";
  EXPECT_EQ(outbox_.bytes_waiting(), 0u);
}

TEST_F(DispatcherTest, WhatFailsComesAgainAndIsSaid) {
  script_.fails = "the disk is full";
  start();
  add(1);
  add(2);
  EXPECT_TRUE(script_.wait_for([&] { return script_.calls >= 2; }));
  EXPECT_EQ(dispatcher_->state().trouble, "the disk is full");
  EXPECT_EQ(metrics_.value("courier_sink_ok", {{"sink", "sink"}}), 0);
  EXPECT_FALSE(outbox_.take_reports().size());
  {
    const std::lock_guard lock(script_.mutex);
    script_.fails.clear();
  }
  EXPECT_EQ(script_.wait_for_told(2), List({1, 2}));
  EXPECT_TRUE(reported(2));
  EXPECT_EQ(dispatcher_->state().trouble, "");
  EXPECT_EQ(dispatcher_->state().events, 2u);
}

TEST_F(DispatcherTest, WhatASinkKeepsUnderWayIsGivenOnceAndCountsWhenItIsDone) {
  script_.keeps = 1;
  start();
  add(1);
  add(2, Kind::drop);
  add(3);
  EXPECT_EQ(script_.wait_for_told(2), List({1, 3}));
  EXPECT_TRUE(reported(3));
  add(4);
  EXPECT_TRUE(reported(4));
  EXPECT_EQ(script_.wait_for_told(3), List({1, 3, 4})) << "none twice";
  EXPECT_EQ(dispatcher_->state().events, 3u);
}

TEST_F(DispatcherTest, ANodeThatDoesNotOwnItTellsOnlyWhatHappenedHere) {
  start(false);
  add(1);
  outbox_.note(Kind::deliver, "", 0);
  outbox_.wake();
  EXPECT_EQ(script_.wait_for_told(1), List({1}));
  EXPECT_TRUE(outbox_.take_reports().empty());
  // Another node told the first of these; then this one owns it.
  add(2);
  add(3);
  outbox_.told("sink", Position(2));
  dispatcher_->set_active(true);
  add(4);
  EXPECT_EQ(script_.wait_for_told(3), List({1, 3, 4}));
}

TEST_F(DispatcherTest, BestEffortEventsThatItWasTooSlowForAreCounted) {
  OutboxOptions few;
  few.noted_max = 2;
  Outbox outbox(few, {"slow"}, store_, metrics_);
  ASSERT_TRUE(outbox.restore());
  for (int i = 0; i < 5; ++i) outbox.note(Kind::deliver, "", 0);
  Dispatcher dispatcher(outbox, 0, kinds_, std::make_unique<ScriptedSink>(script_), metrics_);
  dispatcher.start(true);
  EXPECT_EQ(script_.wait_for_told(2), List({4, 5}));
  EXPECT_EQ(dispatcher.state().missed, 3u);
}

TEST_F(DispatcherTest, ASinkThatStandsStillEndsWithTheDispatcher) {
  script_.stands_still = true;
  start();
  add(1);
  EXPECT_TRUE(script_.wait_for([&] { return script_.calls == 1; }));
  dispatcher_->stop();
  EXPECT_TRUE(script_.told.empty());
  EXPECT_TRUE(outbox_.take_reports().empty()) << "the next run tells it";
}

}  // namespace
}  // namespace courier::events
