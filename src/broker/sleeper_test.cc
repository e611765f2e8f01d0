// Sessions that fall asleep and wake are what they were, and take up no more than they must.
#include "broker/sleeper.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "broker/client_table.h"
#include "record/rows.h"

namespace courier::broker {
namespace {

// Sessions with anything and everything that one may have when nothing is done about it.
class RandomClients {
 public:
  explicit RandomClients(uint64_t seed) : random_(seed) {}

  Client client(uint64_t number) {
    Client client;
    session::Session& session = client.session;
    session.id = SessionId(number << 16 | below(0x10000));
    session.attach = Position(odd() ? number : number + below(1u << 30));
    session.client_id = "phone-" + std::to_string(number) + std::string(odd() ? 0 : below(60), 'x');
    if (odd()) session.mountpoint = "tenant-" + std::to_string(below(5));
    if (odd()) session.username = std::string(below(40), 'u');
    if (below(4) == 0) {  // to another node
      session.connected = true;
      session.node = NodeEpoch(1 + below(uint64_t{1} << 40));
    }
    session.version = static_cast<mqtt::Version>(3 + below(3));
    session.expiry_seconds = odd() ? session::kNeverExpires : static_cast<uint32_t>(below(1u << 31));
    session.detached_at = static_cast<WallMs>(below(uint64_t{1} << 45));
    if (odd()) inbox(session);
    if (odd()) client.deadline = static_cast<WallMs>(below(uint64_t{1} << 45));
    std::vector<uint64_t> hashes(odd() ? 1 : below(5));
    for (uint64_t& hash : hashes) hash = below(20) == 0 ? 0 : random_();
    session.subscription_count = static_cast<uint32_t>(below(20) == 0 ? below(100'000) : hashes.size());
    client.filters.assign(std::move(hashes));
    if (below(4) == 0) extras(session);
    return client;
  }

  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool odd() { return (random_() & 1) != 0; }

 private:
  void inbox(session::Session& session) {
    const uint64_t next = 1 + below(uint64_t{1} << 40), count = below(std::min<uint64_t>(next, 1000));
    const uint64_t first = next - count - (count == 0 ? 0 : below(next - count + 1));
    std::vector<session::Inbox::StepOf> steps;
    if (count > 0 && odd()) steps.push_back({first, session::Step::received});
    session.inbox.restore(first, next, count, count * below(5000), std::move(steps));
    session.sent_before = below(next + 1);
  }
  void extras(session::Session& session) {
    if (odd()) session.taken.restore({3, 77, 65'535});
    if (odd()) session.grouped.make().push_back({{7, 9}, {below(9), Position(5), 100, odd()}});
    if (odd()) {
      auto* message = mqtt::Message::make("gone/" + std::to_string(below(100)), std::string(below(700), '.'));
      message->qos = mqtt::Qos::exactly_once;
      session.will = std::make_unique<const session::Will>(session::Will{mqtt::MessagePtr(message), 30, 60});
    }
    if (odd()) session.inbox_messages_max = 1 + static_cast<uint32_t>(below(1000));
    if (odd()) {
      session.walks = std::make_unique<std::vector<session::RetainedWalk>>();
      session.walks->push_back({"a/+", {}, 3, Position(8), "a/m"});
    }
  }

  std::mt19937_64 random_;
};

// All that is to stay as it is.
std::string told(const Client& client) {
  const session::Session& session = client.session;
  std::string all = record::encode_session(session);
  for (const uint64_t number : {session.id.value, uint64_t{session.subscription_count},
                                static_cast<uint64_t>(client.deadline), client.filters.one()}) {
    all += " " + std::to_string(number);
  }
  for (const uint64_t hash : client.filters.many()) all += " " + std::to_string(hash);
  return all;
}

TEST(Sleepers, WakeAsWhatTheyWere) {
  RandomClients random(1);
  size_t slept = 0;
  for (uint64_t number = 1; number <= 5'000; ++number) {
    ClientTable table(7);
    Client made = random.client(number);
    const SessionId id = made.session.id;
    const std::string before = told(made);
    table.restore(std::move(made));
    slept += table.asleep();
    Client* woken = table.find(id);
    ASSERT_NE(woken, nullptr);
    ASSERT_EQ(told(*woken), before);
    ASSERT_FALSE(woken->session.dirty || woken->work);
    ASSERT_EQ(woken->session.connected, static_cast<bool>(woken->session.node));
    EXPECT_EQ(table.asleep(), 0u);
  }
  EXPECT_GT(slept, 4'900u);
}

// Among thousands, any of which may come, go, wake or fall asleep at any moment.
TEST(Sleepers, AreFoundWhateverTheOthersDo) {
  RandomClients random(2);
  ClientTable table(7);
  std::map<SessionId, std::string> told_of;
  std::map<std::pair<std::string, std::string>, SessionId> named;
  std::vector<SessionId> ids;
  const auto name = [](const Client& client) {
    return std::pair(client.session.mountpoint.str(), client.session.client_id.str());
  };
  for (uint64_t number = 1; number <= 20'000; ++number) {
    if (random.below(3) > 0 || ids.empty()) {
      Client made = random.client(number);
      ids.push_back(made.session.id);
      told_of[ids.back()] = told(made);
      named[name(made)] = ids.back();
      table.restore(std::move(made));
    }
    const size_t at = random.below(ids.size());
    const SessionId id = ids[at];
    const bool slept = table.sleeps(id);
    ASSERT_EQ(table.find_awake(id) == nullptr, slept);
    Client* client = table.find(id);
    ASSERT_NE(client, nullptr);
    ASSERT_EQ(told(*client), told_of[id]);
    ASSERT_EQ(table.deadline(id), client->deadline);
    ASSERT_EQ(table.find(client->session.mountpoint, client->session.client_id), client);
    switch (random.below(4)) {
      case 0:
        named.erase(name(*client));
        told_of.erase(id);
        table.erase(*client);
        ids[at] = ids.back();
        ids.pop_back();
        break;
      case 1:
        break;
      default:
        table.fall_asleep(*client);
    }
  }
  EXPECT_GT(table.asleep(), 1'000u);
  EXPECT_EQ(table.size(), ids.size());
  ClientTable::Walk walk;
  size_t shown = 0, asleep = table.asleep();
  while (table.for_some(walk, 10, [&](const Client& client) {
    ++shown;
    EXPECT_EQ(told(client), told_of[client.session.id]);
  })) {
  }
  EXPECT_EQ(shown, table.size());
  EXPECT_EQ(table.asleep(), asleep) << "a walk wakes nobody";
  for (const auto& [at, id] : named) {
    Client* client = table.find(at.first, at.second);
    ASSERT_NE(client, nullptr);
    EXPECT_EQ(client->session.id, id);
  }
  for (const SessionId id : ids) table.erase(*table.find(id));
  EXPECT_EQ(table.size(), 0u);
}

TEST(Sleepers, AreOnlyThoseThatNothingIsDoneAbout) {
  const auto refuses = [](auto&& busy) {
    ClientTable table(7);
    Client client;
    client.session.id = SessionId(1 << 16);
    busy(client);
    table.restore(std::move(client));
    return table.asleep() == 0 && table.size() == 1;
  };
  EXPECT_FALSE(refuses([](Client&) {}));
  EXPECT_TRUE(refuses([](Client& c) { c.session.id.value |= SessionId::kEphemeralBit; }));
  EXPECT_TRUE(refuses([](Client& c) { c.session.connected = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.session.dirty = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.work.make(); }));
  EXPECT_TRUE(refuses([](Client& c) { c.loading = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.limits_wanted = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.pump_wanted = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.walk_pending = true; }));
  EXPECT_TRUE(refuses([](Client& c) { c.gap_damaged = true; }));
  EXPECT_TRUE(refuses([](Client& c) {
    session::Entry entry;
    entry.message = mqtt::MessagePtr(mqtt::Message::make("t", "p"));
    c.session.inbox.push(std::move(entry));
  }));
  EXPECT_TRUE(refuses([](Client& c) {
    auto* message = mqtt::Message::make("t", std::string(2'000, '.'));
    c.session.will = std::make_unique<const session::Will>(session::Will{mqtt::MessagePtr(message), 30, 60});
  })) << "too large";
}

TEST(Sleepers, TheFiltersOfAStartComeToThemAsleep) {
  ClientTable table(7);
  for (const uint64_t number : {1, 2, 3, 4}) {
    Client client;
    client.session.id = SessionId(number << 16);
    client.session.client_id = std::to_string(number);
    table.restore(std::move(client));
  }
  const auto give = [&](uint64_t number, std::vector<uint64_t> hashes) {
    table.restore(SessionId(number << 16), hashes);
  };
  give(1, {77});
  give(2, {77, 78});
  give(3, {0});
  give(9, {5});
  EXPECT_EQ(table.asleep(), 4u);
  const auto client = [&](uint64_t number) -> Client& { return *table.find(SessionId(number << 16)); };
  EXPECT_EQ(client(1).session.subscription_count, 1u);
  EXPECT_TRUE(client(1).filters.contains(77));
  EXPECT_EQ(client(2).session.subscription_count, 2u);
  EXPECT_TRUE(client(2).filters.contains(77) && client(2).filters.contains(78));
  EXPECT_EQ(client(3).session.subscription_count, 1u);
  EXPECT_TRUE(client(3).filters.contains(0));
  EXPECT_EQ(client(4).session.subscription_count, 0u);
}

TEST(Sleepers, TakeEightyBytesEachWithTheirTables) {
  constexpr uint64_t kCount = 300'000;
  ClientTable table(7);
  for (uint64_t number = 1; number <= kCount; ++number) {
    Client client;
    client.session.id = SessionId(number << 16 | (number & 0xFFFF));
    client.session.attach = Position(number);
    client.session.client_id = "phone-" + std::to_string(10'000'000 + number);
    client.session.expiry_seconds = session::kNeverExpires;
    client.session.detached_at = 1'800'000'000'000;
    client.session.subscription_count = 1;
    client.filters.insert(number);
    table.restore(std::move(client));
  }
  EXPECT_LE(table.bytes() / kCount, 80u);
}

}  // namespace
}  // namespace courier::broker
