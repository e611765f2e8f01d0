#include "relay/lanes.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "base/errc.h"
#include "relay/relay.h"
#include "relay/relay_test_bed.h"

namespace courier::relay {
namespace {

constexpr MonoNs kMs = kNsPerMs;

// Hands that note what they are given.
class LanesTest : public ::testing::Test, public Lanes::Hands {
 protected:
  using State = Lanes::State;

  void open(LaneRules rules, HttpSettings http = {}) {
    if (http.url.empty()) http.url = "http://backend/";
    rules.batch_bytes_max = http.batch_bytes_max;
    if (rules.retry_first_ns == 0) rules.retry_first_ns = 10 * kMs;
    if (rules.retry_max_ns == 0) rules.retry_max_ns = 60'000 * kMs;
    maker_.emplace(RequestMaker::open(http).value());
    lanes_.emplace(rules, *maker_, Format::automatic, *this, 1);
  }
  void offer(uint64_t number, std::string_view client, MonoNs at = 0, std::string unfit = "") {
    Parcel parcel{.track = track_, .unfit = unfit, .arrived_at = at};
    parcel.message.has_key = true;
    parcel.message.key = client;
    parcel.message.offset = static_cast<int64_t>(number);
    parcel.message.value = test::event(number, client);
    if (unfit.empty()) parcel.target = maker_->target(*Event::read(parcel.message, Format::automatic));
    lanes_->offer(std::move(parcel));
  }
  void answer(int status, MonoNs now = 0, int64_t wait_ms = 0) {
    const size_t lane = sent_.front().first;
    sent_.pop_front();
    Outcome outcome = outcome_of(http::Response{.status = status}, 0);
    outcome.wait_ms = wait_ms;
    lanes_->answered(lane, outcome, now);
    lanes_->run(now);
  }
  void answer_burials(bool good, MonoNs now = 0) {
    for (const auto& [lane, number] : std::exchange(burials_, {}))
      lanes_->buried(lane, number, good ? Result<void>() : fail(BaseErrc::unreadable, "away"), now);
    lanes_->run(now);
  }
  // The ids in the request that was sent first and is not answered.
  std::string ids() const {
    std::string all;
    for (const auto& each : nlohmann::json::parse(sent_.front().second.body))
      all += (all.empty() ? "" : " ") + each["id"].get<std::string>();
    return all;
  }

  void send(size_t lane, http::Request request) override { sent_.emplace_back(lane, std::move(request)); }
  void bury(size_t lane, const Parcel& parcel, const Cause& cause) override {
    burials_.emplace_back(lane, parcel.number);
    causes_.push_back(std::string(cause.reason) + " " + std::to_string(cause.status));
  }
  void finished(const Parcel& parcel, const Cause* buried) override {
    finished_ += (finished_.empty() ? "" : " ") + std::to_string(parcel.message.offset) + (buried ? "+" : "");
  }
  void retrying(size_t, const Outcome& outcome, MonoNs wait_ns) override {
    waits_.push_back(wait_ns);
    reasons_.emplace_back(outcome.reason);
  }
  bool is_live(const Track& track) const override { return track.live; }

  TrackPtr track_ = std::make_shared<Track>();
  std::optional<RequestMaker> maker_;
  std::optional<Lanes> lanes_;
  std::deque<std::pair<size_t, http::Request>> sent_;
  std::vector<std::pair<size_t, uint64_t>> burials_;
  std::vector<std::string> causes_, reasons_;
  std::vector<MonoNs> waits_;
  std::string finished_;
};

TEST_F(LanesTest, EventsWaitForOthersThenGoTogether) {
  open({.linger_ns = 5 * kMs});
  offer(1, "a", 0);
  offer(2, "b", 3 * kMs);
  EXPECT_EQ(lanes_->due(), 5 * kMs);
  lanes_->run(4 * kMs);
  EXPECT_TRUE(sent_.empty());
  lanes_->run(5 * kMs);
  EXPECT_EQ(ids(), "1 2");
  offer(3, "a", 6 * kMs);
  lanes_->run(60 * kMs);
  EXPECT_EQ(sent_.size(), 1u);  // one request at a time
  answer(200, 60 * kMs);
  EXPECT_EQ(finished_, "1 2");
  EXPECT_EQ(ids(), "3");
  answer(200);
  EXPECT_EQ(lanes_->events(), 0u);
  EXPECT_EQ(lanes_->bytes(), 0u);
  EXPECT_EQ(lanes_->due(), std::nullopt);
}

TEST_F(LanesTest, AFullBatchWaitsForNobody) {
  open({.linger_ns = 1'000 * kMs}, {.batch_events_max = 2});
  for (uint64_t i = 1; i <= 3; ++i) offer(i, "a");
  lanes_->run(0);
  EXPECT_EQ(ids(), "1 2");
}

TEST_F(LanesTest, ABatchIsAsLargeAsItsBodyMayBe) {
  open({}, {.batch_bytes_max = 1'000});
  for (uint64_t i = 1; i <= 20; ++i) offer(i, "a");
  std::string all;
  for (lanes_->run(0); !sent_.empty(); answer(200)) {
    EXPECT_LE(sent_.front().second.body.size(), 1'000u);
    all += ids() + " ";
  }
  EXPECT_EQ(all, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ");
}

TEST_F(LanesTest, WhatGoesElsewhereGoesInARequestOfItsOwnInOrder) {
  open({}, {.url = "http://backend/{client_id}"});
  offer(1, "a");
  offer(2, "a");
  offer(3, "b");
  offer(4, "a");
  std::string all;
  for (lanes_->run(0); !sent_.empty(); answer(200))
    all += sent_.front().second.url.substr(14) + " " + ids() + "; ";
  EXPECT_EQ(all, "/a 1 2; /b 3; /a 4; ");
}

TEST_F(LanesTest, AClientHasOneLaneAndAFailingOneHoldsUpOnlyItself) {
  open({.lanes = 8});
  for (uint64_t i = 0; i < 64; ++i) offer(i, "phone" + std::to_string(i % 16));
  lanes_->run(0);
  ASSERT_GT(sent_.size(), 2u);
  std::map<std::string, size_t> lanes;
  for (const auto& [lane, request] : sent_) {
    for (const auto& each : nlohmann::json::parse(request.body)) {
      const auto [place, is_new] = lanes.emplace(each["client_id"], lane);
      EXPECT_EQ(place->second, lane);
    }
  }
  const size_t stuck = sent_.front().first;
  answer(500);
  while (!sent_.empty()) answer(200);
  EXPECT_EQ(lanes_->state(stuck), State::pausing);
  EXPECT_GT(lanes_->events(), 0u);
  EXPECT_LT(lanes_->events(), 64u);
}

TEST_F(LanesTest, WaitsDoubleUpToTheirLimitWithJitter) {
  open({.retry_first_ns = 10 * kMs, .retry_max_ns = 100 * kMs});
  offer(1, "a");
  MonoNs now = 0, grown = 10 * kMs;
  lanes_->run(now);
  for (int i = 0; i < 8; ++i) {
    answer(503, now);
    EXPECT_LE(waits_.back(), grown);
    EXPECT_GE(waits_.back(), grown / 2);
    grown = std::min<MonoNs>(grown * 2, 100 * kMs);
    EXPECT_EQ(lanes_->due(), now + waits_.back());
    lanes_->run(now + waits_.back() - 1);
    EXPECT_TRUE(sent_.empty());
    lanes_->run(now += waits_.back());
    EXPECT_EQ(ids(), "1");
  }
  answer(200);
  EXPECT_EQ(finished_, "1");
}

TEST_F(LanesTest, TheBackendsOwnTimeIsWaitedForUpToTheLimit) {
  open({.retry_first_ns = 1 * kMs, .retry_max_ns = 3'000 * kMs});
  offer(1, "a");
  lanes_->run(0);
  answer(429, 0, 2'000);
  EXPECT_EQ(waits_.back(), 2'000 * kMs);
  lanes_->run(2'000 * kMs);
  answer(429, 0, 3'600'000);
  EXPECT_EQ(waits_.back(), 3'000 * kMs);
}

TEST_F(LanesTest, ARefusedBatchGoesOneByOneAndTheRefusedEventIsBuried) {
  open({.may_bury = true});
  for (uint64_t i = 1; i <= 3; ++i) offer(i, "a");
  lanes_->run(0);
  offer(4, "a");
  offer(5, "a");
  answer(400);
  EXPECT_EQ(ids(), "1");
  answer(200);
  EXPECT_EQ(ids(), "2");
  answer(422);
  EXPECT_EQ(causes_, std::vector<std::string>{"refused 422"});
  EXPECT_TRUE(sent_.empty());  // 3 waits until 2 is safe
  EXPECT_EQ(finished_, "1");
  answer_burials(true);
  EXPECT_EQ(finished_, "1 2+");
  EXPECT_EQ(ids(), "3");
  answer(200);
  EXPECT_EQ(ids(), "4 5");
  answer(200);
  EXPECT_EQ(finished_, "1 2+ 3 4 5");
}

TEST_F(LanesTest, WhatCannotBeBuriedNowIsBuriedLater) {
  open({.may_bury = true});
  offer(1, "a");
  offer(2, "a");
  lanes_->run(0);
  answer(400);
  answer(400);
  answer_burials(false);
  EXPECT_EQ(reasons_.back(), "dead_letter");
  EXPECT_TRUE(sent_.empty());
  lanes_->run(waits_.back());
  ASSERT_EQ(burials_.size(), 1u);
  answer_burials(true);
  EXPECT_EQ(finished_, "1+");
  EXPECT_EQ(ids(), "2");
}

TEST_F(LanesTest, AttemptsUsedUpBuryTheWholeBatch) {
  open({.attempts = 2, .may_bury = true});
  offer(1, "a");
  offer(2, "b");
  lanes_->run(0);
  answer(500);
  lanes_->run(waits_.back());
  answer(500);
  EXPECT_EQ(causes_, (std::vector<std::string>{"tried 500", "tried 500"}));
  answer_burials(true);
  EXPECT_EQ(finished_, "1+ 2+");
  EXPECT_EQ(lanes_->events(), 0u);
}

TEST_F(LanesTest, WhatIsNoEventIsBuriedInItsTurn) {
  open({.may_bury = true});
  offer(1, "a");
  offer(2, "a", 0, "it is no event");
  offer(3, "a");
  lanes_->run(0);
  EXPECT_EQ(ids(), "1");
  answer(200);
  EXPECT_EQ(causes_, std::vector<std::string>{"unfit 0"});
  answer_burials(true);
  EXPECT_EQ(ids(), "3");
}

TEST_F(LanesTest, WithoutAPlaceForTheDeadNothingIsGivenUp) {
  open({.attempts = 1});
  offer(1, "a", 0, "it is no event");
  offer(2, "a");
  MonoNs now = 0;
  lanes_->run(now);
  for (int i = 0; i < 5; ++i) lanes_->run(now += waits_.back());
  EXPECT_EQ(reasons_.size(), 6u);
  EXPECT_EQ(reasons_.back(), "refused");
  EXPECT_TRUE(sent_.empty() && finished_.empty() && burials_.empty());

  open({.attempts = 1});
  offer(1, "a");
  lanes_->run(0);
  answer(400);
  lanes_->run(waits_.back());
  EXPECT_EQ(ids(), "1");
}

TEST_F(LanesTest, WhatIsNoLongerOursIsForgottenAndItsAnswerCountsForNothingMore) {
  open({});
  TrackPtr kept = std::make_shared<Track>();
  offer(1, "a");
  std::swap(track_, kept);
  offer(2, "a");
  lanes_->run(0);
  EXPECT_EQ(ids(), "1 2");
  std::swap(track_, kept);
  offer(3, "a");
  track_->live = false;
  lanes_->drop();
  EXPECT_EQ(lanes_->events(), 2u);
  answer(500);
  lanes_->run(waits_.back());
  EXPECT_EQ(ids(), "2");
  kept->live = false;
  answer(500);
  lanes_->run(waits_.back() * 10);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(lanes_->events(), 0u);
  EXPECT_EQ(lanes_->bytes(), 0u);
  EXPECT_EQ(lanes_->state(0), State::idle);
}

TEST_F(LanesTest, AfterAStopNothingNewIsBegun) {
  open({});
  offer(1, "a");
  lanes_->run(0);
  offer(2, "a");
  lanes_->stop();
  EXPECT_EQ(lanes_->under_way(), 1u);
  answer(200);
  EXPECT_EQ(finished_, "1");
  EXPECT_EQ(lanes_->under_way(), 0u);
  EXPECT_TRUE(sent_.empty());
}

}  // namespace
}  // namespace courier::relay
