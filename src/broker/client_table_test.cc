#include "broker/client_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace courier::broker {
namespace {

session::Session named(uint64_t id, std::string client_id, std::string mountpoint = "") {
  session::Session session;
  session.id = SessionId(id);
  session.mountpoint = std::move(mountpoint);
  session.client_id = std::move(client_id);
  return session;
}

TEST(Clients, AreFoundByIdAndByName) {
  ClientTable table(1);
  Client& phone = table.add(named(7, "phone"));
  Client& other = table.add(named(8, "phone", "tenant"));
  EXPECT_EQ(table.find(SessionId(7)), &phone);
  EXPECT_EQ(table.find("", "phone"), &phone);
  EXPECT_EQ(table.find("tenant", "phone"), &other);
  EXPECT_EQ(table.find("", "tenantphone"), nullptr);
  table.erase(phone);
  EXPECT_EQ(table.find(SessionId(7)), nullptr);
  EXPECT_EQ(table.find("", "phone"), nullptr);
  EXPECT_EQ(table.find("tenant", "phone"), &other);
  EXPECT_EQ(table.size(), 1u);
}

TEST(Clients, ANameBelongsToTheLatestSession) {
  ClientTable table(1);
  Client& old = table.add(named(7, "phone"));
  Client& young = table.add(named(9, "phone"));
  EXPECT_EQ(table.find("", "phone"), &young);
  EXPECT_EQ(table.find(SessionId(7)), &old);
  table.erase(old);
  EXPECT_EQ(table.find("", "phone"), &young);
}

// Whoever stays during a walk in pieces is seen, whatever comes and goes between them.
TEST(Clients, AWalkMissesNobodyWhoStays) {
  ClientTable table(1);
  for (uint64_t i = 1; i <= 1'000; ++i) table.add(named(i, std::to_string(i)));
  std::set<uint64_t> seen;
  ClientTable::Walk walk;
  uint64_t leaves = 1, comes = 10'000;
  while (table.for_some(walk, 10, [&](const Client& client) { seen.insert(client.session.id.value); })) {
    for (int n = 0; n < 3; ++n, leaves += 3) {
      if (Client* client = table.find(SessionId(leaves))) table.erase(*client);
    }
    table.add(named(comes, std::to_string(comes)));
    ++comes;
  }
  for (uint64_t id = 1; id < 10'000; ++id) {
    if (table.find(SessionId(id))) {
      EXPECT_TRUE(seen.contains(id)) << id;
    }
  }
  EXPECT_LT(table.size(), 1'000u);
}

TEST(Filters, OneOrManyAreASet) {
  FilterHashes filters;
  std::set<uint64_t> expected;
  uint64_t random = 1;
  for (int i = 0; i < 10'000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const uint64_t hash = (random >> 60) % 5;  // 0 is a hash like any other
    if (random >> 33 & 1) {
      filters.insert(hash);
      expected.insert(hash);
    } else {
      filters.erase(hash);
      expected.erase(hash);
    }
    for (uint64_t each = 0; each < 5; ++each) ASSERT_EQ(filters.contains(each), expected.contains(each));
    if (i % 100 == 0) filters.assign({expected.rbegin(), expected.rend()});
  }
}

// Whether a will is done is asked while it is here; the rest goes when nothing is under way.
TEST(Clients, GiveBackWhatOnlyABusyOneNeeds) {
  ClientTable table(1);
  Client& client = table.add(named(7, "phone"));
  client.session.attach = Position(5);
  client.session.will = std::make_unique<const session::Will>();
  client.work.make().leaving = 1;
  client.trim();
  EXPECT_TRUE(client.work);
  client.work.make().leaving = 0;
  client.work.make().will_settled = Position(5);
  client.trim();
  EXPECT_EQ(client.work->will_settled, Position(5));
  client.session.attach = Position(6);
  client.trim();
  EXPECT_FALSE(client.work);
  client.work.make().will_settled = Position(6);
  client.session.will = nullptr;
  client.trim();
  EXPECT_FALSE(client.work);
}

}  // namespace
}  // namespace courier::broker
