#include "record/session_fold.h"

#include <gtest/gtest.h>

namespace courier::record {
namespace {

mqtt::MessagePtr message(std::string_view payload) {
  return mqtt::MessagePtr(mqtt::Message::make("t", payload));
}

class Fold : public ::testing::Test {
 protected:
  Fold() {
    session.id = SessionId(1);
    session.attach = Position(1);
  }
  // A message that came through the shared group 7, under this sequence of the group.
  InboxRef receive_shared(uint64_t group_seq) {
    const auto made = message(std::to_string(group_seq));
    const Position position(10 + group_seq);
    const uint64_t seq = receive(
        session, {position, made, mqtt::Qos::exactly_once, false, false,
                  std::make_unique<session::Entry::Extras>(session::Entry::Extras{{}, {7, group_seq}})});
    return {seq, position, static_cast<uint32_t>(made->cost()), false, routing::GroupId(7), group_seq};
  }
  // What a start finds after a checkpoint: the header only.
  void restart() {
    session.inbox.flush([](uint64_t, const session::Entry&) {});
    session.inbox.take_erased();
    const session::Inbox& old = session.inbox;
    session::Inbox stored;
    stored.restore(old.first(), old.next(), old.count(), old.bytes(), old.steps());
    session.inbox = std::move(stored);
  }

  session::Session session;
};

// The log may hold a record that was written before its writer knew that the group took the message back.
TEST_F(Fold, WhatAGroupTookBackIsNotSettledAgainByAStart) {
  receive_shared(1);
  const InboxRef taken_back = receive_shared(2);
  receive_shared(3);
  ASSERT_TRUE(withdraw(session, {7, 2}));
  restart();
  EXPECT_FALSE(fold(session, Dropped{session.id, {}, DropReason::inbox_full_messages, kAlone, {taken_back}}));
  EXPECT_FALSE(fold(session, Acked{{{session.id, session.attach}, {taken_back}}}));
  EXPECT_FALSE(fold(session, Sent{{{session.id, session.attach}, {taken_back}}}));
  EXPECT_EQ(session.inbox.count(), 2u);
  EXPECT_TRUE(session.inbox.steps().empty());
  EXPECT_TRUE(session.inbox.take_erased().empty()) << "its row would be erased twice";
}

TEST_F(Fold, WhatCameThroughAGroupIsSettledAfterAStart) {
  const InboxRef first = receive_shared(1);
  receive_shared(2);
  restart();
  EXPECT_TRUE(fold(session, Acked{{{session.id, session.attach}, {first}}}));
  EXPECT_FALSE(fold(session, Acked{{{session.id, session.attach}, {first}}}));
  EXPECT_EQ(session.inbox.count(), 1u);
  EXPECT_EQ(session.grouped->size(), 1u);
}

// An ephemeral session's inbox is not changed by records; what it knows of its groups is.
TEST_F(Fold, AnAnswerForgetsWhatCameThroughAGroupThoughTheInboxHasLetGoOfIt) {
  const InboxRef first = receive_shared(1);
  ASSERT_TRUE(session.inbox.finish({first.seq, first.position, first.bytes, first.sole}));
  fold(session, Acked{{{session.id, session.attach}, {first}}});
  EXPECT_TRUE(session.grouped->empty());
}

}  // namespace
}  // namespace courier::record
