#include "load/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace courier::load {
namespace {

using enum mqtt::Qos;
using Promise = Ledger::Promise;

MessageId message(uint32_t sequence, uint32_t publisher = 1, int64_t due_us = 0) {
  return {7, publisher, 99, sequence, due_us};
}

class Books : public testing::Test {
 protected:
  Books() {
    ledger.set_terms(kStored, {.stored = true});
    ledger.set_terms(kClean, {});
    ledger.set_terms(kShare, {.stored = true, .ordered = false});
  }
  static constexpr uint32_t kStored = 0, kClean = 1, kShare = 2;
  uint32_t overdue(int64_t before_us) const {
    return ledger.overdue(before_us, std::vector<int64_t>{0}).at(0);
  }
  Ledger ledger{3};
};

TEST_F(Books, WhatIsPromisedAndComesIsKept) {
  ledger.subscribed(kStored, 10);
  EXPECT_EQ(ledger.promise(kStored, message(1), at_least_once, 20), Promise::owed);
  EXPECT_EQ(ledger.awaited(), 1u);
  const auto arrival = ledger.arrived(kStored, message(1), 30);
  EXPECT_TRUE(arrival.kept);
  EXPECT_FALSE(arrival.duplicate || arrival.out_of_order);
  EXPECT_EQ(ledger.awaited(), 0u);
}

TEST_F(Books, AMessageMayArriveBeforeItsPublisherHasTheAck) {
  ledger.subscribed(kStored, 10);
  EXPECT_FALSE(ledger.arrived(kStored, message(1), 30).kept);
  EXPECT_EQ(ledger.promise(kStored, message(1), at_least_once, 20), Promise::kept);
  EXPECT_EQ(ledger.awaited(), 0u);
  EXPECT_TRUE(ledger.arrived(kStored, message(1), 40).duplicate);
}

TEST_F(Books, ASessionThatExpiredIsOwedNothingOfBefore) {
  ledger.subscribed(kStored, 10);
  EXPECT_EQ(ledger.promise(kStored, message(1), at_least_once, 20), Promise::owed);
  ledger.gone(kStored);
  EXPECT_EQ(ledger.promise(kStored, message(2), at_least_once, 30), Promise::owed)
      << "it may come back in time";
  ledger.session_ended(kStored);
  ledger.subscribed(kStored, 2'000);
  EXPECT_EQ(ledger.awaited(), 0u);
  EXPECT_EQ(overdue(INT64_MAX), 0u);
  EXPECT_EQ(ledger.promise(kStored, message(3), at_least_once, 40), Promise::not_owed) << "sent before";
  EXPECT_EQ(ledger.promise(kStored, message(4), at_least_once, 2'010), Promise::owed);
  EXPECT_TRUE(ledger.arrived(kStored, message(1), 2'020).excused);
  EXPECT_EQ(ledger.tidy(0).size(), 1u);
  EXPECT_EQ(ledger.awaited(), 1u);
}

TEST_F(Books, ACopyForEachOfItsSubscriptionsIsNoDuplicate) {
  ledger.subscribed(kStored, 10);
  for (uint32_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(ledger.promise(kStored, message(n), at_least_once, 20), Promise::owed);
    EXPECT_FALSE(ledger.has_arrived(kStored, message(n)));
    EXPECT_TRUE(ledger.arrived(kStored, message(n), 30, 2).kept);
    EXPECT_TRUE(ledger.has_arrived(kStored, message(n)));
  }
  for (uint32_t n = 1; n <= 3; ++n) {
    const auto second = ledger.arrived(kStored, message(n), 40, 2);
    EXPECT_TRUE(second.copy && !second.duplicate && !second.out_of_order);
    const auto third = ledger.arrived(kStored, message(n), 50, 2);
    EXPECT_TRUE(third.duplicate && !third.copy);
  }
}

TEST_F(Books, WhatWasSentBeforeAMemberLeftMayHaveGoneToThatOne) {
  ledger.subscribed(kShare, 10);
  ledger.member_left(kShare, 30);  // between sending and promising
  EXPECT_EQ(ledger.promise(kShare, message(1), at_most_once, 20), Promise::not_owed);
  EXPECT_EQ(ledger.promise(kShare, message(2), at_most_once, 31), Promise::owed);
  EXPECT_EQ(ledger.promise(kShare, message(3), at_least_once, 20), Promise::owed) << "it moves on to another";
  ledger.set_terms(kShare, {.stored = true, .ordered = false, .lingers_us = 1'000});
  EXPECT_EQ(ledger.promise(kShare, message(4), at_most_once, 1'030), Promise::not_owed) << "not heard of yet";
  EXPECT_EQ(ledger.promise(kShare, message(5), at_most_once, 1'031), Promise::owed);
}

TEST_F(Books, Qos2OfAMemberWhoseSessionEndsMayNotMoveOn) {
  for (const bool end : {false, true}) {
    Ledger books(1);
    books.set_terms(0, {.stored = true, .ordered = false, .members_end = end});
    books.subscribed(0, 10);
    EXPECT_EQ(books.promise(0, message(1), exactly_once, 20), Promise::owed);
    EXPECT_EQ(books.promise(0, message(2), at_least_once, 20), Promise::owed);
    books.member_left(0, 30);
    EXPECT_EQ(books.awaited(), end ? 1u : 2u);
    EXPECT_EQ(books.promise(0, message(3), exactly_once, 25), end ? Promise::not_owed : Promise::owed);
  }
}

TEST_F(Books, AStoredSessionIsOwedWhatIsSentWhileItIsAway) {
  EXPECT_EQ(ledger.promise(kStored, message(1), at_least_once, 5), Promise::not_owed);
  ledger.subscribed(kStored, 10);
  ledger.gone(kStored);
  EXPECT_EQ(ledger.promise(kStored, message(2), at_least_once, 20), Promise::owed);
  EXPECT_EQ(ledger.promise(kStored, message(3), at_most_once, 20), Promise::not_owed);
  EXPECT_EQ(ledger.awaited_by_absent(), 1u);
  EXPECT_EQ(overdue(1'000), 0u) << "it is away: nobody can say yet";
  ledger.subscribed(kStored, 2'000);
  EXPECT_EQ(overdue(1'000), 0u) << "it has only just come back";
  EXPECT_EQ(overdue(3'000), 1u);
  EXPECT_EQ(ledger.missing(10).at(0).id.sequence, 2u);
  EXPECT_TRUE(ledger.arrived(kStored, message(2), 4'000).kept);
  EXPECT_EQ(overdue(5'000), 0u);
}

TEST_F(Books, OtherSessionsAreOwedNothingOnceTheirConnectionEnds) {
  ledger.subscribed(kClean, 10);
  EXPECT_EQ(ledger.promise(kClean, message(1), at_least_once, 20), Promise::owed);
  ledger.gone(kClean);
  EXPECT_EQ(ledger.awaited(), 0u);
  EXPECT_EQ(overdue(INT64_MAX), 0u);
  EXPECT_EQ(ledger.promise(kClean, message(2), at_least_once, 25), Promise::not_owed);
  ledger.subscribed(kClean, 30);
  EXPECT_EQ(ledger.promise(kClean, message(3), at_least_once, 25), Promise::not_owed)
      << "sent before it came";
  EXPECT_EQ(ledger.promise(kClean, message(4), at_least_once, 35), Promise::owed);
  EXPECT_EQ(ledger.missing(10).size(), 1u);
  // What was sent to the connection before may come late; nobody waits for it.
  EXPECT_FALSE(ledger.arrived(kClean, message(1), 40).kept);
  EXPECT_EQ(ledger.awaited(), 1u);
}

TEST_F(Books, ArrivalsTwiceAndOutOfOrderAreTold) {
  ledger.subscribed(kStored, 10);
  for (const uint32_t n : {1u, 2u, 4u}) EXPECT_FALSE(ledger.arrived(kStored, message(n), 20).out_of_order);
  EXPECT_TRUE(ledger.arrived(kStored, message(3), 20).out_of_order);
  EXPECT_TRUE(ledger.arrived(kStored, message(3), 20).duplicate);
  EXPECT_TRUE(ledger.arrived(kStored, message(4), 20).duplicate);
  EXPECT_FALSE(ledger.arrived(kStored, message(1, 2), 20).out_of_order) << "another publisher's";
  ledger.subscribed(kShare, 10);
  ledger.arrived(kShare, message(2), 20);
  EXPECT_FALSE(ledger.arrived(kShare, message(1), 20).out_of_order) << "shared: no order is promised";
  EXPECT_TRUE(ledger.arrived(kShare, message(1), 20).duplicate);
}

TEST_F(Books, WhatWasNeverAcknowledgedIsNotAwaited) {
  ledger.subscribed(kStored, 10);
  ledger.arrived(kStored, message(1), 20);
  ledger.tidy(30);
  EXPECT_EQ(ledger.missing(10).size(), 0u);
  EXPECT_EQ(ledger.promise(kStored, message(1), at_least_once, 15), Promise::kept)
      << "the ack came late after all";
}

// Against books kept the plain way: sets of everything.
TEST_F(Books, AgreeWithAPlainCount) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    Ledger books(1);
    books.set_terms(0, {.stored = true});
    books.subscribed(0, 0);
    std::vector<uint32_t> arrivals;
    size_t dropped = 0, doubled = 0;
    constexpr uint32_t kMessages = 300;
    for (uint32_t n = 1; n <= kMessages; ++n) {
      switch (random() % 20) {
        case 0:
          ++dropped;
          break;
        case 1:
          ++doubled;
          arrivals.push_back(n);
          arrivals.push_back(n);
          break;
        default:
          arrivals.push_back(n);
      }
    }
    // Neighbours change places.
    size_t swapped = 0;
    for (size_t i = 0; i + 1 < arrivals.size(); i += 2) {
      if (arrivals[i] == arrivals[i + 1] || random() % 10 != 0) continue;
      if (i > 0 && arrivals[i - 1] == arrivals[i]) continue;
      if (i + 2 < arrivals.size() && arrivals[i + 2] == arrivals[i + 1]) continue;
      std::swap(arrivals[i], arrivals[i + 1]);
      ++swapped;
    }
    size_t at = 0, duplicates = 0, disordered = 0, kept = 0;
    const auto arrive = [&] {
      const auto arrival = books.arrived(0, message(arrivals[at++]), 10);
      duplicates += arrival.duplicate;
      disordered += arrival.out_of_order;
      kept += arrival.kept;
    };
    for (uint32_t n = 1; n <= kMessages; ++n) {
      // Promises run before and behind the arrivals.
      while (at < arrivals.size() && random() % 3 != 0 && at < n + 20) arrive();
      kept += books.promise(0, message(n), at_least_once, 5) == Promise::kept;
    }
    while (at < arrivals.size()) arrive();
    EXPECT_EQ(duplicates, doubled);
    EXPECT_EQ(disordered, swapped);
    EXPECT_EQ(books.awaited(), dropped);
    EXPECT_EQ(kept, kMessages - dropped);
    EXPECT_EQ(books.missing(kMessages).size(), dropped);
  }
}

TEST_F(Books, WhatIsMissingIsToldByTheStageInWhichItWasDue) {
  ledger.subscribed(kStored, 10);
  ledger.subscribed(kClean, 10);
  ledger.promise(kStored, message(1, 1, 99), at_least_once, 120);  // sent late, in the next stage
  ledger.promise(kStored, message(2, 1, 110), at_least_once, 130);
  ledger.promise(kStored, message(3, 1, 120), at_least_once, 130);
  ledger.promise(kClean, message(1, 1, 210), at_least_once, 210);
  ledger.arrived(kStored, message(3, 1, 120), 130);
  const std::vector<int64_t> began = {0, 100, 200};
  EXPECT_EQ(ledger.awaited_by_present(began), (std::vector<uint32_t>{1, 1, 1}));
  EXPECT_EQ(ledger.overdue(125, began), (std::vector<uint32_t>{1, 0, 0}));
  ledger.gone(kStored);
  EXPECT_EQ(ledger.awaited_by_present(began), (std::vector<uint32_t>{0, 0, 1}));
}

TEST_F(Books, WhatAnEndedConnectionWasOwedIsExcusedByTheTimeItWasDue) {
  ledger.subscribed(kClean, 10);
  ledger.promise(kClean, message(1, 1, 20), at_least_once, 21);
  ledger.promise(kClean, message(2, 1, 30), at_most_once, 31);
  ledger.promise(kClean, message(3, 1, 40), at_least_once, 41);
  ledger.gone(kClean);
  EXPECT_TRUE(ledger.arrived(kClean, message(3, 1, 40), 50).excused) << "it came all the same";
  auto excused = ledger.tidy(0);
  std::sort(excused.begin(), excused.end());
  EXPECT_EQ(excused, (std::vector<int64_t>{20, 30}));
  EXPECT_TRUE(ledger.tidy(0).empty()) << "each once";
}

TEST_F(Books, AShareOfCleanSessionsIsOwedNothingOnceAllMembersLeft) {
  ledger.set_terms(kShare, {.stored = false, .ordered = false});
  EXPECT_EQ(ledger.promise(kShare, message(1), at_least_once, 5), Promise::not_owed);
  ledger.subscribed(kShare, 10);
  EXPECT_EQ(ledger.promise(kShare, message(2), at_least_once, 20), Promise::owed);
  EXPECT_EQ(ledger.promise(kShare, message(3), at_most_once, 20), Promise::owed);
  ledger.member_left(kShare, 0);
  EXPECT_EQ(ledger.awaited(), 1u) << "QoS 1 goes to another member; QoS 0 may have gone with this one";
  EXPECT_EQ(overdue(INT64_MAX), 1u);
  EXPECT_EQ(ledger.promise(kShare, message(4), at_most_once, 30), Promise::owed);
  ledger.gone(kShare);
  EXPECT_EQ(ledger.awaited(), 0u);
  EXPECT_EQ(ledger.promise(kShare, message(5), at_least_once, 40), Promise::not_owed);
  EXPECT_EQ(ledger.tidy(0).size(), 3u);
}

TEST_F(Books, AShareOfAStoredSessionIsOwedWhatIsSentWhileNobodyIsThere) {
  ledger.subscribed(kShare, 10);
  ledger.promise(kShare, message(1), at_least_once, 20);
  ledger.gone(kShare);
  EXPECT_EQ(ledger.promise(kShare, message(2), at_least_once, 30), Promise::owed);
  EXPECT_EQ(ledger.awaited_by_absent(), 2u);
}

}  // namespace
}  // namespace courier::load
