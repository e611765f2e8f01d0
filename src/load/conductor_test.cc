#include "load/conductor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/limits.h"
#include "load/scenario_file.h"

namespace courier::load {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StoppedClock final : public Clock {
 public:
  WallMs wall_ms() const override { return 1'000; }
  MonoNs mono_ns() const override { return now; }
  MonoNs now = 1'000 * kNsPerSecond;
};

// A worker that does nothing: it notes what it is told, and the test says what it reports.
class PuppetHand final : public Hand {
 public:
  struct Strings {
    std::vector<std::string> told;
    std::vector<int64_t> began_us;
    std::optional<WorkerReport> report;
    std::vector<Letters> letters, delivered;
    std::string trouble;
    bool gone = true;
  };
  explicit PuppetHand(Strings& strings) : strings_(strings) {}

  void begin_stage(size_t stage, int64_t began_us) override {
    strings_.told.push_back("begin " + std::to_string(stage));
    strings_.began_us.push_back(began_us);
  }
  void end_stage() override { strings_.told.push_back("end"); }
  void hang_up() override { strings_.told.push_back("hang up"); }
  bool gone() override { return strings_.gone; }
  std::optional<WorkerReport> report() override { return std::exchange(strings_.report, std::nullopt); }
  std::vector<Letters> take_letters() override { return std::exchange(strings_.letters, {}); }
  void deliver(const Letters& letters) override { strings_.delivered.push_back(letters); }
  void set_share_members(uint32_t share, const ShareMembers& elsewhere) override {
    strings_.told.push_back("share " + std::to_string(share) + ": " + std::to_string(elsewhere.now) + " " +
                            std::to_string(elsewhere.departures) + " " + std::to_string(elsewhere.emptied));
  }
  std::vector<std::string> missing() override { return {"m1"}; }
  std::string trouble() const override { return strings_.trouble; }

 private:
  Strings& strings_;
};

constexpr const char* kScenario = R"(
courier_load: 1
name: led
target: { brokers: [ "mqtt://127.0.0.1:1" ] }
groups: { phones: { count: 10, subscribe: [ { topic: "p/{n}", qos: 1 } ] } }
stages:
  - { name: come, timeout: 10s, steps: [ { connect: { group: phones } } ], until: { connected: 100% } }
  - { name: push, duration: 5s, steps: [ { publish: { group: phones, rate: 10/s, topic: "p/{n}", qos: 1 } } ] }
drain: 5s
thresholds:
  - come: connect.ok_ratio >= 100%
  - push: { check: "delivery.lost == 0", abort: true, grace: 2s }
)";

class Leading : public testing::Test {
 protected:
  explicit Leading(size_t hands = 1) : strings(hands) {
    Findings findings("scenario.yaml", kScenario);
    scenario = read_scenario(kScenario, {}, findings);
    EXPECT_TRUE(scenario) << findings.describe();
    std::vector<std::unique_ptr<Hand>> puppets;
    for (auto& each : strings) puppets.push_back(std::make_unique<PuppetHand>(each));
    conductor = std::make_unique<Conductor>(*scenario, std::move(puppets), clock);
    conductor->start();
  }
  // A report in which all clients are there.
  WorkerReport all_there(uint32_t stage = 0) const {
    WorkerReport report;
    report.stage = stage;
    report.connected = report.ready = {10};
    return report;
  }
  void after(double seconds) {
    clock.now += static_cast<MonoNs>(seconds * 1e9);
    conductor->tick();
  }
  // Everybody comes; the stage that pushes has begun.
  void come() {
    for (auto& each : strings) each.report = all_there();
    after(1);
    ASSERT_EQ(conductor->stage(), 1u);
  }

  StoppedClock clock;
  std::vector<PuppetHand::Strings> strings;
  std::optional<Scenario> scenario;
  std::unique_ptr<Conductor> conductor;
};

class LeadingTwo : public Leading {
 protected:
  LeadingTwo() : Leading(2) {}
};

TEST_F(Leading, GoesFromStageToStageAndWaitsForWhatIsOwed) {
  EXPECT_THAT(strings[0].told, ElementsAre("begin 0"));
  EXPECT_THAT(strings[0].began_us, ElementsAre(clock.now / 1000)) << "one worker need not wait for others";
  come();
  after(5);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::draining);
  strings[0].report = all_there(1);
  strings[0].report->awaited = 1;
  after(1);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::draining) << "one is awaited";
  strings[0].report = all_there(1);
  after(1);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::leaving);
  after(0.1);
  EXPECT_TRUE(conductor->over());
  EXPECT_THAT(strings[0].told, ElementsAre("begin 0", "end", "begin 1", "end", "hang up"));
}

TEST_F(Leading, AStageThatDoesNotGetThereInTimeFailsTheRun) {
  strings[0].report = all_there();
  strings[0].report->ready = {7};
  after(9.9);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::playing);
  after(0.2);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::draining) << "the stages behind it are not played";
  for (int i = 0; i < 3; ++i) after(3);
  const RunResult result = conductor->result();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.trouble, HasSubstr("7 of 10 clients"));
  EXPECT_EQ(result.stages.size(), 1u);
}

TEST_F(Leading, WhatWasDueInAStageCountsThereAlsoWhenItComesLater) {
  come();
  strings[0].report = all_there(1);
  Tally late;
  late[Count::connect_attempts] = late[Count::connect_ok] = 3;
  strings[0].report->tallies = {{.stage = 0, .tally = late}, {.stage = 77, .tally = late}};
  after(1);
  const RunResult result = conductor->result();
  EXPECT_EQ(result.stages[0].tally[Count::connect_ok], 3u);
  EXPECT_EQ(result.stages[1].tally[Count::connect_ok], 0u);
  EXPECT_EQ(result.total[Count::connect_ok], 6u) << "a stage that is none is nobody's, and in the sum";
}

TEST_F(Leading, OnlyItsOwnStagesLossesEndIt) {
  come();
  Tally sent;
  sent[Count::delivery_expected] = 5;
  strings[0].report = all_there(1);
  strings[0].report->tallies = {{.stage = 1, .tally = sent}};
  strings[0].report->awaited = 4;
  strings[0].report->overdue_by_stage = {4, 0};
  after(1);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::playing) << "overdue from the stage before";
  strings[0].report = all_there(1);
  strings[0].report->awaited = 5;
  strings[0].report->overdue_by_stage = strings[0].report->missing_by_stage = {4, 1};
  after(1);
  EXPECT_EQ(conductor->phase(), Conductor::Phase::draining);
  after(6);
  after(0.1);
  const RunResult result = conductor->result();
  EXPECT_TRUE(conductor->over());
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.stages[1].trouble, HasSubstr("aborted: delivery.lost == 0 was 1"));
  EXPECT_EQ(result.stages[0].tally[Count::delivery_lost], 4u);
  EXPECT_EQ(result.stages[1].tally[Count::delivery_lost], 1u);
  EXPECT_EQ(result.total[Count::delivery_lost], 5u);
  EXPECT_THAT(result.missing, ElementsAre("m1"));
}

TEST_F(Leading, WhatAbsentClientsAreOwedIsNotLost) {
  come();
  strings[0].report = all_there(1);
  strings[0].report->awaited = 3;
  strings[0].report->awaited_by_absent = 3;
  after(5);
  after(5);
  after(0.1);
  EXPECT_TRUE(conductor->over());
  EXPECT_EQ(conductor->result().total[Count::delivery_lost], 0u);
  EXPECT_EQ(conductor->result().lost_unknown, 3u);
}

TEST_F(Leading, AnInterruptedRunSaysSoAndCallsNothingLostThatMayBeOnItsWay) {
  come();
  strings[0].report = all_there(1);
  strings[0].report->awaited = 3;
  strings[0].report->missing_by_stage = {0, 3};
  after(1);
  conductor->interrupt();
  after(0.1);
  const RunResult result = conductor->result();
  EXPECT_EQ(result.outcome, Outcome::interrupted);
  EXPECT_EQ(result.total[Count::delivery_lost], 0u);
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("3 messages were still on their way")));
}

TEST_F(Leading, ClientsThatDoNotLeaveAreNotWaitedForForEver) {
  strings[0].gone = false;
  conductor->interrupt();
  after(kLeaveSecondsMax - 1);
  EXPECT_FALSE(conductor->over());
  after(2);
  EXPECT_TRUE(conductor->over());
}

TEST_F(Leading, MoreLagThanTheScenarioAllowsMakesTheResultInvalid) {
  come();
  strings[0].report = all_there(1);
  Tally late;
  for (int i = 0; i < 10; ++i) late[Latency::generator_lag].record(500'000'000);
  strings[0].report->tallies = {{.stage = 1, .tally = late}};
  after(5);
  for (int i = 0; i < 3; ++i) after(3);
  ASSERT_TRUE(conductor->over());
  const RunResult slow = conductor->result();
  EXPECT_EQ(slow.outcome, Outcome::invalid);
  EXPECT_THAT(slow.trouble, HasSubstr("too slow"));
  EXPECT_THAT(slow.trouble, HasSubstr("lag_max is 100 ms"));
  scenario->lag_ms_max = 2'000;
  EXPECT_NE(conductor->result().outcome, Outcome::invalid) << "it judges no times, and says so";
}

TEST_F(LeadingTwo, BeginsAStageAtOneMomentForAll) {
  EXPECT_EQ(strings[0].began_us, strings[1].began_us);
  EXPECT_THAT(strings[0].began_us, ElementsAre((clock.now + kStageLeadNs) / 1000));
}

TEST_F(LeadingTwo, EachHearsOfTheOthersMembersAndLetters) {
  const auto nobody = [] {
    WorkerReport report;
    report.connected = report.ready = {0};
    return report;
  };
  strings[0].report = nobody();
  strings[0].report->shares = {{}, {.now = 2, .departures = 1}};
  strings[0].letters.resize(2);
  strings[0].letters[1].replies.push_back({});
  after(0.1);
  EXPECT_THAT(strings[0].told, ElementsAre("begin 0"));
  EXPECT_THAT(strings[1].told, ElementsAre("begin 0", "share 1: 2 1 0"));
  EXPECT_EQ(strings[1].delivered.size(), 1u);
  EXPECT_THAT(strings[0].delivered, IsEmpty());
  strings[0].report = nobody();
  strings[0].report->shares = {{}, {.now = 2, .departures = 1}};
  after(0.1);
  EXPECT_EQ(strings[1].told.size(), 2u) << "nothing new";
  strings[0].report = nobody();
  strings[0].report->shares = {{}, {.departures = 3, .emptied = 1}};
  after(0.1);
  EXPECT_EQ(strings[1].told.back(), "share 1: 0 3 1");
}

TEST_F(LeadingTwo, ALostWorkerMakesTheResultInvalid) {
  come();
  strings[1].trouble = "worker 2: it went away";
  after(0.1);
  after(0.1);
  EXPECT_TRUE(conductor->over());
  EXPECT_EQ(conductor->result().outcome, Outcome::invalid);
  EXPECT_THAT(conductor->result().trouble, HasSubstr("worker 2: it went away"));
}

}  // namespace
}  // namespace courier::load
