#include "base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <thread>

namespace courier {
namespace {

TEST(WorkerPool, RunsEverythingThatItAccepted) {
  std::atomic<int> ran{0};
  std::latch done(100);
  WorkerPool pool("test", 3, 1000);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(pool.post([&] {
      ++ran;
      done.count_down();
    }));
  }
  done.wait();
  EXPECT_EQ(ran, 100);
}

TEST(WorkerPool, AFullQueueRefusesAndRunningTasksDoNotCount) {
  std::promise<void> started, release;
  auto released = release.get_future().share();
  std::atomic<int> ran{0};
  std::latch done(2);
  WorkerPool pool("test", 1, 2);
  ASSERT_TRUE(pool.post([&] {
    started.set_value();
    released.wait();
  }));
  started.get_future().wait();
  const auto count = [&] {
    ++ran;
    done.count_down();
  };
  EXPECT_TRUE(pool.post(count));
  EXPECT_TRUE(pool.post(count));
  EXPECT_FALSE(pool.post(count));
  EXPECT_EQ(pool.queued(), 2u);
  release.set_value();
  done.wait();
  EXPECT_EQ(ran, 2);
}

TEST(WorkerPool, StopFinishesWhatRunsAndDropsWhatWaits) {
  std::promise<void> started, release;
  std::atomic<bool> finished{false}, dropped_ran{false};
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = alive;
  WorkerPool pool("test", 1, 10);
  ASSERT_TRUE(pool.post([&, released = release.get_future().share()] {
    started.set_value();
    released.wait();
    finished = true;
  }));
  started.get_future().wait();
  ASSERT_TRUE(pool.post([&, held = std::move(alive)] { dropped_ran = true; }));
  std::thread stopper([&] { pool.stop(); });
  while (pool.queued() > 0) std::this_thread::yield();  // the moment at which stop() dropped what waits
  release.set_value();
  stopper.join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(dropped_ran);
  EXPECT_TRUE(watch.expired());
  EXPECT_FALSE(pool.post([] {}));
}

}  // namespace
}  // namespace courier
