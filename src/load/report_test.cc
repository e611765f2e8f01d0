// What is written about a run: page, comparison, estimate, and that results survive being written.
#include "load/report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "load/compare.h"
#include "load/estimate.h"
#include "load/limits.h"
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

TEST(Result, WhatCannotBeIsNamed) {
  using Json = nlohmann::ordered_json;
  RunResult whole = result();
  whole.notes = {"a note"};
  const Json good = Json::parse(to_json(whole));
  ASSERT_TRUE(from_json(good.dump()));
  struct Case {
    const char *pointer, *value, *said;
  };
  const Case cases[] = {
      {"/clients", "-5", "clients: expected a whole number from 0 to 2560000000, and not -5"},
      {"/clients", "1e300", "clients: expected a whole number"},
      {"/clients", "2.5", "clients: expected a whole number"},
      {"/workers", "0", "workers: expected a whole number from 1"},
      {"/seconds", "-0.1", "seconds: expected a number from 0 to 1e+11, and not -0.1"},
      {"/seconds", "1e300", "seconds: expected a number"},
      {"/seconds", "null", "seconds: expected a number from 0 to 1e+11, and not null"},
      {"/started_at_ms", "-1", "started_at_ms: "},
      {"/outcome", "\"splendid\\u001b[2J\"", "outcome: there is no outcome \"splendid\\x1b[2J\""},
      {"/stages", "null", "stages: expected a list, and not null"},
      {"/stages/0", "[]", "stages[0]: expected a map, and not a list"},
      {"/stages/0/tally", "{}", "stages[0].tally.latencies: is not there"},
      {"/vars", "{\"a\":1}", "vars.a: expected text, and not 1"},
      {"/total/counts", "{\"publish.sent\":1e300}", "total.counts.publish.sent: expected a whole number"},
      {"/total/counts", "{\"publish.sent\":18446744073709551615}", "total.counts.publish.sent: expected"},
      {"/total/counts", "{\"publish.sunk\":1}", "total.counts.publish.sunk: there is no such count"},
      {"/total/latencies/delivery.e2e/buckets", "[[1]]",
       "total.latencies.delivery.e2e.buckets[0]: no bucket"},
      {"/total/latencies/delivery.e2e/buckets", "[[1,2,3]]", "buckets[0]: 3 items, and 2 at most"},
      {"/total/latencies/delivery.e2e/buckets", "[[9999,2]]",
       "total.latencies.delivery.e2e: times that cannot be"},
      {"/total/latencies/delivery.e2e/buckets", "[[4294967296,2]]", "buckets[0]: no bucket"},
      {"/total/latencies/delivery.e2e/max_ns", "-1", "delivery.e2e.max_ns: expected a whole number"},
      {"/total/reasons", "{\"why\":-1}", "total.reasons.why: "},
      {"/series/1/stage", "2", "series[1].stage: expected a whole number from 0 to 1, and not 2"},
      {"/series/1/at", "\"soon\"", "series[1].at: expected a number from 0 to 1e+11, and not \"soon\""},
      {"/series/0/tally/counts", "[]", "series[0].tally.counts: expected a map, and not a list"},
      {"/verdicts/0/held", "1", "verdicts[0].held: expected true or false, and not 1"},
      {"/scraped/0/points", "[[1,2],[3]]", "scraped[0].points[1]: no time and value"},
      {"/scraped/0/points", "[[1,\"x\"]]", "scraped[0].points[0][1]: expected a number"},
      {"/notes/0", "{}", "notes[0]: expected text, and not a map"},
  };
  for (const Case& each : cases) {
    Json bad = good;
    bad[Json::json_pointer(each.pointer)] = Json::parse(each.value);
    const auto back = from_json(bad.dump());
    ASSERT_FALSE(back) << each.pointer << " = " << each.value;
    EXPECT_THAT(back.error().message, HasSubstr(each.said));
    EXPECT_THAT(back.error().message, HasSubstr("not a result of courier load: "));
  }
  Json huge = good;
  huge["verdicts"] = Json::array();
  for (size_t i = 0; i <= kThresholdsMax; ++i) huge["verdicts"].push_back(good["verdicts"][0]);
  EXPECT_THAT(from_json(huge.dump()).error().message,
              HasSubstr("verdicts: 1001 items, and 1000 at most can be"));
  EXPECT_FALSE(from_json("{\"courier_load_result\":1,\"seconds\":1e999}")) << "infinity";
  EXPECT_FALSE(from_json("{\"courier_load_result\":1,\"seconds\":NaN}"));
  EXPECT_FALSE(from_json(std::string(1'000'000, '[')));
}

// Every field is asked for what it must be: whatever stands in the place of any of them, nothing breaks.
TEST(Result, AnyFieldMayBeAnythingAndNothingBreaks) {
  using Json = nlohmann::ordered_json;
  const Json good = Json::parse(to_json(result()));
  size_t refused = 0, places = 0;
  const Json flat = good.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const char* odd : {"null", "-1", "1e300", "[]", "{}", "[[]]", "\"\\u0000\"", "true"}) {
      Json bad = good;
      bad[Json::json_pointer(pointer)] = Json::parse(odd);
      ++places;
      const auto back = from_json(bad.dump());
      if (!back) {
        ++refused;
      } else {
        EXPECT_FALSE(to_html(*back).empty());
        EXPECT_FALSE(compare(*back, *back, 0.1).text.empty());
      }
    }
  }
  EXPECT_GT(places, 400u);
  EXPECT_GT(refused, places / 2);
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

TEST(Summary, OfAllThatIsCountedFitsAScreenOf80Columns) {
  RunResult all = result();
  for (uint64_t& count : all.total.counts) count = 1'234'567;
  all.total[Count::delivery_excused] = 99;
  const std::string text = summary(all);
  EXPECT_THAT(text, HasSubstr("owed no longer 99"));
  const size_t delivered = text.find("delivered ");
  ASSERT_NE(delivered, std::string::npos);
  for (size_t at = text.find("connections "); at < text.find("replies ");) {
    const size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 80u) << text.substr(at, end - at);
    at = end + 1;
  }
}

}  // namespace
}  // namespace courier::load
