// The parts of an import that read stores: what a start would make of one, and what is in it. The whole of
// it, with etcd and a kill at every step, is test/cluster/importing.py.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "import/census.h"
#include "import/recovery.h"
#include "record/codec.h"
#include "record/rows.h"
#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);  // came along with the header
}

namespace courier::courierd {
namespace {

using store::Inspection;
using store::StateBatch;
using store::Table;
using store::TestFolder;

constexpr WallMs kNow = 1'800'000'000'000;

std::unique_ptr<Inspection> inspect(const std::string& path) {
  auto store = Inspection::open(path);
  EXPECT_TRUE(store) << store.error().message;
  return std::move(*store);
}

Census must_count(const Inspection& store, const std::vector<StateBatch>& changes = {}) {
  const auto census = census_of(store, changes);
  EXPECT_TRUE(census) << census.error().message;
  return *census;
}

mqtt::MessagePtr message(const std::string& topic, mqtt::Qos qos, const std::string& payload) {
  auto made = mqtt::Message::make(topic, payload);
  mqtt::MessagePtr held(made);
  made->qos = qos;
  return held;
}

// --- what a store holds with changes over it ---

// Rows of tables that any checkpoint may have: retained messages, and shared messages with their counts.
class Checkpoints {
 public:
  explicit Checkpoints(uint64_t seed) : random_(seed) {}

  StateBatch next() {
    StateBatch batch;
    std::set<std::string> named;
    const std::string from = key(number(40));
    batch.range_erases.push_back({Table::retained, from, from + (number(2) ? "5" : "")});
    for (uint64_t i = number(6); i > 0; --i) {
      const std::string topic = std::to_string(number(40));
      if (!named.insert(topic).second) continue;
      if (number(3) == 0) {
        batch.erases.push_back({Table::retained, record::retained_key("", topic)});
      } else {
        const auto held = message(topic, mqtt::Qos::at_least_once, std::to_string(number(1000)));
        batch.puts.push_back({Table::retained, record::retained_key("", topic),
                              record::encode_retained("", *held, Position(number(100)))});
      }
    }
    for (uint64_t i = number(4); i > 0; --i) {
      const uint64_t position = 1 + number(20);
      int64_t& count = counts_[position];
      const int64_t delta = count > 0 && number(2) ? -1 : 1;
      count += delta;
      batch.messages.push_back(
          {Position(position), delta, message(std::to_string(position), mqtt::Qos::at_least_once, "shared")});
    }
    return batch;
  }

 private:
  uint64_t number(uint64_t below) { return random_() % below; }
  static std::string key(uint64_t n) { return record::retained_key("", std::to_string(n)); }
  std::mt19937_64 random_;
  std::map<uint64_t, int64_t> counts_;
};

TEST(CensusOfAStore, IsTheSameWhetherChangesAreWrittenOrLaidOver) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    TestFolder folder;
    Checkpoints checkpoints(seed);
    const auto write = [&](const std::vector<StateBatch>& parts, uint64_t position) {
      ASSERT_TRUE(store::must_open(folder / "data")->state().write(parts, Position(position)));
    };
    write({checkpoints.next()}, 1);
    write({checkpoints.next()}, 2);
    std::vector<StateBatch> changes = {checkpoints.next(), {}};
    changes.back().puts.push_back(
        {Table::retained, record::retained_key("", "never before"),
         record::encode_retained("", *message("never before", mqtt::Qos::at_least_once, "x"), Position(3))});
    const Census laid_over = must_count(*inspect(folder / "data"), changes);
    const Census before = must_count(*inspect(folder / "data"));
    write(changes, 3);
    const Census written = must_count(*inspect(folder / "data"));
    EXPECT_EQ(difference(laid_over, written), "");
    EXPECT_EQ(laid_over, written);
    EXPECT_EQ(difference(before, written), "the table of retained messages");
    EXPECT_NE(digest_of(before), digest_of(written));
    EXPECT_EQ(digest_of(laid_over), digest_of(written));
  }
}

TEST(CensusOfAStore, ThatDiffersInOneByteSaysWhere) {
  TestFolder folder;
  const auto census = [&](const std::string& name, const std::string& payload) {
    StateBatch batch;
    batch.puts.push_back(
        {Table::retained, record::retained_key("", "t"),
         record::encode_retained("", *message("t", mqtt::Qos::at_least_once, payload), Position(1))});
    EXPECT_TRUE(store::write_state(store::must_open(folder / name)->state(), batch, 1));
    return must_count(*inspect(folder / name));
  };
  const Census one = census("one", "abc"), other = census("other", "abd");
  EXPECT_EQ(one.retained, 1u);
  EXPECT_EQ(one.retained, other.retained);
  EXPECT_EQ(difference(one, other), "the table of retained messages");
}

TEST(CensusOfAStore, RowThatCannotBeReadIsAnError) {
  TestFolder folder;
  StateBatch batch;
  batch.puts.push_back({Table::session, record::session_key(SessionId(7)), "?"});
  EXPECT_TRUE(store::write_state(store::must_open(folder / "data")->state(), batch, 1));
  const auto census = census_of(*inspect(folder / "data"));
  ASSERT_FALSE(census);
  EXPECT_NE(census.error().message.find("the table of sessions"), std::string::npos)
      << census.error().message;
}

// --- what a start would make of it ---

// Appends records as a node alone would have.
class Past {
 public:
  explicit Past(const std::string& path) : store_(store::must_open(path)) { store_->log().start(reader_); }
  ~Past() { store_->log().stop(); }

  Position append(record::Record record) {
    store::Batch batch;
    batch.ticket = ++batches_;
    record::encode(batch.encoded, record);
    batch.records.push_back(std::move(record));
    store_->log().append(std::move(batch));
    reader_.wait_for_batches(batches_);
    return Position(batches_);
  }
  record::SessionRef attach(const std::string& client_id, record::Will will = {}) {
    record::Attach attach;
    attach.client_id = client_id;
    attach.expiry_seconds = 3600;
    attach.window = 10;
    attach.version = mqtt::Version::v5;
    attach.will = std::move(will);
    const Position at = append(std::move(attach));
    return {record::session_created_at(at, record::session_hash("", client_id)), at};
  }
  void subscribe(record::SessionRef by, const std::string& filter) {
    mqtt::SubscriptionOptions options;
    options.qos = mqtt::Qos::exactly_once;
    record::Subscribe subscribe;
    subscribe.by = by;
    subscribe.entries.push_back({filter, options});
    append(std::move(subscribe));
  }
  void publish(const std::string& topic, mqtt::Qos qos) {
    append(record::Publish{message(topic, qos, "hello"), "", {}, {}});
  }

 private:
  std::unique_ptr<store::RocksStore> store_;
  store::RecordingReader reader_;
  uint64_t batches_ = 0;
};

TEST(Recovery, FoldsTheLogAndNobodyIsConnectedAnyMore) {
  TestFolder folder;
  {
    Past past(folder / "data");
    const auto phone =
        past.attach("phone", {message("will", mqtt::Qos::at_least_once, "gone"), /*delay*/ 0, 0});
    past.subscribe(phone, "orders/#");
    const auto worker = past.attach("worker");
    past.subscribe(worker, "$share/crew/work");
    past.append(record::Detach{worker, false, false, 3600, 0});
    past.publish("orders/1", mqtt::Qos::at_least_once);
    past.publish("orders/2", mqtt::Qos::exactly_once);
    past.publish("work", mqtt::Qos::exactly_once);
    past.append(record::Qos2In{phone, PacketId(3)});
  }
  const auto source = inspect(folder / "data");
  ASSERT_EQ(source->position(), Position(0)) << "all of it is in the log";
  EXPECT_EQ(must_count(*source).sessions, 0u);
  const auto recovered = recover(*source, kNow);
  ASSERT_TRUE(recovered) << recovered.error().message;
  EXPECT_EQ(recovered->position, Position(source->log_end().value + 1));

  const Census census = must_count(*source, recovered->changes);
  EXPECT_EQ(census.sessions, 2u);
  EXPECT_EQ(census.wills, 1u) << "it is for whoever acts afterwards";
  EXPECT_EQ(census.unreleased, 1u);
  EXPECT_EQ(census.subscriptions, 2u);
  EXPECT_EQ(census.groups, 1u);
  EXPECT_EQ(census.group_queued_qos2, 1u);
  EXPECT_EQ(census.queued_qos1, 1u);
  EXPECT_EQ(census.queued_qos2, 1u);
  EXPECT_EQ(census.under_way, 2u) << "the phone was connected: it may have them";
  for (const StateBatch& part : recovered->changes) {
    for (const StateBatch::Put& put : part.puts) {
      if (put.table != Table::session) continue;
      session::Session session;
      ASSERT_TRUE(record::decode_session(put.value, session));
      EXPECT_FALSE(session.connected);
    }
  }
}

TEST(Recovery, GivesTheSameBytesForTheSameTime) {
  TestFolder folder;
  {
    Past past(folder / "data");
    for (int i = 0; i < 50; ++i) past.subscribe(past.attach("phone-" + std::to_string(i)), "orders/#");
    for (int i = 0; i < 20; ++i) past.publish("orders/1", mqtt::Qos::at_least_once);
  }
  const auto source = inspect(folder / "data");
  const auto census = [&](WallMs now) { return must_count(*source, recover(*source, now)->changes); };
  EXPECT_EQ(census(kNow), census(kNow));
}

}  // namespace
}  // namespace courier::courierd
