#include "net/mailbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>

#include "net/event_loop.h"

namespace courier::net {
namespace {

struct Counter final : Waker {
  void wake() noexcept override { ++wakes; }
  int wakes = 0;
};

TEST(Mailbox, WakesItsOwnerOncePerFilling) {
  Counter waker;
  Mailbox<int> mailbox(waker);
  std::vector<int> got;
  EXPECT_FALSE(mailbox.drain(got));
  mailbox.post(1);
  mailbox.post(2);
  std::vector<int> batch{3, 4};
  mailbox.post_all(batch);
  EXPECT_EQ(waker.wakes, 1);
  EXPECT_EQ(mailbox.size(), 4u);
  EXPECT_TRUE(mailbox.drain(got));
  EXPECT_THAT(got, testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(mailbox.size(), 0u);
  mailbox.post(5);
  EXPECT_EQ(waker.wakes, 2);
}

TEST(Mailbox, AnEmptyBatchWakesNobody) {
  Counter waker;
  Mailbox<int> mailbox(waker);
  std::vector<int> batch, got;
  mailbox.post_all(batch);
  EXPECT_EQ(waker.wakes, 0);
  EXPECT_FALSE(mailbox.drain(got));
}

TEST(Mailbox, DrainingReplacesWhatTheVectorHeld) {
  Counter waker;
  Mailbox<int> mailbox(waker);
  std::vector<int> got{7, 8};
  EXPECT_FALSE(mailbox.drain(got));
  EXPECT_THAT(got, testing::IsEmpty());
}

TEST(Mailbox, CarriesWhatCanOnlyBeMoved) {
  Counter waker;
  Mailbox<std::unique_ptr<int>> mailbox(waker);
  mailbox.post(std::make_unique<int>(1));
  std::vector<std::unique_ptr<int>> batch, got;
  batch.push_back(std::make_unique<int>(2));
  mailbox.post_all(batch);
  EXPECT_THAT(batch, testing::IsEmpty());
  ASSERT_TRUE(mailbox.drain(got));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(*got[1], 2);
}

TEST(Mailbox, GivesBackTheMemoryOfABurst) {
  Counter waker;
  Mailbox<int> mailbox(waker);
  std::vector<int> got;
  for (size_t i = 0; i < 20 * kMailboxRoomKept; ++i) mailbox.post(1);
  ASSERT_TRUE(mailbox.drain(got));
  EXPECT_GT(got.capacity(), kMailboxRoomKept);
  for (int i = 0; i < 2; ++i) {
    mailbox.post(1);
    ASSERT_TRUE(mailbox.drain(got));
  }
  EXPECT_LE(got.capacity(), kMailboxRoomKept);
}

TEST(Mailbox, ManyThreadsPostInOrderToASleepingLoop) {
  constexpr int kThreads = 4, kItems = 20'000, kBatch = 7;
  struct Item {
    int thread, number;
  };
  auto loop = *EventLoop::open();
  Mailbox<Item> mailbox(*loop);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&mailbox, thread] {
      std::vector<Item> batch;
      for (int number = 0; number < kItems; ++number) {
        // Half of the threads post one by one, the others in batches.
        if (thread % 2 == 0) {
          mailbox.post({thread, number});
          continue;
        }
        batch.push_back({thread, number});
        if (batch.size() == kBatch || number == kItems - 1) mailbox.post_all(batch);
      }
    });
  }
  std::array<int, kThreads> next{};
  std::vector<Item> got;
  // Sleeps without a limit: a lost wake-up would hang the test.
  for (int left = kThreads * kItems; left > 0;) {
    loop->run_once(EventLoop::kForever);
    if (!mailbox.drain(got)) continue;
    left -= static_cast<int>(got.size());
    for (const Item& item : got) ASSERT_EQ(item.number, next[static_cast<size_t>(item.thread)]++);
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(next, testing::Each(kItems));
  EXPECT_FALSE(mailbox.drain(got));
}

}  // namespace
}  // namespace courier::net
