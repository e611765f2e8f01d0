// What is written about a run: page, comparison, estimate, and that results survive being written.
#include "load/report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "load/compare.h"
#include "load/estimate.h"
#include "load/scenario_file.h"

namespace courier::load {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RunResult result() {
  RunResult run{.scenario = "a </script><b> story", .version = "1", .seed = 3, .clients = 4};
  run.vars = {{"rate", "5/s"}};
  run.seconds = 2.2;
  for (int second = 1; second <= 2; ++second) {
    Second point{.at = static_cast<double>(second), .connected = 4};
    point.tally[Latency::delivery_e2e].record(2'000'000 * second, 50);
    point.tally[Count::delivery_received] = 50;
    run.total.merge(point.tally);
    run.series.push_back(point);
  }
  run.series.push_back({.at = 2.2});
  run.total.add_reason("connect: <img>", 2);
  run.stages.push_back({.name = "push", .began = 0, .ended = 2, .tally = run.total});
  run.verdicts.push_back({.stage = "push", .condition = "delivery.lost == 0", .held = true, .judged = true});
  run.scraped.push_back(
      {.name = "process_cpu_seconds_total", .title = "CPU", .unit = "cores", .points = {{1, 0.5}}});
  return run;
}

nlohmann::json data_of(const std::string& page) {
  const std::string begin = "type=\"application/json\">";
  const size_t from = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(Report, CarriesItsFiguresAndNothingEndsThemEarly) {
  const std::string page = to_html(result());
  const auto data = data_of(page);
  EXPECT_EQ(data.at("scenario"), "a </script><b> story");
  EXPECT_EQ(data.at("outcome"), "passed");
  ASSERT_EQ(data.at("series").size(), 2u) << "the last fifth of a second would show noise";
  EXPECT_DOUBLE_EQ(data.at("series")[1].at("arrived"), 50);
  EXPECT_NEAR(data.at("series")[1].at("delivery").at("p50").get<double>(), 0.004, 0.0001);
  EXPECT_EQ(data.at("reasons")[0][0], "connect: <img>");
  EXPECT_EQ(data.at("scraped")[0].at("title"), "CPU");
  EXPECT_EQ(data.at("counts")[0].at("stages")[0], 100);
}

TEST(Report, ALongRunHasNoMorePointsThanThereIsRoomFor) {
  RunResult run = result();
  run.series.clear();
  for (int second = 1; second <= 10'000; ++second) {
    Second point{.at = static_cast<double>(second)};
    point.tally[Count::publish_sent] = 7;
    run.series.push_back(point);
  }
  const auto data = data_of(to_html(run));
  EXPECT_LE(data.at("series").size(), 1'000u);
  for (const auto& point : data.at("series")) EXPECT_DOUBLE_EQ(point.at("sent"), 7);
}

TEST(Result, ComesBackFromJson) {
  const RunResult sent = result();
  const auto back = from_json(to_json(sent));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_json(*back), to_json(sent));
  EXPECT_EQ(to_html(*back), to_html(sent));
}

TEST(Result, WhatIsNoneIsToldSo) {
  for (const std::string text :
       {"", "{}", "[]", "{\"courier_load_result\":2}", "{\"courier_load_result\":\"x\"}"}) {
    const auto back = from_json(text);
    ASSERT_FALSE(back) << text;
    EXPECT_THAT(back.error().message, HasSubstr("not a result of courier load"));
  }
}

TEST(Compare, SaysWhatIsWorse) {
  const RunResult before = result();
  RunResult after = result();
  EXPECT_FALSE(compare(before, after, 0).worse);
  EXPECT_THAT(compare(before, after, 0).text, Not(HasSubstr("note:")));
  after.total[Latency::delivery_e2e].record(8'000'000, 100);
  const ResultComparison slower = compare(before, after, 0.1);
  EXPECT_TRUE(slower.worse);
  EXPECT_THAT(slower.text, HasSubstr("×2.0"));
  EXPECT_FALSE(compare(before, after, 1.5).worse) << "within the tolerance";
  EXPECT_FALSE(compare(after, before, 0).worse) << "better";
}

TEST(Compare, LossIsWorseWhateverTheTolerance) {
  RunResult after = result();
  after.total[Count::delivery_lost] = 1;
  EXPECT_TRUE(compare(result(), after, 100).worse);
}

TEST(Compare, SaysWhatMakesTheTwoHardToCompare) {
  RunResult after = result();
  after.clients = 5;
  after.vars = {{"rate", "6/s"}};
  after.outcome = Outcome::invalid;
  const std::string text = compare(result(), after, 0.1).text;
  EXPECT_THAT(text, HasSubstr("the number of clients differs: 4 and 5"));
  EXPECT_THAT(text, HasSubstr("the variable rate differs: 5/s and 6/s"));
  EXPECT_THAT(text, HasSubstr("the second result is invalid"));
}

TEST(Estimate, CountsMessagesDeliveriesAndPorts) {
  const std::string text = R"(
courier_load: 1
name: x
target: { brokers: [ "mqtt://127.0.0.1:1883" ] }
groups:
  phones: { count: 1000, subscribe: [ { topic: "news", qos: 1 }, { topic: "own/{n}", qos: 1 } ] }
  desk: { count: 1 }
stages:
  - name: come
    steps: [ { connect: { group: [phones, desk], over: 10s } } ]
  - name: news
    duration: 60s
    steps:
      - publish: { group: desk, rate: 2/s, topic: news }
      - publish: { group: desk, rate: 10/s, topic: "own/{pick}", pick: { from: phones } }
)";
  Findings findings("x", text);
  const auto scenario = read_scenario(text, {}, findings);
  ASSERT_TRUE(scenario) << findings.describe();
  const std::string cost = estimate(*scenario);
  EXPECT_THAT(cost, HasSubstr("come        10 s, 1001 connects"));
  EXPECT_THAT(cost, HasSubstr("720 messages (12/s), 120600 deliveries"));
  EXPECT_THAT(cost, HasSubstr("70 s, 720 messages, 120600 deliveries"));
}

}  // namespace
}  // namespace courier::load
