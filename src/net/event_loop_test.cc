#include "net/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/errc.h"
#include "net/loopback_pair.h"
#include "net/socket.h"

namespace courier::net {
namespace {

constexpr MonoNs kLong = 10'000'000'000;  // ten seconds: a test that waits so long has failed

struct Recorder final : Handler {
  std::function<void(uint32_t)> then = [](uint32_t) {};
  std::vector<uint32_t> seen;
  void on_events(uint32_t ready) override {
    seen.push_back(ready);
    then(ready);
  }
};

struct EventLoopTest : testing::Test {
  std::unique_ptr<EventLoop> loop = *EventLoop::open();
};

TEST_F(EventLoopTest, ReportsAgainWhatWasNotRead) {
  LoopbackPair pair = LoopbackPair::open();
  Recorder handler;
  ASSERT_TRUE(loop->add(pair.server.get(), handler, kReadable));
  EXPECT_EQ(loop->run_once(0), 0u);
  ASSERT_EQ(write_some(pair.client.get(), "ab").status, IoStatus::done);
  EXPECT_EQ(loop->run_once(kLong), 1u);
  char one;
  EXPECT_EQ(read_some(pair.server.get(), {&one, 1}).bytes, 1u);
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(read_some(pair.server.get(), {&one, 1}).bytes, 1u);
  EXPECT_EQ(loop->run_once(0), 0u);
  EXPECT_THAT(handler.seen, testing::Each(kReadable));
  loop->remove(pair.server.get(), handler);
}

TEST_F(EventLoopTest, WritableIsReportedOnlyWhileItIsAskedFor) {
  LoopbackPair pair = LoopbackPair::open();
  Recorder handler;
  ASSERT_TRUE(loop->add(pair.server.get(), handler, kReadable));
  EXPECT_EQ(loop->run_once(0), 0u);
  loop->modify(pair.server.get(), handler, kReadable | kWritable);
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(handler.seen.back(), kWritable);
  loop->modify(pair.server.get(), handler, kReadable);
  EXPECT_EQ(loop->run_once(0), 0u);
  loop->remove(pair.server.get(), handler);
}

TEST_F(EventLoopTest, HangupIsReportedEvenWhenNothingIsAskedFor) {
  LoopbackPair pair = LoopbackPair::open();
  Recorder handler;
  ASSERT_TRUE(loop->add(pair.server.get(), handler, 0));
  ASSERT_EQ(write_some(pair.client.get(), "unread").status, IoStatus::done);
  EXPECT_EQ(loop->run_once(0), 0u) << "reading is paused";
  set_reset_on_close(pair.client.get());
  pair.client.reset();
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(handler.seen.back(), kHangup);
  loop->remove(pair.server.get(), handler);
}

TEST_F(EventLoopTest, BytesBeforeAHangupAreReportedWithIt) {
  LoopbackPair pair = LoopbackPair::open();
  Recorder handler;
  ASSERT_EQ(write_some(pair.client.get(), "last words").status, IoStatus::done);
  shut_sending(pair.client.get());
  shut_sending(pair.server.get());
  ASSERT_TRUE(await(pair.server.get(), POLLIN));
  ASSERT_TRUE(loop->add(pair.server.get(), handler, kReadable));
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(handler.seen.back(), kReadable | kHangup);
  char room[32];
  EXPECT_EQ(read_some(pair.server.get(), room).bytes, 10u);
  EXPECT_EQ(read_some(pair.server.get(), room).status, IoStatus::closed);
  loop->remove(pair.server.get(), handler);
}

TEST_F(EventLoopTest, AHandlerThatAnotherRemovedIsNotCalledForWhatWasAlreadyReported) {
  LoopbackPair pairs[2] = {LoopbackPair::open(), LoopbackPair::open()};
  auto handlers = std::make_unique<std::unique_ptr<Recorder>[]>(2);
  for (int i = 0; i < 2; ++i) {
    handlers[i] = std::make_unique<Recorder>();
    ASSERT_TRUE(loop->add(pairs[i].server.get(), *handlers[i], kReadable));
    ASSERT_EQ(write_some(pairs[i].client.get(), "x").status, IoStatus::done);
    ASSERT_TRUE(await(pairs[i].server.get(), POLLIN));
    handlers[i]->then = [&, i](uint32_t) {
      const int other = 1 - i;
      loop->remove(pairs[other].server.get(), *handlers[other]);
      handlers[other].reset();  // under the address sanitizer a call to it would be caught
    };
  }
  EXPECT_EQ(loop->run_once(kLong), 1u) << "whichever came first removed the other";
  const int left = handlers[0] ? 0 : 1;
  EXPECT_EQ(handlers[left]->seen.size(), 1u);
  loop->remove(pairs[left].server.get(), *handlers[left]);
}

TEST_F(EventLoopTest, AHandlerMayRemoveAndDestroyItself) {
  LoopbackPair pair = LoopbackPair::open();
  auto handler = std::make_unique<Recorder>();
  handler->then = [&](uint32_t) {
    auto keep = std::move(handler);
    loop->remove(pair.server.get(), *keep);
    auto then = std::move(keep->then);  // the function that runs outlives its handler
    keep.reset();
  };
  ASSERT_TRUE(loop->add(pair.server.get(), *handler, kReadable));
  ASSERT_EQ(write_some(pair.client.get(), "x").status, IoStatus::done);
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(handler, nullptr);
  EXPECT_EQ(loop->run_once(0), 0u);
}

TEST_F(EventLoopTest, ANewHandlerOnAReusedDescriptorGetsNoneOfTheOldOnesReports) {
  LoopbackPair old = LoopbackPair::open(), trigger = LoopbackPair::open();
  Recorder stale, fresh, first;
  // Both are ready; whichever is dispatched first replaces the other's descriptor by a quiet one.
  int fd = old.server.get();
  LoopbackPair quiet;
  const auto replace = [&] {
    loop->forget(stale);
    old.server.reset();
    quiet = LoopbackPair::open();
    ASSERT_TRUE(loop->add(quiet.server.get(), fresh, kReadable));
  };
  first.then = [&](uint32_t) {
    if (stale.seen.empty()) replace();
  };
  ASSERT_TRUE(loop->add(trigger.server.get(), first, kReadable));
  ASSERT_EQ(write_some(trigger.client.get(), "x").status, IoStatus::done);
  ASSERT_TRUE(await(trigger.server.get(), POLLIN));
  ASSERT_TRUE(loop->add(fd, stale, kReadable));
  ASSERT_EQ(write_some(old.client.get(), "x").status, IoStatus::done);
  ASSERT_TRUE(await(fd, POLLIN));
  EXPECT_EQ(loop->run_once(kLong), 1u) << "epoll reports in the order of becoming ready";
  EXPECT_TRUE(stale.seen.empty());
  EXPECT_TRUE(fresh.seen.empty());
  loop->remove(quiet.server.get(), fresh);
  loop->remove(trigger.server.get(), first);
}

TEST_F(EventLoopTest, AHandlerAddedDuringDispatchIsServedByTheNextRun) {
  LoopbackPair pair = LoopbackPair::open(), later = LoopbackPair::open();
  Recorder handler, added;
  ASSERT_EQ(write_some(pair.client.get(), "x").status, IoStatus::done);
  ASSERT_EQ(write_some(later.client.get(), "x").status, IoStatus::done);
  ASSERT_TRUE(await(pair.server.get(), POLLIN) && await(later.server.get(), POLLIN));
  ASSERT_TRUE(loop->add(pair.server.get(), handler, kReadable));
  handler.then = [&](uint32_t) {
    loop->remove(pair.server.get(), handler);
    ASSERT_TRUE(loop->add(later.server.get(), added, kReadable));
  };
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_TRUE(added.seen.empty());
  EXPECT_EQ(loop->run_once(kLong), 1u);
  EXPECT_EQ(added.seen.size(), 1u);
  loop->remove(later.server.get(), added);
}

TEST_F(EventLoopTest, ServesMoreDescriptorsThanOneRunTakes) {
  constexpr size_t kCount = kEventsPerRunMax + 50;
  std::vector<LoopbackPair> pairs;
  std::vector<Recorder> handlers(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    pairs.push_back(LoopbackPair::open());
    ASSERT_TRUE(loop->add(pairs[i].server.get(), handlers[i], kReadable));
    handlers[i].then = [&, i](uint32_t) {
      char byte;
      EXPECT_EQ(read_some(pairs[i].server.get(), {&byte, 1}).bytes, 1u);
    };
    ASSERT_EQ(write_some(pairs[i].client.get(), "x").status, IoStatus::done);
    ASSERT_TRUE(await(pairs[i].server.get(), POLLIN));
  }
  EXPECT_EQ(loop->run_once(kLong), kEventsPerRunMax);
  EXPECT_EQ(loop->run_once(kLong), kCount - kEventsPerRunMax);
  for (size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(handlers[i].seen.size(), 1u);
    loop->remove(pairs[i].server.get(), handlers[i]);
  }
}

TEST_F(EventLoopTest, TimesOutNotBeforeItsTime) {
  const MonoNs before = system_clock().mono_ns();
  EXPECT_EQ(loop->run_once(3'000'000), 0u);
  EXPECT_GE(system_clock().mono_ns() - before, 3'000'000);
}

TEST_F(EventLoopTest, AWakeBeforeTheRunIsNotLostAndCostsNoSystemCall) {
  loop->wake();
  loop->wake();
  EXPECT_EQ(loop->run_once(EventLoop::kForever), 0u);  // would hang
  EXPECT_EQ(loop->wake_calls(), 0u);
}

TEST_F(EventLoopTest, PollingNeverMakesAWakeCostASystemCall) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (int i = 0; i < 10'000; ++i) loop->wake();
    stop = true;
  });
  while (!stop) loop->run_once(0);
  other.join();
  EXPECT_EQ(loop->wake_calls(), 0u);
}

TEST_F(EventLoopTest, WakesAreNeverLostBetweenTwoThreads) {
  // Ping-pong: a lost wake would leave both asleep, and the test would time out.
  constexpr int kRounds = 20'000;
  auto other = *EventLoop::open();
  std::atomic<int> ball{0};
  std::thread thread([&] {
    for (int round = 0; round < kRounds; ++round) {
      while (ball.load(std::memory_order_relaxed) != 2 * round + 1) other->run_once(EventLoop::kForever);
      ball.store(2 * round + 2, std::memory_order_relaxed);
      loop->wake();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    ball.store(2 * round + 1, std::memory_order_relaxed);
    other->wake();
    while (ball.load(std::memory_order_relaxed) != 2 * round + 2) loop->run_once(EventLoop::kForever);
  }
  thread.join();
  EXPECT_LE(other->wake_calls(), static_cast<uint64_t>(kRounds));
}

TEST_F(EventLoopTest, SaysWhatIsShortWhenThereAreNoDescriptors) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = EventLoop::open();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::out_of_resources);
  EXPECT_EQ(refused.error().message, "cannot create an epoll instance: too many open files");
}

}  // namespace
}  // namespace courier::net
