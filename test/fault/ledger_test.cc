#include "ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::fault {
namespace {

using mqtt::Qos;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LedgerOfTwo : public testing::Test {
 protected:
  LedgerOfTwo() { ledger.entitle(receiver, "c/#"); }
  void deliver(Ledger::MessageId id, const char* topic) {
    ledger.delivered(receiver, topic, Ledger::payload(id, 40));
  }
  Ledger::MessageId publish(Ledger::TopicIndex topic) {
    const auto id = ledger.sent(topic);
    ledger.accepted(id);
    return id;
  }

  Ledger ledger;
  const Ledger::ReceiverIndex receiver = ledger.add(Receiver{"phone", Qos::exactly_once, true});
  const Ledger::TopicIndex one = ledger.add(Topic{"c/1", Qos::at_least_once, false, true});
  const Ledger::TopicIndex two = ledger.add(Topic{"c/2", Qos::exactly_once, false, true});
  const Ledger::TopicIndex kept = ledger.add(Topic{"r/1", Qos::at_least_once, true, true});
};

TEST_F(LedgerOfTwo, WhatWasAcceptedIsOwedUntilItArrives) {
  const auto id = ledger.sent(one);
  EXPECT_EQ(ledger.owed(), 0u);
  ledger.accepted(id);
  EXPECT_EQ(ledger.owed(), 1u);
  deliver(id, "c/1");
  EXPECT_EQ(ledger.owed(), 0u);
  ledger.judge_owed();
  EXPECT_THAT(ledger.faults(), IsEmpty());
}

TEST_F(LedgerOfTwo, WhatNeverArrivesIsAFault) {
  publish(one);
  ledger.judge_owed();
  EXPECT_THAT(ledger.faults(), ElementsAre(HasSubstr("phone never got message 1")));
  EXPECT_THAT(ledger.reconciliation(), HasSubstr("phone"));
}

TEST_F(LedgerOfTwo, ADeliveryBeforeTheAcknowledgementCounts) {
  const auto id = ledger.sent(one);
  deliver(id, "c/1");
  ledger.accepted(id);
  EXPECT_EQ(ledger.owed(), 0u);
}

TEST_F(LedgerOfTwo, RefusedAndUnsureMessagesAreNotOwed) {
  ledger.refused(ledger.sent(one));
  ledger.unsure(ledger.sent(two));
  EXPECT_EQ(ledger.owed(), 0u);
}

TEST_F(LedgerOfTwo, ASubscriptionThatWasWithdrawnMeanwhileOwesNothing) {
  const auto id = ledger.sent(one);
  ledger.withdraw(receiver, "c/#");
  ledger.entitle(receiver, "c/#");
  ledger.accepted(id);
  EXPECT_EQ(ledger.owed(), 0u);
}

TEST_F(LedgerOfTwo, Qos1MayComeTwiceAndQos2MayNot) {
  const auto first = publish(one), second = publish(two);
  deliver(first, "c/1");
  deliver(first, "c/1");
  deliver(second, "c/2");
  EXPECT_THAT(ledger.faults(), IsEmpty());
  deliver(second, "c/2");
  EXPECT_THAT(ledger.faults(), ElementsAre(HasSubstr("twice")));
}

TEST_F(LedgerOfTwo, Qos2ThatComesAgainAfterItWasForgottenIsAFault) {
  const auto id = publish(two);
  deliver(id, "c/2");
  for (int round = 0; round < 3; ++round) {
    deliver(publish(one), "c/1");
    ledger.settle();
  }
  deliver(id, "c/2");
  EXPECT_THAT(ledger.faults(), ElementsAre(HasSubstr("long after it was settled")));
}

TEST_F(LedgerOfTwo, FirstDeliveriesOfATopicComeInOrder) {
  const auto first = publish(one), second = publish(one), third = publish(one);
  deliver(first, "c/1");
  deliver(third, "c/1");
  deliver(first, "c/1");  // a repetition is not a first delivery
  EXPECT_THAT(ledger.faults(), IsEmpty());
  deliver(second, "c/1");
  EXPECT_THAT(ledger.faults(), ElementsAre(HasSubstr("after 3, which was published later")));
}

TEST_F(LedgerOfTwo, WhoSubscribedAfterTheFirstSendingMayGetItLate) {
  const auto latecomer = ledger.add(Receiver{"latecomer", Qos::at_least_once, true});
  const auto first = ledger.sent(one);
  ledger.entitle(latecomer, "c/#");
  const auto second = ledger.sent(one);
  ledger.delivered(latecomer, "c/1", Ledger::payload(second, 40));
  ledger.delivered(latecomer, "c/1", Ledger::payload(first, 40));
  EXPECT_THAT(ledger.faults(), IsEmpty());
}

TEST_F(LedgerOfTwo, WhatNobodyPublishedThereIsAFault) {
  deliver(77, "c/1");
  const auto id = publish(one);
  deliver(id, "c/2");
  ledger.delivered(receiver, "c/1", "no number");
  EXPECT_EQ(ledger.faults().size(), 3u);
}

TEST_F(LedgerOfTwo, TheRetainedMessageIsTheLastAcceptedOrALaterOne) {
  const auto old = publish(kept), last = publish(kept), later = ledger.sent(kept);
  const auto look = [&](Ledger::MessageId id) {
    ledger.begin_retained();
    ledger.retained("r/1", Ledger::payload(id, 10));
    return ledger.faults().size();
  };
  EXPECT_EQ(look(last), 0u);
  EXPECT_EQ(look(later), 0u);
  EXPECT_EQ(look(old), 1u);
}

TEST_F(LedgerOfTwo, ARetainedMessageMayBeAbsentOnlyIfItWasDeleted) {
  EXPECT_EQ(ledger.missing_retained(), 0u);
  publish(kept);
  ledger.begin_retained();
  EXPECT_EQ(ledger.missing_retained(), 1u);
  const auto deletion = ledger.sent(kept, true);
  EXPECT_EQ(ledger.missing_retained(), 0u);
  ledger.accepted(deletion);
  EXPECT_EQ(ledger.missing_retained(), 0u);
  publish(kept);
  ledger.judge_retained();
  EXPECT_THAT(ledger.faults(), ElementsAre(HasSubstr("has no retained message")));
}

}  // namespace
}  // namespace courier::fault
