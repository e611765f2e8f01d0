// What a simulated etcd and the real one must have in common, for what is found with the first to hold for
// the second: one suite, played on both.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cluster/etcd/etcd_test_node.h"
#include "sim_etcd.h"
#include "store/store_test_contract.h"

namespace courier {
namespace store {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);  // instantiated beside each driver
}
namespace {

using cluster::etcd::eventually;
using cluster::etcd::TestEtcd;
using cluster::etcd::TestNode;
using store::CommittedBatch;
using store::numbered_batch;

constexpr double kPatience = 30;  // seconds

class OnSimulatedEtcd {
 public:
  void add() {
    Node& node = *nodes_.emplace_back(std::make_unique<Node>());
    node.epoch = etcd_.join();
    node.log = std::make_unique<sim::SimLog>(etcd_, node.epoch, node.clock);
    std::vector<CommittedBatch> before = store::replayed(*node.log);
    if (!before.empty()) node.reader.on_committed(before);
    node.log->start(node.reader);
  }
  void append(size_t i, store::Batch batch) {
    nodes_[i]->log->append(std::move(batch));
    nodes_[i]->log->commit(SIZE_MAX);
  }
  bool settle(size_t batches) {
    for (const auto& node : nodes_) {
      if (node->log->dead()) continue;
      while (node->log->feed(1) > 0) {
      }
      if (node->reader.count() != batches) return false;
    }
    return true;
  }
  void end_lease(size_t i) { etcd_.expire(nodes_[i]->epoch); }
  bool is_over(size_t i) { return nodes_[i]->log->dead(); }
  NodeEpoch epoch(size_t i) { return nodes_[i]->epoch; }
  store::TestClock& clock(size_t i) { return nodes_[i]->clock; }
  std::vector<CommittedBatch> seen(size_t i) { return nodes_[i]->reader.batches(); }

 private:
  struct Node {
    store::TestClock clock;
    store::RecordingReader reader;
    NodeEpoch epoch;
    std::unique_ptr<sim::SimLog> log;
  };
  sim::SimEtcd etcd_{record::Partitioning{16, 1}};
  std::vector<std::unique_ptr<Node>> nodes_;
};

class OnEtcd {
 public:
  void add() {
    clocks_.push_back(std::make_unique<store::TestClock>());
    nodes_.push_back(std::make_unique<TestNode>(
        TestEtcd::shared(), keys_,
        TestNode::Options{.id = std::string(1, static_cast<char>('a' + nodes_.size())),
                          .truncation = {.every_ms = 1'000'000},
                          .clock = clocks_.back().get()}));
    nodes_.back()->start();
  }
  void append(size_t i, store::Batch batch) {
    const size_t before = nodes_[i]->reader().count();
    nodes_[i]->log().append(std::move(batch));
    // One after the other, so that the test knows the order.
    eventually([&] { return nodes_[i]->reader().count() > before || is_over(i); }, kPatience);
  }
  bool settle(size_t batches) {
    return std::ranges::all_of(nodes_, [&](const auto& node) {
      return !node->ends().empty() ||
             (node->wait_for_batches(batches, kPatience) && node->reader().count() == batches);
    });
  }
  void end_lease(size_t i) {
    nodes_[i]->membership().lose_keep_alives(true);
    const NodeEpoch gone = epoch(i);
    const auto& other = nodes_[i == 0 ? 1 : 0];
    EXPECT_TRUE(eventually(
        [&] {
          return std::ranges::none_of(other->membership().members(),
                                      [&](const cluster::Member& each) { return each.epoch == gone; });
        },
        kPatience));
  }
  bool is_over(size_t i) { return !nodes_[i]->ends().empty(); }
  NodeEpoch epoch(size_t i) { return nodes_[i]->membership().epoch(); }
  store::TestClock& clock(size_t i) { return *clocks_[i]; }
  std::vector<CommittedBatch> seen(size_t i) { return nodes_[i]->reader().batches(); }

 private:
  const cluster::etcd::Keys keys_ = cluster::etcd::test_keys();
  std::vector<std::unique_ptr<store::TestClock>> clocks_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

template <typename Harness>
class ClusterLog : public ::testing::Test {
 protected:
  Harness h;
};
using Harnesses = ::testing::Types<OnSimulatedEtcd, OnEtcd>;
TYPED_TEST_SUITE(ClusterLog, Harnesses);

void expect_the_same(const std::vector<CommittedBatch>& one, const std::vector<CommittedBatch>& other) {
  ASSERT_EQ(one.size(), other.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].first, other[i].first);
    EXPECT_EQ(one[i].clock, other[i].clock);
    EXPECT_EQ(one[i].node, other[i].node);
    EXPECT_TRUE(store::same(one[i].records, other[i].records));
  }
}

TYPED_TEST(ClusterLog, EveryNodeSeesOneOrderAndTheSamePositions) {
  auto& h = this->h;
  for (int i = 0; i < 3; ++i) h.add();
  for (uint64_t i = 0; i < 12; ++i) h.append(i % 3, numbered_batch(0, i + 1, 1 + i % 4));
  ASSERT_TRUE(h.settle(12));
  const auto first = h.seen(0);
  uint64_t position = 1;
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].first.value, position);
    EXPECT_EQ(first[i].node, h.epoch(i % 3));
    ASSERT_EQ(first[i].records.size(), 1 + i % 4);
    position += first[i].records.size();
  }
  expect_the_same(first, h.seen(1));
  expect_the_same(first, h.seen(2));
}

TYPED_TEST(ClusterLog, OnlyItsAppenderIsToldOriginAndTicket) {
  auto& h = this->h;
  h.add();
  h.add();
  h.append(0, numbered_batch(3, 77));
  ASSERT_TRUE(h.settle(1));
  EXPECT_EQ(h.seen(0)[0].origin, 3u);
  EXPECT_EQ(h.seen(0)[0].ticket, 77u);
  EXPECT_EQ(h.seen(1)[0].origin, store::kNoOrigin);
}

TYPED_TEST(ClusterLog, ANodeThatComesLaterReadsAllThatWas) {
  auto& h = this->h;
  h.add();
  for (uint64_t i = 0; i < 5; ++i) h.append(0, numbered_batch(0, i + 1, 2));
  h.add();
  h.append(1, numbered_batch(0, 6));
  ASSERT_TRUE(h.settle(6));
  expect_the_same(h.seen(0), h.seen(1));
  EXPECT_LT(h.epoch(0), h.epoch(1)) << "a later run has a greater epoch";
}

TYPED_TEST(ClusterLog, ClocksNeverGoBackHoweverTheyDiffer) {
  auto& h = this->h;
  h.add();
  h.add();
  h.clock(0).set(5'000'000);
  h.clock(1).set(1'000'000);
  h.append(0, numbered_batch(0, 1));
  ASSERT_TRUE(h.settle(1));
  h.append(1, numbered_batch(0, 2));
  ASSERT_TRUE(h.settle(2));
  h.clock(1).set(6'000'000);
  h.append(1, numbered_batch(0, 3));
  ASSERT_TRUE(h.settle(3));
  EXPECT_EQ(h.seen(0)[0].clock, 5'000'000);
  EXPECT_EQ(h.seen(0)[1].clock, 5'000'000);
  EXPECT_EQ(h.seen(0)[2].clock, 6'000'000);
}

TYPED_TEST(ClusterLog, NothingIsTakenOfANodeWhoseLeaseIsGone) {
  auto& h = this->h;
  h.add();
  h.add();
  h.append(1, numbered_batch(0, 1));
  ASSERT_TRUE(h.settle(1));
  h.end_lease(1);
  h.append(1, numbered_batch(0, 2));
  EXPECT_TRUE(h.is_over(1));
  h.append(0, numbered_batch(0, 3));
  ASSERT_TRUE(h.settle(2));
  EXPECT_TRUE(store::same(h.seen(0)[1].records, numbered_batch(0, 3).records));
  EXPECT_EQ(h.seen(1).size(), 1u) << "what was refused never comes back";
}

}  // namespace
}  // namespace courier
