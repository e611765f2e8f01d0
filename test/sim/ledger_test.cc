// The judge of the simulation, judged.
#include "ledger.h"

#include <gmock/gmock.h>

namespace courier::sim {
namespace {

using mqtt::Qos;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LedgerOrder : public testing::Test {
 protected:
  void subscribe(const std::string& filter) {
    ledger_.entitled({"sub", filter, Qos::at_least_once, ledger_.tick(), UINT64_MAX});
  }
  void unsubscribe(const std::string& filter) { ledger_.unsubscribed("sub", filter); }
  uint64_t publish() { return ledger_.sent({0, "pub", "t/1", Qos::at_least_once}); }
  void deliver(uint64_t id) {
    ledger_.delivered("sub", "t/1", std::to_string(id), Qos::at_least_once, false, true);
  }
  std::vector<std::string> faults() const { return ledger_.judge(0, 0); }

  Ledger ledger_;
};

TEST_F(LedgerOrder, ALaterMessageBeforeAnEarlierOneIsAFault) {
  subscribe("t/#");
  const uint64_t one = publish(), two = publish();
  deliver(two);
  deliver(one);
  EXPECT_THAT(faults(), ElementsAre(HasSubstr("got message 1 after 2")));
}

TEST_F(LedgerOrder, ADuplicateAfterALaterMessageIsNoFault) {
  subscribe("t/#");
  const uint64_t one = publish(), two = publish();
  deliver(one);
  deliver(two);
  deliver(one);
  deliver(two);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(LedgerOrder, WhatWasMissedInAGapOfTheSubscriptionMayComeLate) {
  subscribe("t/#");
  unsubscribe("t/#");
  const uint64_t one = publish();  // routed to nobody; sent again at the end
  subscribe("t/#");
  const uint64_t two = publish();
  deliver(two);
  deliver(one);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(LedgerOrder, AGapThatBeginsAfterTheSendingExcusesToo) {
  subscribe("t/#");
  const uint64_t one = publish();  // under way when the subscription ends
  unsubscribe("t/#");
  subscribe("t/#");
  const uint64_t two = publish();
  deliver(two);
  deliver(one);
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(LedgerOrder, AGapAfterTheAcknowledgementExcusesNothing) {
  subscribe("t/#");
  const uint64_t one = publish();
  ledger_.accepted(one);  // in the inbox by now, before all that comes later
  unsubscribe("t/#");
  const uint64_t two = publish();
  subscribe("t/#");
  deliver(two);  // sent again, and so routed to the new subscription
  deliver(one);
  EXPECT_THAT(faults(), ElementsAre(HasSubstr("got message 1 after 2")));
}

TEST_F(LedgerOrder, AGapAfterTheLaterDeliveryExcusesNothing) {
  subscribe("t/#");
  const uint64_t one = publish(), two = publish();
  deliver(two);
  unsubscribe("t/#");
  subscribe("t/#");
  deliver(one);
  EXPECT_THAT(faults(), ElementsAre(HasSubstr("got message 1 after 2")));
}

TEST_F(LedgerOrder, AnOverlappingSubscriptionLeavesNoGap) {
  subscribe("t/#");
  subscribe("t/+");
  const uint64_t one = publish();
  unsubscribe("t/#");
  const uint64_t two = publish();
  subscribe("t/#");
  unsubscribe("t/+");
  deliver(two);
  deliver(one);
  EXPECT_THAT(faults(), ElementsAre(HasSubstr("got message 1 after 2")));
}

TEST_F(LedgerOrder, ASubscriptionToAnotherTopicFillsNoGap) {
  subscribe("t/#");
  subscribe("u/#");
  unsubscribe("t/#");
  const uint64_t one = publish();
  subscribe("t/#");
  const uint64_t two = publish();
  deliver(two);
  deliver(one);
  EXPECT_THAT(faults(), IsEmpty());
}

class LedgerRetained : public testing::Test {
 protected:
  uint64_t retain(Qos qos) { return ledger_.sent({0, "pub", "t/1", qos, true}); }
  bool may_be_retained(uint64_t id) const { return ledger_.may_be_retained("t/1", std::to_string(id)); }

  Ledger ledger_;
};

TEST_F(LedgerRetained, AnAcceptedMessageTakesThePlaceOfAnEarlierOne) {
  const uint64_t one = retain(Qos::at_least_once), two = retain(Qos::at_least_once);
  EXPECT_TRUE(may_be_retained(one));
  ledger_.accepted(two);
  EXPECT_FALSE(may_be_retained(one));
  EXPECT_TRUE(may_be_retained(two));
}

// 1 2 and, after a crash, 1 2 again: the node took the 2 before, so that only the 1 is published again.
TEST_F(LedgerRetained, AnEarlierOneAtQos1MayBePublishedAgainAfterALaterOneAtQos2) {
  const uint64_t one = retain(Qos::at_least_once), two = retain(Qos::exactly_once);
  ledger_.sent_again(one);
  ledger_.sent_again(two);
  ledger_.accepted(two);
  EXPECT_TRUE(may_be_retained(one));
}

TEST_F(LedgerRetained, ALaterOneAtQos1IsPublishedAgainToo) {
  const uint64_t one = retain(Qos::at_least_once), two = retain(Qos::at_least_once);
  ledger_.sent_again(one);
  ledger_.sent_again(two);
  ledger_.accepted(two);
  EXPECT_FALSE(may_be_retained(one));
}

TEST_F(LedgerRetained, AnEarlierOneAtQos2IsNotPublishedTwice) {
  const uint64_t one = retain(Qos::exactly_once), two = retain(Qos::exactly_once);
  ledger_.sent_again(one);
  ledger_.sent_again(two);
  ledger_.accepted(two);
  EXPECT_FALSE(may_be_retained(one));
}

TEST_F(LedgerRetained, WhatIsSentOnlyAfterwardsFollows) {
  const uint64_t one = retain(Qos::at_least_once);
  ledger_.sent_again(one);
  const uint64_t two = retain(Qos::exactly_once);
  ledger_.accepted(two);
  EXPECT_FALSE(may_be_retained(one));
}

}  // namespace
}  // namespace courier::sim
