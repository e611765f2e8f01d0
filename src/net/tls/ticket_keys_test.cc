#include "net/tls/ticket_keys.h"

#include <gtest/gtest.h>

#include <string_view>
#include <thread>
#include <vector>

namespace courier::net::tls {
namespace {

constexpr std::chrono::seconds kLifetime(100);
constexpr WallMs kStart = 1'000'000;

std::string_view name_of(const TicketKey& key) {
  return {reinterpret_cast<const char*>(key.name.data()), key.name.size()};
}

TEST(TicketKeys, IssueForALifetimeAndOpenForOneMore) {
  TicketKeys keys;
  EXPECT_FALSE(keys.newest());
  keys.keep_fresh(kStart, kLifetime);
  const TicketKey first = *keys.newest();
  keys.keep_fresh(kStart + 99'999, kLifetime);
  EXPECT_EQ(name_of(*keys.newest()), name_of(first));
  EXPECT_TRUE(keys.find(name_of(first))->newest);

  keys.keep_fresh(kStart + 100'000, kLifetime);
  const TicketKey second = *keys.newest();
  EXPECT_NE(name_of(second), name_of(first));
  ASSERT_TRUE(keys.find(name_of(first)));
  EXPECT_FALSE(keys.find(name_of(first))->newest);
  EXPECT_EQ(keys.find(name_of(first))->key.cipher, first.cipher);
  EXPECT_NE(second.cipher, first.cipher);
  EXPECT_NE(second.mac, first.mac);

  keys.keep_fresh(kStart + 200'000, kLifetime);
  EXPECT_FALSE(keys.find(name_of(first)));
  EXPECT_TRUE(keys.find(name_of(second)));
}

TEST(TicketKeys, AreForgottenWhenNobodyCameForLong) {
  TicketKeys keys;
  keys.keep_fresh(kStart, kLifetime);
  const TicketKey first = *keys.newest();
  keys.keep_fresh(kStart + 200'000, kLifetime);
  EXPECT_FALSE(keys.find(name_of(first)));
}

TEST(TicketKeys, AreNotKeptLongerByAClockThatIsSetBack) {
  TicketKeys keys;
  keys.keep_fresh(kStart, kLifetime);
  const TicketKey first = *keys.newest();
  keys.keep_fresh(kStart - 50'000, kLifetime);
  EXPECT_NE(name_of(*keys.newest()), name_of(first));
}

TEST(TicketKeys, AreFoundByTheirWholeName) {
  TicketKeys keys;
  keys.keep_fresh(kStart, kLifetime);
  const TicketKey key = *keys.newest();
  EXPECT_FALSE(keys.find(name_of(key).substr(0, 15)));
  EXPECT_FALSE(keys.find("0123456789abcdef"));
}

TEST(TicketKeys, AreOnesForAllThreads) {
  TicketKeys keys;
  std::vector<std::jthread> threads;
  std::vector<TicketKey> seen(4);
  for (TicketKey& mine : seen) {
    threads.emplace_back([&keys, &mine] {
      for (WallMs now = kStart; now <= kStart + 1'000'000; now += 1000) {
        keys.keep_fresh(now, kLifetime);
        mine = *keys.newest();
        keys.find(name_of(mine));
      }
    });
  }
  threads.clear();
  keys.keep_fresh(kStart + 1'000'000, kLifetime);
  EXPECT_TRUE(keys.newest());
}

}  // namespace
}  // namespace courier::net::tls
