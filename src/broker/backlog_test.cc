#include "broker/backlog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace courier::broker {
namespace {

using Woken = std::vector<uint32_t>;

TEST(Backlog, IsTooLongFromItsLimitOnUntilHalfOfIt) {
  Backlog backlog(2, 100);
  backlog.posted(1, 100);
  EXPECT_FALSE(backlog.too_long());
  backlog.posted(1, 1);
  EXPECT_TRUE(backlog.too_long());
  backlog.worked_off(1, 50);
  EXPECT_TRUE(backlog.too_long());
  backlog.worked_off(1, 1);
  EXPECT_FALSE(backlog.too_long());
  backlog.posted(1, 50);
  EXPECT_FALSE(backlog.too_long());
}

TEST(Backlog, WakesWhoWaitsOnceWhenNoneIsTooLongAnyMore) {
  Backlog backlog(4, 100);
  EXPECT_FALSE(backlog.wait(0)) << "there is room";
  backlog.posted(1, 200);
  backlog.posted(2, 200);
  EXPECT_TRUE(backlog.wait(0));
  EXPECT_TRUE(backlog.wait(2)) << "one may wait for itself: its mail is worked off all the same";
  EXPECT_EQ(backlog.worked_off(1, 200), Woken());
  EXPECT_TRUE(backlog.too_long());
  EXPECT_EQ(backlog.worked_off(2, 150), Woken({0, 2}));
  EXPECT_FALSE(backlog.too_long());
  EXPECT_EQ(backlog.worked_off(2, 50), Woken());
}

TEST(Backlog, CountsWhatIsLongInAMail) {
  const mqtt::MessagePtr held(mqtt::Message::make("t", std::string(1000, 'x')));
  const auto cost_of = [](record::FeedItem item) {
    std::vector<record::FeedItem> items;
    items.push_back(std::move(item));
    return cost(items);
  };
  EXPECT_GE(cost_of(record::Delivery{{}, held, {}}), 1000u);
  record::Delivery to_many{{}, held, {}};
  to_many.to.resize(100);
  EXPECT_GE(cost_of(std::move(to_many)), 3000u);
  record::Dropped dropped;
  dropped.messages.resize(100);
  record::SessionRecord record;
  record.record = dropped;
  EXPECT_GE(cost_of(std::move(record)), 3000u);
  EXPECT_GE(cost_of(record::WillFired{}), sizeof(record::FeedItem));
}

// Two who post, one who works off, one who waits whenever he may: nobody waits for ever, and nothing is left.
TEST(Backlog, NobodyIsForgottenWhateverTheThreadsDo) {
  constexpr uint64_t kRounds = 200'000;
  Backlog backlog(2, 10);
  std::atomic<uint64_t> posted{0};
  std::atomic<bool> woken{false}, waiting{false}, over{false};
  const auto posts = [&] {
    for (uint64_t i = 0; i < kRounds; ++i) {
      backlog.posted(1, 1 + i % 12);
      posted.fetch_add(1 + i % 12);
    }
  };
  std::thread one(posts), other(posts);
  std::thread waits([&] {
    while (!over.load()) {
      if (!backlog.wait(0)) continue;
      waiting.store(true);
      while (!woken.load() && !over.load()) std::this_thread::yield();
      waiting.store(false);
      woken.store(false);
    }
  });
  uint64_t done = 0;
  const uint64_t all = [] {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < kRounds; ++i) sum += 2 * (1 + i % 12);
    return sum;
  }();
  while (done < all) {
    const uint64_t now = posted.load();
    if (now == done) continue;
    if (!backlog.worked_off(1, now - done).empty()) woken.store(true);
    done = now;
  }
  one.join();
  other.join();
  EXPECT_FALSE(backlog.too_long());
  // Whoever began to wait before the end is told of it.
  for (int i = 0; waiting.load() && !woken.load() && i < 1'000'000; ++i) std::this_thread::yield();
  EXPECT_TRUE(!waiting.load() || woken.load());
  over.store(true);
  waits.join();
}

}  // namespace
}  // namespace courier::broker
