#include "cluster/etcd/etcd_log.h"

#include <gtest/gtest.h>

#include "cluster/etcd/etcd_test_node.h"

namespace courier::cluster::etcd {
namespace {

using store::numbered_batch;

// What tells the same log: positions, and the records' tickets.
std::vector<std::pair<uint64_t, uint64_t>> placed(const std::vector<store::CommittedBatch>& batches) {
  std::vector<std::pair<uint64_t, uint64_t>> list;
  for (const store::CommittedBatch& batch : batches) {
    uint64_t position = batch.first.value;
    for (const record::Record& record : batch.records) {
      const auto* released = std::get_if<record::Released>(&record);
      list.emplace_back(position++, released == nullptr ? 0 : released->by.session.value);
    }
  }
  return list;
}

struct EtcdLogTest : ::testing::Test {
  static void SetUpTestSuite() {
    etcd = new TestEtcd;
    (void)etcd->ready_client();
  }
  static void TearDownTestSuite() { delete std::exchange(etcd, nullptr); }

  static TestEtcd* etcd;
  const Keys keys = test_keys();
};
TestEtcd* EtcdLogTest::etcd = nullptr;

TEST_F(EtcdLogTest, EveryNodeSeesEverybodysBatchesAtTheSamePositions) {
  TestNode one(*etcd, keys, {.id = "one"}), two(*etcd, keys, {.id = "two"});
  one.start();
  two.start();
  for (uint64_t ticket = 0; ticket < 50; ++ticket) {
    one.log().append(numbered_batch(1, 1000 + ticket, 1 + ticket % 3));
    two.log().append(numbered_batch(2, 2000 + ticket, 1 + ticket % 2));
  }
  // Others' batches come merged; a record more tells that all have come.
  ASSERT_TRUE(eventually([&] { return placed(one.reader().batches()).size() == 174; }));
  ASSERT_TRUE(eventually([&] { return placed(two.reader().batches()).size() == 174; }));
  EXPECT_EQ(placed(one.reader().batches()), placed(two.reader().batches()));
  uint64_t next = 1, mine = 0, cursor = 0;
  for (const store::CommittedBatch& batch : one.reader().batches()) {
    EXPECT_EQ(batch.first.value, next);
    next += batch.records.size();
    EXPECT_GE(batch.cursor, cursor);
    cursor = batch.cursor;
    if (batch.node == one.membership().epoch()) {
      EXPECT_EQ(batch.origin, 1u);
      EXPECT_EQ(batch.ticket, 1000 + mine++);
    } else {
      EXPECT_EQ(batch.node, two.membership().epoch());
      EXPECT_EQ(batch.origin, store::kNoOrigin);
    }
  }
  EXPECT_EQ(mine, 50u);
}

TEST_F(EtcdLogTest, ReplayGoesOnBehindTheCursorOfTheLastBatchFolded) {
  uint64_t cursor = 0;
  Position position;
  std::vector<std::pair<uint64_t, uint64_t>> all;
  {
    TestNode one(*etcd, keys, {.id = "one"});
    one.start();
    for (uint64_t ticket = 0; ticket < 10; ++ticket) {
      one.log().append(numbered_batch(0, ticket, 2));
      ASSERT_TRUE(one.wait_for_batches(ticket + 1));
    }
    const auto batches = one.reader().batches();
    cursor = batches[4].cursor;
    position = Position(batches[4].first.value + 1);
    all = placed(batches);
    one.leave();
  }
  TestNode again(*etcd, keys, {.id = "one", .position = position, .cursor = cursor});
  again.start();
  EXPECT_EQ(placed(again.reader().batches()), (decltype(all)(all.begin() + 10, all.end())));
  again.log().append(numbered_batch(0, 77));
  ASSERT_TRUE(again.wait_for_batches(6));
  EXPECT_EQ(again.reader().batches().back().first.value, 21u);
  EXPECT_GT(again.reader().batches().back().node, again.reader().batches().front().node);
  again.leave();
}

TEST_F(EtcdLogTest, LongMessageGoesOverSeveralKeysAndComesBackWhole) {
  TestNode one(*etcd, keys, {.id = "one"}), two(*etcd, keys, {.id = "two"});
  one.start();
  two.start();
  std::string payload(1'500'000, 'x');
  for (size_t i = 0; i < payload.size(); i += 97) payload[i] = static_cast<char>('a' + i % 26);
  record::Publish publish;
  publish.message = store::message_of(payload);
  one.log().append(store::batch_of({publish}, 0, 1));
  for (uint64_t ticket = 2; ticket < 5; ++ticket) {
    one.log().append(numbered_batch(0, ticket));
    two.log().append(numbered_batch(0, ticket + 10));
  }
  for (TestNode* node : {&one, &two}) {
    ASSERT_TRUE(eventually([&] { return placed(node->reader().batches()).size() == 7; }));
    bool found = false;
    for (const store::CommittedBatch& batch : node->reader().batches()) {
      if (const auto* back = std::get_if<record::Publish>(&batch.records[0])) {
        found = true;
        EXPECT_EQ(back->message->payload, payload);
      }
    }
    EXPECT_TRUE(found);
  }
  EXPECT_EQ(placed(one.reader().batches()), placed(two.reader().batches()));
  const Result<Listing> listing = list_log(one.client(), keys, 1000);
  ASSERT_TRUE(listing) << listing.error().message;
  EXPECT_GE(listing->epochs.at(one.membership().epoch()).size(), payload.size() / kPieceBytesMax + 1);
}

// A node that was stopped between the pieces of another's batch.
TEST_F(EtcdLogTest, BatchThatWasHalfThereIsPutTogetherByWhoeverComesLater) {
  TestNode writer(*etcd, keys, {.id = "writer"});
  const std::string encoded = [] {
    record::Publish publish;
    publish.message = store::message_of(std::string(100'000, 'x'));
    const store::Batch batch = store::batch_of({publish});
    return record::encode_batch(7, 1, batch.encoded);
  }();
  const std::vector<std::string> values = cut(encoded, 1);
  ASSERT_EQ(values.size(), 2u);
  const auto put = [&](uint64_t seq, const std::string& value) {
    api::TxnRequest request;
    request.add_success()->mutable_request_put()->set_key(keys.log({writer.membership().epoch(), seq}));
    request.mutable_success(0)->mutable_request_put()->set_value(value);
    const auto answer = writer.client().wait<api::TxnResponse>(
        [&](auto then) { writer.client().txn(request, std::move(then)); });
    EXPECT_TRUE(answer);
    return static_cast<uint64_t>(answer->header().revision());
  };
  const uint64_t first = put(0, values[0]);
  TestNode late(*etcd, keys, {.id = "late", .cursor = first});
  late.start();
  TestNode early(*etcd, keys, {.id = "early"});
  early.start();
  put(1, values[1]);
  for (TestNode* node : {&late, &early}) {
    ASSERT_TRUE(node->wait_for_batches(1));
    const store::CommittedBatch batch = node->reader().batches().at(0);
    EXPECT_EQ(batch.first, Position(1));
    EXPECT_EQ(std::get<record::Publish>(batch.records.at(0)).message->payload.size(), 100'000u);
  }
  // And started without a replay.
  TestNode other(*etcd, keys, {.id = "other", .cursor = first});
  other.log().start(other.reader());
  ASSERT_TRUE(other.wait_for_batches(1));
}

TEST_F(EtcdLogTest, ClockNeverGoesBackWhoeverWrites) {
  store::TestClock early, late;
  late.set(early.wall_ms() + 5000);
  TestNode one(*etcd, keys, {.id = "one", .clock = &late}), two(*etcd, keys, {.id = "two", .clock = &early});
  one.start();
  two.start();
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(two.wait_for_batches(1));
  two.log().append(numbered_batch(0, 2));
  for (TestNode* node : {&one, &two}) {
    ASSERT_TRUE(node->wait_for_batches(2));
    EXPECT_EQ(node->reader().batches()[0].clock, late.wall_ms());
    EXPECT_EQ(node->reader().batches()[1].clock, late.wall_ms());
  }
  const store::CommittedBatch last = two.reader().batches()[1];
  one.leave();
  TestNode again(*etcd, keys,
                 {.id = "one",
                  .position = last.first,
                  .cursor = last.cursor,
                  .last_clock = last.clock,
                  .clock = &early});
  again.start();
  again.log().append(numbered_batch(0, 3));
  ASSERT_TRUE(again.wait_for_batches(1));
  EXPECT_EQ(again.reader().batches()[0].clock, late.wall_ms());
}

TEST_F(EtcdLogTest, TwoLogsOfOneRunOneOfThemDies) {
  TestNode one(*etcd, keys, {.id = "one"});
  one.start();
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(one.wait_for_batches(1));
  Result<std::unique_ptr<EtcdLog>> twin = one.try_open_log();
  ASSERT_TRUE(twin) << twin.error().message;
  store::RecordingReader reader;
  (*twin)->start(reader);
  (*twin)->append(numbered_batch(0, 2));
  ASSERT_TRUE(eventually([&] { return one.ends().size() == 1; }));
  EXPECT_EQ(one.ends()[0].code, make_error_code(errc::fenced));
  EXPECT_NE(one.ends()[0].message.find("same run"), std::string::npos) << one.ends()[0].message;
  EXPECT_FALSE((*twin)->state().accepting);
  one.log().append(numbered_batch(0, 3));
  ASSERT_TRUE(one.wait_for_batches(2));
  EXPECT_EQ(one.reader().batches()[1].ticket, 3u);
  EXPECT_TRUE(one.log().state().accepting);
  (*twin)->stop();
  for (const store::CommittedBatch& batch : reader.batches()) EXPECT_EQ(batch.origin, store::kNoOrigin);
}

TEST_F(EtcdLogTest, NothingIsWrittenAfterTheLeaseIsGone) {
  TestNode one(*etcd, keys, {.id = "one"}), two(*etcd, keys, {.id = "two"});
  one.start();
  two.start();
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(two.wait_for_batches(1));
  one.membership().lose_keep_alives(true);
  ASSERT_TRUE(eventually([&] { return !one.lost().empty(); }));
  EXPECT_FALSE(one.log().state().accepting);
  one.log().append(numbered_batch(0, 2));
  ASSERT_TRUE(eventually([&] { return one.ends().size() == 1; }));
  EXPECT_EQ(one.ends()[0].code, make_error_code(errc::fenced));
  two.log().append(numbered_batch(0, 3));
  ASSERT_TRUE(two.wait_for_batches(2));
  EXPECT_EQ(placed(two.reader().batches()), (std::vector<std::pair<uint64_t, uint64_t>>{{1, 1}, {2, 3}}));
  EXPECT_EQ(one.ends().size(), 1u);
}

TEST_F(EtcdLogTest, StateOfAnotherClusterOrOfAnotherEtcdIsRefused) {
  TestNode one(*etcd, keys, {.id = "one"});
  const auto refused = EtcdLog::open(one.client(), keys, one.membership(), {.log_id = "another"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, make_error_code(errc::other_cluster)) << refused.error().message;
  const auto ahead =
      EtcdLog::open(one.client(), keys, one.membership(),
                    {.log_id = one.meta().id, .position = Position(9), .cursor = 1'000'000'000});
  ASSERT_FALSE(ahead);
  EXPECT_EQ(ahead.error().code, make_error_code(errc::behind)) << ahead.error().message;
  const auto there = EtcdLog::open(one.client(), keys, one.membership(), {.log_id = one.meta().id});
  ASSERT_TRUE(there) << there.error().message;
  const Result<void> beyond =
      (*there)->replay(Position(5), [](store::CommittedBatch&&) -> Result<void> { return {}; });
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, make_error_code(errc::behind)) << beyond.error().message;
}

TEST_F(EtcdLogTest, OfAClusterThatBeganWithAStateGoesOnBehindIt) {
  const auto client = etcd->client();
  const uint64_t revision = find_cluster(*client, keys, 10'000)->revision;
  ASSERT_TRUE(begin_with_state(*client, keys, {random_id(), 16, 1, Position(4711)}, revision, 10'000));
  const TestNode empty(*etcd, keys, {.id = "empty"});
  ASSERT_TRUE(empty.refusal().has_value());
  EXPECT_EQ(empty.refusal()->code, make_error_code(errc::snapshot_needed)) << empty.refusal()->message;

  const TestNode::Options state{.position = Position(4711), .cursor = revision};
  TestNode first(*etcd, keys, state);
  first.start();
  for (uint64_t ticket = 0; ticket < 3; ++ticket) {
    first.log().append(numbered_batch(0, ticket));
    first.reader().wait_for_batches(ticket + 1);
  }
  EXPECT_EQ(placed(first.reader().batches()),
            (std::vector<std::pair<uint64_t, uint64_t>>{{4712, 0}, {4713, 1}, {4714, 2}}));
  TestNode second(*etcd, keys, {.id = "second", .position = state.position, .cursor = state.cursor});
  second.start();
  EXPECT_EQ(placed(second.reader().batches()), placed(first.reader().batches()));
}

TEST_F(EtcdLogTest, DamagedBatchIsNamedAndNothingBehindItIsRead) {
  TestNode one(*etcd, keys, {.id = "one"});
  one.start();
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(one.wait_for_batches(1));
  api::TxnRequest request;
  request.add_success()->mutable_request_put()->set_key(keys.log({NodeEpoch(1), 0}));
  request.mutable_success(0)->mutable_request_put()->set_value(cut("no batch", 1)[0]);
  ASSERT_TRUE(
      one.client().wait<api::TxnResponse>([&](auto then) { one.client().txn(request, std::move(then)); }));
  ASSERT_TRUE(eventually([&] { return one.ends().size() == 1; }));
  EXPECT_EQ(one.ends()[0].code, make_error_code(errc::damaged));
  EXPECT_NE(one.ends()[0].message.find("position 2"), std::string::npos) << one.ends()[0].message;
  EXPECT_FALSE(one.log().state().accepting);
  const auto other = one.try_open_log();
  ASSERT_TRUE(other) << other.error().message;
  const Result<void> replayed =
      (*other)->replay({}, [](store::CommittedBatch&&) -> Result<void> { return {}; });
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().code, make_error_code(errc::damaged));
}

TEST_F(EtcdLogTest, WhatItDoesIsCounted) {
  Registry metrics;
  TestNode one(*etcd, keys, {.id = "one", .quota_bytes = 1 << 30, .metrics = &metrics});
  one.start();
  one.log().append(numbered_batch(0, 1));
  ASSERT_TRUE(one.wait_for_batches(1));
  EXPECT_TRUE(eventually([&] { return metrics.total("courier_log_append_seconds") == 1; }));
  EXPECT_TRUE(eventually([&] { return metrics.total("courier_etcd_db_bytes") > 0; }));
  EXPECT_EQ(metrics.total("courier_etcd_quota_bytes"), 1 << 30);
  EXPECT_TRUE(eventually([&] { return metrics.total("courier_log_feed_lag_revisions") == 0; }));
}

}  // namespace
}  // namespace courier::cluster::etcd
