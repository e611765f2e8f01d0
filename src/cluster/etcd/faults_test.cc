// What the log survives: servers killed and paused, answers lost, watches compacted away, space used up.
#include <gtest/gtest.h>

#include <set>

#include "cluster/etcd/etcd_test_node.h"
#include "cluster/etcd/etcd_test_proxy.h"
#include "cluster/etcd/hold_log.h"

namespace courier::cluster::etcd {
namespace {

using store::numbered_batch;

std::vector<uint64_t> tickets(const std::vector<store::CommittedBatch>& batches) {
  std::vector<uint64_t> list;
  for (const store::CommittedBatch& batch : batches) {
    for (const record::Record& record : batch.records) {
      list.push_back(std::get<record::Released>(record).by.session.value);
    }
  }
  return list;
}

uint64_t revision_of(Client& client) {
  api::RangeRequest request;
  request.set_key("x");
  const auto answer =
      client.insist<api::RangeResponse>(10'000, [&](auto then) { client.range(request, std::move(then)); });
  EXPECT_TRUE(answer);
  return answer ? static_cast<uint64_t>(answer->header().revision()) : 0;
}

// Appends steadily until it is told to stop: tickets from `first` on.
class Load {
 public:
  Load(store::OrderedLog& log, uint64_t first) : log_(log), next_(first) {
    thread_ = std::thread([this] {
      while (!stopping_) {
        log_.append(numbered_batch(0, next_));
        ++next_;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  // The ticket behind the last one.
  uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return next_;
  }
  ~Load() { stop(); }

 private:
  store::OrderedLog& log_;
  std::atomic<uint64_t> next_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

void expect_each_once(const std::vector<uint64_t>& seen, uint64_t first, uint64_t end) {
  uint64_t next = first;
  for (const uint64_t ticket : seen) {
    if (ticket < first || ticket >= end) continue;
    ASSERT_EQ(ticket, next++) << "in order, each once";
  }
  EXPECT_EQ(next, end) << "all of them";
}

TEST(LogFaults, LeadersKilledDuringAppendsLoseNothingAndDoubleNothing) {
  TestEtcd etcd(3);
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .lease_ms = 5000}), two(etcd, keys, {.id = "two", .lease_ms = 5000});
  one.start();
  two.start();
  Load first(one.log(), 1'000'000), second(two.log(), 2'000'000);
  for (int kill = 0; kill < 2; ++kill) {
    const size_t before = one.reader().count();
    ASSERT_TRUE(eventually([&] { return one.reader().count() > before + 100; }));
    const size_t leader = etcd.leader();
    ASSERT_LT(leader, 3u);
    etcd.kill(leader);
    const size_t at_kill = one.reader().count();
    ASSERT_TRUE(eventually([&] { return one.reader().count() > at_kill + 100; }));
    etcd.start(leader);
  }
  const uint64_t end_one = first.stop(), end_two = second.stop();
  const size_t all = end_one - 1'000'000 + end_two - 2'000'000;
  ASSERT_TRUE(eventually([&] { return tickets(one.reader().batches()).size() >= all; }));
  ASSERT_TRUE(eventually([&] { return tickets(two.reader().batches()).size() >= all; }));
  EXPECT_EQ(tickets(one.reader().batches()), tickets(two.reader().batches()));
  expect_each_once(tickets(one.reader().batches()), 1'000'000, end_one);
  expect_each_once(tickets(one.reader().batches()), 2'000'000, end_two);
  EXPECT_TRUE(one.ends().empty());
  EXPECT_TRUE(one.lost().empty());
}

TEST(LogFaults, AnswerThatGotLostIsFoundToHaveBeenASuccess) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  TestProxy proxy(etcd.port());
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .lease_ms = 20'000, .endpoints = {proxy.endpoint()}});
  TestNode two(etcd, keys, {.id = "two"});
  one.start();
  two.start();
  one.log().append(numbered_batch(0, 0));
  ASSERT_TRUE(one.wait_for_batches(1));
  for (uint64_t ticket = 1; ticket <= 2; ++ticket) {
    proxy.lose_answers(true);
    one.log().append(numbered_batch(0, ticket));
    const auto seen_by = [](TestNode& node) { return tickets(node.reader().batches()).size(); };
    ASSERT_TRUE(eventually([&] { return seen_by(two) == 2 * ticket; })) << "it was done";
    one.log().append(numbered_batch(0, ticket + 10));  // waits behind it
    proxy.cut();
    proxy.lose_answers(false);
    ASSERT_TRUE(eventually([&] { return seen_by(two) == 2 * ticket + 1 && seen_by(one) == 2 * ticket + 1; }));
  }
  EXPECT_EQ(tickets(one.reader().batches()), (std::vector<uint64_t>{0, 1, 11, 2, 12}));
  EXPECT_EQ(tickets(two.reader().batches()), tickets(one.reader().batches()));
  EXPECT_TRUE(one.ends().empty());
}

TEST(LogFaults, WatchThatWasCompactedAwayIsFilledByRanges) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  TestProxy proxy(etcd.port());
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .lease_ms = 20'000, .endpoints = {proxy.endpoint()}});
  TestNode two(etcd, keys, {.id = "two"});
  one.start();
  two.start();
  two.log().append(numbered_batch(0, 0));
  ASSERT_TRUE(one.wait_for_batches(1));
  proxy.hold(true);
  for (uint64_t ticket = 1; ticket <= 20; ++ticket) {
    two.log().append(numbered_batch(0, ticket));
    ASSERT_TRUE(two.wait_for_batches(ticket + 1));
  }
  ASSERT_EQ(etcd.control("compact " + std::to_string(revision_of(two.client()))), 0);
  proxy.cut();
  proxy.hold(false);
  ASSERT_TRUE(one.wait_for_batches(21));
  two.log().append(numbered_batch(0, 21));
  one.log().append(numbered_batch(0, 22));
  ASSERT_TRUE(eventually([&] { return tickets(one.reader().batches()).size() == 23; }));
  ASSERT_TRUE(eventually([&] { return tickets(two.reader().batches()).size() == 23; }));
  EXPECT_EQ(tickets(one.reader().batches()), tickets(two.reader().batches()));
  EXPECT_TRUE(one.ends().empty());
}

TEST(LogFaults, AllServersKilledAndStartedAgain) {
  TestEtcd etcd(3);
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .lease_ms = 5000});
  one.start();
  one.log().append(numbered_batch(0, 0));
  ASSERT_TRUE(one.wait_for_batches(1));
  etcd.kill_all();
  ASSERT_TRUE(eventually([&] { return !one.log().state().accepting; }));
  EXPECT_NE(one.log().state().reason.find("does not answer"), std::string::npos) << one.log().state().reason;
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(eventually([&] { return !one.reader().states().empty(); }));
  etcd.start_all();
  const MonoNs started_at = boot_ns();
  ASSERT_TRUE(one.wait_for_batches(2, 30)) << "what was taken is not given up";
  RecordProperty("recovery_ms", static_cast<int>((boot_ns() - started_at) / kNsPerMs));
  ASSERT_TRUE(eventually([&] { return one.log().state().accepting; }));
  ASSERT_TRUE(eventually([&] { return one.reader().states().back().accepting; }));
  EXPECT_EQ(tickets(one.reader().batches()), (std::vector<uint64_t>{0, 1}));
  EXPECT_TRUE(one.lost().empty());
  etcd.kill_all();
  ASSERT_TRUE(eventually([&] { return !one.log().state().accepting; }));
  one.log().append(numbered_batch(0, 2));
  one.log().stop();  // gives up what waits, and does not wait itself
  EXPECT_EQ(one.reader().count(), 2u);
}

size_t pieces(Client& client, const Keys& keys) {
  const Result<Listing> listing = list_log(client, keys, 5000);
  EXPECT_TRUE(listing);
  size_t count = 0;
  for (const auto& [epoch, places] : listing->epochs) count += places.size();
  return count;
}

TEST(LogFaults, TruncationSparesWhatIsStillNeeded) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  auto away = std::make_unique<TestNode>(etcd, keys, TestNode::Options{.id = "away"});
  TestNode one(etcd, keys, {.id = "one", .truncation = {.every_ms = 50, .absent_ms = 2500}});
  TestNode two(etcd, keys, {.id = "two"});
  away->start();
  one.start();
  two.start();
  const auto append = [&](uint64_t from, uint64_t to) {
    for (uint64_t ticket = from; ticket < to; ++ticket) {
      one.log().append(numbered_batch(0, ticket));
      ASSERT_TRUE(one.wait_for_batches(ticket + 1));
    }
    ASSERT_TRUE(two.wait_for_batches(to));
  };
  two.log().append(numbered_batch(0, 0));
  ASSERT_TRUE(one.wait_for_batches(1));
  append(1, 20);
  ASSERT_TRUE(away->wait_for_batches(20));
  const store::CommittedBatch seen_by_away = away->reader().batches().back();
  one.log().checkpointed(Position(20));
  two.log().checkpointed(Position(20));
  EXPECT_EQ(pieces(one.client(), keys), 20u) << "one node has not stored anything";
  away->log().checkpointed(Position(10));
  ASSERT_TRUE(eventually([&] { return pieces(one.client(), keys) == 12; }))
      << "ten behind it, and the newest of each run in front";
  away->leave();
  append(20, 30);
  one.log().checkpointed(Position(30));
  two.log().checkpointed(Position(30));
  // Away for too long, at last: what is left are the newest pieces of the two that live.
  ASSERT_TRUE(eventually([&] { return pieces(one.client(), keys) == 2; }));

  // Both go on: a run's next transaction compares with the piece that was spared.
  two.log().append(numbered_batch(0, 30));
  ASSERT_TRUE(one.wait_for_batches(31));
  append(31, 33);
  EXPECT_TRUE(two.ends().empty());
  // Who was away too long is told so, and not given a log with a gap.
  TestNode again(etcd, keys, {.id = "away", .position = Position(20), .cursor = seen_by_away.cursor});
  ASSERT_TRUE(again.refusal().has_value());
  EXPECT_EQ(again.refusal()->code, make_error_code(errc::snapshot_needed)) << again.refusal()->message;
  TestNode fresh(etcd, keys, {.id = "fresh"});
  ASSERT_TRUE(fresh.refusal().has_value());
  EXPECT_EQ(fresh.refusal()->code, make_error_code(errc::snapshot_needed));
  // With another node's copy it comes in.
  const store::CommittedBatch last = one.reader().batches().back();
  TestNode copied(etcd, keys, {.id = "copied", .position = last.first, .cursor = last.cursor});
  ASSERT_FALSE(copied.refusal().has_value()) << copied.refusal()->message;
  copied.start();
  one.log().append(numbered_batch(0, 33));
  ASSERT_TRUE(copied.wait_for_batches(1));
  EXPECT_EQ(copied.reader().batches()[0].first, Position(34));
}

TEST(LogFaults, TruncationWaitsForANodeThatIsBeingGivenAState) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  // Who says nothing is not waited for at all.
  TestNode one(etcd, keys, {.id = "one", .truncation = {.every_ms = 50, .absent_ms = 0}});
  one.start();
  for (uint64_t ticket = 0; ticket < 10; ++ticket) {
    one.log().append(numbered_batch(0, ticket));
    ASSERT_TRUE(one.wait_for_batches(ticket + 1));
  }
  TestNode newcomer(etcd, keys, {.id = "third"});  // is a member, and does not read yet
  const auto batches = one.reader().batches();
  const auto hold = [&](size_t batch) {
    return hold_log(newcomer.client(), keys, newcomer.membership(), batches[batch].cursor, 15'000);
  };
  ASSERT_TRUE(hold(4));
  one.log().checkpointed(Position(10));
  ASSERT_TRUE(eventually([&] { return pieces(one.client(), keys) == 6; }))
      << "what comes after, and one more";
  ASSERT_TRUE(hold(7));
  ASSERT_TRUE(eventually([&] { return pieces(one.client(), keys) == 3; }));
  const Result<void> gone = hold(2);
  ASSERT_FALSE(gone) << "the log does not reach back to there";
  EXPECT_EQ(gone.error().code, make_error_code(errc::snapshot_needed));
  newcomer.membership().leave();
  const Result<void> late = hold(7);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, make_error_code(errc::fenced));
}

TEST(LogFaults, LastPieceOfARunThatIsOverGoesWithAMark) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  uint64_t old_cursor = 0;
  {
    TestNode old(etcd, keys, {.id = "one"});
    old.start();
    old.log().append(numbered_batch(0, 0));
    old.log().append(numbered_batch(0, 1));
    ASSERT_TRUE(old.wait_for_batches(2));
    old_cursor = old.reader().batches()[0].cursor;
    old.log().checkpointed(Position(2));
    old.leave();
  }
  TestNode one(etcd, keys, {.id = "one", .truncation = {.every_ms = 50}});
  one.start();
  one.log().append(numbered_batch(0, 2));
  ASSERT_TRUE(eventually([&] { return tickets(one.reader().batches()).size() == 3; }));
  one.log().checkpointed(Position(3));
  ASSERT_TRUE(eventually([&] { return pieces(one.client(), keys) == 1; }));
  TestNode late(etcd, keys, {.id = "late", .position = Position(1), .cursor = old_cursor - 1});
  ASSERT_TRUE(late.refusal().has_value()) << "the mark tells that something is gone without a trace";
  EXPECT_EQ(late.refusal()->code, make_error_code(errc::snapshot_needed));
}

TEST(LogFaults, SpaceUsedUpStopsPromisesUntilTheOperatorMadeRoom) {
  TestEtcd etcd(1, {"--quota-backend-bytes", "4194304"});
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .lease_ms = 10'000});
  one.start();
  uint64_t ticket = 0;
  const auto append = [&] {
    record::Publish publish;
    publish.message = store::message_of(std::string(200'000, 'x'));
    one.log().append(store::batch_of({publish}, 0, ticket++));
  };
  while (one.log().state().accepting && ticket < 100) {
    const size_t before = one.reader().count();
    append();
    ASSERT_TRUE(eventually([&] { return one.reader().count() > before || !one.log().state().accepting; }));
  }
  ASSERT_FALSE(one.log().state().accepting);
  EXPECT_NE(one.log().state().reason.find("NOSPACE"), std::string::npos) << one.log().state().reason;
  const size_t back = one.reader().count();
  EXPECT_EQ(back, ticket - 1) << "what was refused has not come back, and is kept";
  EXPECT_TRUE(one.ends().empty());
  EXPECT_TRUE(one.membership().holds()) << "leases live on";

  // Without space the log can still be shortened.
  const size_t before = pieces(one.client(), keys);
  api::DeleteRangeRequest request;
  request.set_key(keys.log({one.membership().epoch(), 0}));
  request.set_range_end(keys.log({one.membership().epoch(), before - 1}));
  const auto deleted = one.client().wait<api::DeleteRangeResponse>(
      [&](auto then) { one.client().delete_range(request, std::move(then)); });
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(static_cast<size_t>(deleted->deleted()), before - 1);
  // What the runbook says.
  ASSERT_EQ(etcd.control("compact " + std::to_string(revision_of(one.client()))), 0);
  ASSERT_EQ(etcd.control("defrag"), 0);
  ASSERT_EQ(etcd.control("alarm disarm"), 0);
  ASSERT_TRUE(one.wait_for_batches(back + 1, 20));
  ASSERT_TRUE(eventually([&] { return one.log().state().accepting; }));
}

TEST(LogFaults, SoftLimitOfTheQuotaStopsPromisesEarlier) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one", .quota_bytes = 20'000});
  one.start();
  one.log().append(numbered_batch(0, 0));
  ASSERT_TRUE(eventually([&] { return !one.log().state().accepting; }));
  EXPECT_NE(one.log().state().reason.find("70%"), std::string::npos) << one.log().state().reason;
  ASSERT_TRUE(one.wait_for_batches(1)) << "what was taken is written all the same";
}

TEST(LogFaults, LogThatIsReadSlowlyIsNotReadAheadWithoutEnd) {
  TestEtcd etcd;
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  TestNode one(etcd, keys, {.id = "one"}), slow(etcd, keys, {.id = "slow"});
  one.start();
  std::atomic<bool> go{false};
  slow.reader().then([&] {
    while (!go) std::this_thread::yield();
  });
  slow.start();
  record::Publish publish;
  publish.message = store::message_of(std::string(1'000'000, 'x'));
  for (uint64_t ticket = 0; ticket < 40; ++ticket) one.log().append(store::batch_of({publish}, 0, ticket));
  ASSERT_TRUE(one.wait_for_batches(40, 30));
  EXPECT_LT(slow.reader().count(), 20u);  // what the first call brought
  go = true;
  ASSERT_TRUE(slow.wait_for_batches(40, 30));
}

}  // namespace
}  // namespace courier::cluster::etcd
