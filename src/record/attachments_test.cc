#include "record/attachments.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace courier::record {
namespace {

constexpr NodeEpoch kOne(11), kTwo(12);

class AttachmentsTest : public testing::Test {
 protected:
  static Attach connect(const char* client_id) {
    Attach record;
    record.client_id = client_id;
    record.seen = Position();
    return record;
  }
  static Attach again(const char* client_id, const SessionRef& known, bool ends = false) {
    Attach record = connect(client_id);
    record.before = known.session;
    record.seen = known.attach;
    record.ends = ends;
    return record;
  }
  static SessionRef created(const char* client_id, uint64_t position) {
    return {session_created_at(Position(position), session_hash("", client_id)), Position(position)};
  }
  static Detach gone(const SessionRef& of, bool ends = false, bool drops_will = false) {
    return {of, ends, drops_will, 60, 0};
  }
  uint16_t partition(const SessionRef& of) const { return attachments_.partition_of(of.session); }
  void own(const SessionRef& of, NodeEpoch node) {
    const uint16_t mine[] = {partition(of)};
    attachments_.own(mine, node);
  }

  Attachments attachments_{{8, 4711}};
};

TEST_F(AttachmentsTest, OfTwoThatConnectAtOnceOnTwoNodesTheFirstInTheLogIsIt) {
  EXPECT_TRUE(attachments_.attach(connect("phone"), Position(5), kOne));
  EXPECT_FALSE(attachments_.attach(connect("phone"), Position(6), kTwo));
  EXPECT_TRUE(attachments_.attach(connect("other"), Position(7), kTwo));
  const SessionRef phone = created("phone", 5);
  EXPECT_TRUE(attachments_.may(phone, kOne));
  EXPECT_FALSE(attachments_.may(phone, kTwo));
  EXPECT_EQ(attachments_.size(), 2u);
}

TEST_F(AttachmentsTest, WhoTakesASessionOverMustHaveSeenItsLatestAttach) {
  ASSERT_TRUE(attachments_.attach(connect("phone"), Position(5), kOne));
  SessionRef phone = created("phone", 5);
  ASSERT_TRUE(attachments_.attach(again("phone", phone), Position(9), kTwo));
  EXPECT_FALSE(attachments_.attach(again("phone", phone), Position(10), kOne)) << "it saw an earlier one";
  EXPECT_FALSE(attachments_.may(phone, kOne)) << "what its old connection says is void";
  phone.attach = Position(9);
  EXPECT_TRUE(attachments_.may(phone, kTwo));
  EXPECT_FALSE(attachments_.may(phone, kOne));
}

TEST_F(AttachmentsTest, ACleanStartEndsTheSessionBefore) {
  ASSERT_TRUE(attachments_.attach(connect("phone"), Position(5), kOne));
  const SessionRef old = created("phone", 5);
  ASSERT_TRUE(attachments_.attach(again("phone", old, true), Position(9), kTwo));
  EXPECT_FALSE(attachments_.may(old, kOne));
  EXPECT_TRUE(attachments_.may(created("phone", 9), kTwo));
  EXPECT_FALSE(attachments_.attach(again("phone", old), Position(10), kOne)) << "it is there no more";
  EXPECT_EQ(attachments_.size(), 1u);
}

TEST_F(AttachmentsTest, ASessionConnectedNowhereIsItsOwners) {
  ASSERT_TRUE(attachments_.attach(connect("phone"), Position(5), kOne));
  const SessionRef phone = created("phone", 5);
  own(phone, kTwo);
  EXPECT_TRUE(attachments_.may_settle(phone.session, phone.attach, kOne));
  EXPECT_FALSE(attachments_.may_settle(phone.session, phone.attach, kTwo)) << "it is connected";
  EXPECT_FALSE(attachments_.detach(gone(phone), kTwo)) << "not to that node";
  ASSERT_TRUE(attachments_.detach(gone(phone), kOne));
  EXPECT_FALSE(attachments_.may(phone, kOne));
  EXPECT_FALSE(attachments_.may_settle(phone.session, phone.attach, kOne));
  EXPECT_TRUE(attachments_.may_settle(phone.session, phone.attach, kTwo));
  EXPECT_FALSE(attachments_.may_settle(phone.session, Position(4), kTwo)) << "somebody came and went since";
  own(phone, kOne);
  EXPECT_FALSE(attachments_.detach(gone(phone, true), kTwo)) << "it owned it once";
  EXPECT_TRUE(attachments_.detach(gone(phone, true), kOne));
  EXPECT_FALSE(attachments_.detach(gone(phone, true), kOne)) << "it ends once";
  EXPECT_EQ(attachments_.size(), 0u);
}

TEST_F(AttachmentsTest, AWillIsTakenOnceByWhoeverSaysSoFirst) {
  Attach record = connect("phone");
  record.will.message = mqtt::MessagePtr(mqtt::Message::make("gone", "x"));
  ASSERT_TRUE(attachments_.attach(record, Position(5), kOne));
  SessionRef phone = created("phone", 5);
  EXPECT_FALSE(attachments_.take_will({phone.session, Position(4)}));
  EXPECT_TRUE(attachments_.take_will(phone));
  EXPECT_FALSE(attachments_.take_will(phone));
  record = again("phone", phone);
  record.will.message = mqtt::MessagePtr(mqtt::Message::make("gone", "x"));
  ASSERT_TRUE(attachments_.attach(record, Position(6), kTwo));
  phone.attach = Position(6);
  ASSERT_TRUE(attachments_.detach(gone(phone, false, true), kTwo));
  EXPECT_FALSE(attachments_.take_will(phone)) << "its client took it back";
}

TEST_F(AttachmentsTest, WithANodeGoItsConnectionsAndWhatItOwned) {
  for (uint64_t position = 5; position < 25; ++position) {
    const std::string id = "phone-" + std::to_string(position);
    ASSERT_TRUE(attachments_.attach(connect(id.c_str()), Position(position), position % 2 ? kOne : kTwo));
  }
  const uint16_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
  attachments_.own(all, kOne);
  EXPECT_EQ(attachments_.nodes(), (std::vector{kOne, kTwo}));
  std::vector<SessionId> cut = attachments_.node_down(kOne);
  EXPECT_EQ(cut.size(), 10u);
  for (const SessionId id : cut) EXPECT_EQ(id.value >> 16 & 1, 1u);
  EXPECT_EQ(attachments_.nodes(), std::vector{kTwo});
  EXPECT_TRUE(std::ranges::all_of(attachments_.owners(), [](NodeEpoch owner) { return !owner; }));
  EXPECT_TRUE(attachments_.node_down(kOne).empty());
  EXPECT_FALSE(attachments_.may(created("phone-5", 5), kOne));
  EXPECT_TRUE(attachments_.may(created("phone-6", 6), kTwo));
}

TEST_F(AttachmentsTest, ComesBackFromWhatIsStored) {
  session::Session session;
  session.id = created("phone", 5).session;
  session.client_id = "phone";
  session.attach = Position(5);
  session.connected = true;
  session.node = kOne;
  attachments_.restore(session);
  attachments_.restore(std::vector<NodeEpoch>(8, kTwo));
  EXPECT_TRUE(attachments_.may(created("phone", 5), kOne));
  EXPECT_FALSE(attachments_.attach(connect("phone"), Position(6), kTwo)) << "there is one of that name";
  EXPECT_EQ(attachments_.owner(3), kTwo);
  EXPECT_EQ(attachments_.node_down(kOne).size(), 1u);
}

}  // namespace
}  // namespace courier::record
