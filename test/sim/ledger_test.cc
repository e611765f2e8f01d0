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

}  // namespace
}  // namespace courier::sim
