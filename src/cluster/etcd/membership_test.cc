#include "cluster/etcd/membership.h"

#include <gtest/gtest.h>

#include "cluster/etcd/etcd_test_server.h"

namespace courier::cluster::etcd {
namespace {

constexpr int64_t kLease = 2000;

class Listener : public MembershipListener {
 public:
  void on_members(const std::vector<Member>& members, uint64_t revision) override {
    const std::lock_guard lock(mutex_);
    members_ = members;
    revision_ = revision;
  }
  void on_lost(const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    lost_.push_back(reason);
  }
  std::vector<std::string> ids() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (const Member& member : members_) ids.push_back(member.id);
    return ids;
  }
  std::vector<Member> members() const {
    const std::lock_guard lock(mutex_);
    return members_;
  }
  uint64_t revision() const {
    const std::lock_guard lock(mutex_);
    return revision_;
  }
  std::vector<std::string> lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Member> members_;
  uint64_t revision_ = 0;
  std::vector<std::string> lost_;
};

struct MembershipTest : ::testing::Test {
  static void SetUpTestSuite() {
    etcd = new TestEtcd;
    (void)etcd->ready_client();
  }
  static void TearDownTestSuite() { delete std::exchange(etcd, nullptr); }

  std::unique_ptr<Membership> join(Client& client, const std::string& id, Listener& listener) {
    Result<std::unique_ptr<Membership>> joined =
        Membership::join(client, keys, {id, id + ":1", id + ":2", id + ":3"}, kLease, 10'000, listener);
    EXPECT_TRUE(joined) << joined.error().message;
    return joined ? std::move(*joined) : nullptr;
  }
  using Ids = std::vector<std::string>;

  static TestEtcd* etcd;
  const Keys keys = test_keys();
  std::unique_ptr<Client> client = etcd->client();
  std::unique_ptr<Client> other = etcd->client();
};
TestEtcd* MembershipTest::etcd = nullptr;

TEST_F(MembershipTest, EverybodySeesEverybodyComeChangeAndLeave) {
  Listener one, two;
  const auto first = join(*client, "b", one);
  ASSERT_TRUE(eventually([&] { return one.ids() == Ids{"b"}; }));
  const auto second = join(*other, "a", two);
  ASSERT_TRUE(eventually([&] { return one.ids() == Ids{"a", "b"} && two.ids() == Ids{"a", "b"}; }));
  EXPECT_LT(first->epoch(), second->epoch());
  EXPECT_EQ(one.members()[0], (Member{"a", second->epoch(), "a:1", "a:2", "a:3", MemberState::active}));
  second->set_state(MemberState::draining);
  ASSERT_TRUE(eventually([&] { return one.members()[0].state == MemberState::draining; }));
  EXPECT_EQ(one.members()[0].epoch, second->epoch()) << "a state is no new run";
  EXPECT_EQ(first->members(), one.members());
  second->leave();
  ASSERT_TRUE(eventually([&] { return one.ids() == Ids{"b"}; }));
  EXPECT_FALSE(second->holds());
  EXPECT_TRUE(first->holds());
  EXPECT_TRUE(two.lost().empty()) << "who leaves is not lost";
  second->set_state(MemberState::active);  // of no use any more
  first->leave();
}

TEST_F(MembershipTest, AStateIsPutAgainWhenAnEarlierOneComesLate) {
  Listener one;
  const auto first = join(*client, "a", one);
  const auto is = [&](MemberState state) {
    return eventually([&] { return one.ids() == Ids{"a"} && one.members()[0].state == state; });
  };
  ASSERT_TRUE(is(MemberState::active));
  const auto read = other->insist<api::RangeResponse>(10'000, [&](auto then) {
    api::RangeRequest request;
    request.set_key(keys.node("a"));
    other->range(request, std::move(then));
  });
  ASSERT_TRUE(read);
  first->set_state(MemberState::draining);
  ASSERT_TRUE(is(MemberState::draining));
  const auto late = other->insist<api::TxnResponse>(10'000, [&](auto then) {
    api::TxnRequest request;
    api::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(keys.node("a"));
    put.set_value(read->kvs(0).value());
    put.set_lease(read->kvs(0).lease());
    other->txn(request, std::move(then));
  });
  ASSERT_TRUE(late);
  const auto written = static_cast<uint64_t>(late->header().revision());
  ASSERT_TRUE(eventually([&] { return one.revision() > written; })) << "it was put once more";
  ASSERT_TRUE(is(MemberState::draining));
  first->leave();
}

TEST_F(MembershipTest, SecondProcessWithTheSameIdIsRefusedWhileTheFirstLives) {
  Listener one, two;
  const auto first = join(*client, "a", one);
  const MonoNs began = boot_ns();
  const auto second = Membership::join(*other, keys, {"a", "x:1", "x:2"}, kLease, 20'000, two);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, make_error_code(errc::node_id_taken));
  EXPECT_NE(second.error().message.find("alive"), std::string::npos) << second.error().message;
  EXPECT_LT(boot_ns() - began, 10 * kNsPerSecond) << "it does not wait in vain for as long as it may";
  EXPECT_TRUE(first->holds());
  EXPECT_TRUE(one.lost().empty());
  first->leave();
}

TEST_F(MembershipTest, NextRunWaitsForTheLeaseOfOneThatDied) {
  Listener one, two;
  auto first = join(*client, "a", one);
  const NodeEpoch before = first->epoch();
  first.reset();  // as a crash: nobody keeps the lease alive
  const auto hasty = Membership::join(*other, keys, {"a", "x:1", "x:2"}, kLease, 0, two);
  ASSERT_FALSE(hasty);
  EXPECT_EQ(hasty.error().code, make_error_code(errc::node_id_taken));
  const auto second = join(*other, "a", two);
  ASSERT_TRUE(second);
  EXPECT_GT(second->epoch(), before);
  second->leave();
}

TEST_F(MembershipTest, LeaseThatIsNotKeptAliveIsLostOnce) {
  Listener one, two;
  const auto first = join(*client, "a", one);
  const auto second = join(*other, "b", two);
  ASSERT_TRUE(eventually([&] { return two.ids() == Ids{"a", "b"}; }));
  first->lose_keep_alives(true);
  ASSERT_TRUE(eventually([&] { return !first->holds(); }));
  EXPECT_EQ(one.lost().size(), 0u) << "its own deadline comes before etcd's";
  ASSERT_TRUE(eventually([&] { return !one.lost().empty(); }));
  EXPECT_NE(one.lost()[0].find("not in the cluster any more"), std::string::npos) << one.lost()[0];
  ASSERT_TRUE(eventually([&] { return two.ids() == Ids{"b"}; }));
  first->lose_keep_alives(false);
  EXPECT_FALSE(first->holds());
  EXPECT_EQ(one.lost().size(), 1u);
  second->leave();
}

TEST_F(MembershipTest, KeyThatSomebodyDeletedIsALostLease) {
  Listener one;
  const auto first = join(*client, "a", one);
  ASSERT_TRUE(eventually([&] { return one.ids() == Ids{"a"}; }));
  ASSERT_EQ(etcd->control("del " + keys.node("a")), 0);
  ASSERT_TRUE(eventually([&] { return one.lost().size() == 1; }));
  EXPECT_FALSE(first->holds());
}

TEST_F(MembershipTest, WhatCannotBeIsRefused) {
  Listener one;
  for (const Membership::Self& self :
       {Membership::Self{"", "a:1", "a:2"}, Membership::Self{"a/b", "a:1", "a:2"},
        Membership::Self{"a", "a\n:1", "a:2"}, Membership::Self{"a", "a:1", "a:2", "a\n:3"},
        Membership::Self{"a", "a:1", "a:2", std::string("a\0:3", 4)},
        Membership::Self{"a", "a:1", "a\x1b:2", "a:3"}, Membership::Self{"a", "a\x7f:1", "a:2", "a:3"},
        Membership::Self{"a", "a:1", "a:2", "a\xff:3"}}) {
    const auto joined = Membership::join(*client, keys, self, kLease, 0, one);
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code, make_error_code(errc::bad_options)) << joined.error().message;
  }
  EXPECT_FALSE(Membership::join(*client, keys, {"a", "a:1", "a:2"}, 10, 0, one));
}

TEST(MembershipFaults, PausedEtcdEndsTheDeadlineButNotTheMembership) {
  TestEtcd etcd;
  const auto client = etcd.ready_client();
  Listener one;
  const Keys keys = test_keys();
  auto joined = Membership::join(*client, keys, {"a", "a:1", "a:2"}, kLease, 10'000, one);
  ASSERT_TRUE(joined) << joined.error().message;
  etcd.pause(0);
  ASSERT_TRUE(eventually([&] { return !(*joined)->holds(); }));
  EXPECT_TRUE(one.lost().empty()) << "nobody has said that it is lost";
  etcd.go_on(0);
  // It may have ended meanwhile; then that is said.
  ASSERT_TRUE(eventually([&] { return (*joined)->holds() || !one.lost().empty(); }));
}

}  // namespace
}  // namespace courier::cluster::etcd
