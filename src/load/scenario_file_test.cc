#include "load/scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

namespace courier::load {
namespace {

using testing::HasSubstr;

std::string sample() {
  std::ifstream file(SAMPLES_DIR "/morning_storm.yaml");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The sample with one piece of text for another.
std::string changed(std::string_view from, std::string_view to) {
  std::string text = sample();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string findings_of(const std::string& text, const Overrides& set = {}) {
  Findings findings("storm.yaml", text);
  if (const auto scenario = read_scenario(text, set, findings)) check_sense(*scenario, findings);
  return findings.describe();
}

TEST(AScenario, IsReadWhole) {
  Findings findings("storm.yaml", sample());
  const auto scenario = read_scenario(sample(), {{"drivers", "2000"}}, findings);
  ASSERT_TRUE(scenario) << findings.describe();
  check_sense(*scenario, findings);
  EXPECT_EQ(findings.describe(), "");
  EXPECT_EQ(scenario->seed, 42u);
  EXPECT_EQ(scenario->target.proxy_protocol, ProxyProtocol::v1);
  EXPECT_EQ(scenario->target.brokers[0].port, 1883);
  ASSERT_EQ(scenario->groups.size(), 2u);
  const Group& drivers = scenario->groups[0];
  EXPECT_EQ(drivers.count, 2000u);
  EXPECT_EQ(drivers.client_id.fill({.number = 7}), "drv-000007");
  EXPECT_EQ(drivers.jwt->claims[0].first, "rid");
  EXPECT_EQ(drivers.jwt->ttl_ms, 7'200'000);
  EXPECT_FALSE(drivers.mqtt.clean_session);
  EXPECT_EQ(drivers.on_message[0].think.p99_ms, 400);
  EXPECT_EQ(drivers.on_message[0].payload.text.text(), R"({"id":"{msg.id}"})");
  ASSERT_EQ(scenario->stages.size(), 2u);
  const auto& connect = std::get<ConnectStep>(scenario->stages[0].steps[0].what);
  EXPECT_EQ(connect.groups, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(connect.shape, Shape::front_loaded);
  EXPECT_DOUBLE_EQ(scenario->stages[0].until->share, 0.999);
  const auto& publish = std::get<PublishStep>(scenario->stages[1].steps[0].what);
  EXPECT_EQ(publish.rate, RateCurve({{120'000, 200, 2000}, {780'000, 2000, 2000}}));
  EXPECT_EQ(publish.payload.size_bytes, 600u);
  EXPECT_EQ(publish.pick->distribution, Distribution::zipf);
  const auto& flap = std::get<FlapStep>(scenario->stages[1].steps[1].what);
  EXPECT_EQ(flap.how.size(), 3u);
  ASSERT_EQ(scenario->thresholds.size(), 5u);
  EXPECT_EQ(scenario->thresholds[1].limit, 2);
  EXPECT_TRUE(scenario->thresholds[3].abort);
  EXPECT_FALSE(scenario->thresholds[4].stage);
  EXPECT_EQ(scenario->output.html, "storm.html");
}

TEST(AMistake, IsShownWithItsLineAndWhatWasMeant) {
  EXPECT_EQ(findings_of(changed("keepalive: 60s", "keepalife: 60s")),
            "storm.yaml:16:51: error: mqtt has no key \"keepalife\"; did you mean \"keepalive\"?\n"
            "   16 |     mqtt: { version: 3.1.1, clean_session: false, keepalife: 60s }\n"
            "      |                                                   ^\n");
}

struct Case {
  const char *from, *to, *said;
};

TEST(AMistake, OfEachKindIsNamed) {
  const Case cases[] = {
      {"count: ${drivers}", "count: ${driver}", "no variable \"driver\" in vars; did you mean \"drivers\"?"},
      {"count: ${drivers}", "count: many", "expected a whole number, and not \"many\""},
      {"count: ${drivers}", "count: 0", "from 1 to"},
      {"qos: 1 } ]\n    on", "qos: 3 } ]\n    on", "expected 0, 1 or 2, and not \"3\""},
      {"version: 3.1.1", "version: 4", "expected 3.1, 3.1.1 or 5"},
      {"shape: front_loaded", "shape: front-loaded", "did you mean \"front_loaded\"?"},
      {"group: [drivers, dispatch]", "group: [driver]", "no group \"driver\"; did you mean \"drivers\"?"},
      {"from: drivers", "from: phones", "no group \"phones\""},
      {"over: 3m", "over: 3 minutes", "expected a duration such as"},
      {"up: 20s..90s", "up: 90s..20s", "a range of durations"},
      {"share: 1%", "share: 1", "expected a share such as 99.9%"},
      {"size: 600B", "size: 16B", "too few"},
      {"from: 200/s", "from: 200", "expected a rate such as"},
      {"{ hold: 13m }", "{ holds: 13m }", "expected a rate such as 200/s, or a list of stretches"},
      {"\"mqtt://127.0.0.1:1883\"", "\"http://127.0.0.1\"", "only mqtt:// is spoken"},
      {"\"mqtt://127.0.0.1:1883\"", "\"127.0.0.1:70000\"", "expected a broker such as"},
      {"p99 < 2s", "p99 < 2", "expected a duration such as 250ms"},
      {"p99 < 2s", "< 2s", "say which, p50"},
      {"connect.ok_ratio >=", "connect.okratio >=", "did you mean \"connect.ok_ratio\"?"},
      {"delivery.lost == 0", "delivery.lost = 0", "expected <, <=, >, >= or =="},
      {"- storm:  connect.connack", "- strom:  connect.connack",
       "no stage \"strom\"; did you mean \"storm\"?"},
      {"{ connect:", "{ conect:", "did you mean \"connect\"?"},
      {"driver/{n}/orders\", qos", "driver/{m}/orders\", qos", "\"{m}\" is nothing that can be filled in"},
      {"client_id: \"drv-{n:06}\"", "client_id: \"drv\"", "all have the client id"},
      {"topic: \"driver/{pick}/orders\", pick: { from: drivers, distribution: zipf }",
       "topic: \"driver/{pick}/orders\"", "there is no pick"},
      {"topic: \"driver/{pick}/orders\"", "topic: \"driver/+/orders\"", "not a legal topic name"},
      {"- name: orders\n    duration: 15m", "- name: orders", "never ends"},
      {"group: [drivers, dispatch]", "group: [drivers]", "group \"dispatch\" is not connected"},
      {"timeout: 8m", "timeout: 8m\n    timeout: 9m", "stands here twice"},
      {"courier_load: 1", "courier_load: 2", "from 1 to 1"},
      {"- name: storm\n    timeout", "- timeout", "a stage needs \"name\""},
      {"seed: 42", "seed: [", "not YAML"},
      {"first: 1s", "first: 2m", "\"first\" is longer than \"max\""},
      {"median: 40ms", "median: 4s", "p99 is shorter than median"},
  };
  for (const Case& each : cases) {
    const std::string said = findings_of(changed(each.from, each.to));
    EXPECT_THAT(said, HasSubstr(each.said)) << each.from << " -> " << each.to;
    EXPECT_THAT(said, HasSubstr("error: ")) << each.from << " -> " << each.to;
  }
}

TEST(AWarning, IsGivenForWhatLooksWrong) {
  const Case cases[] = {
      {"topic: \"driver/{pick}/orders\", pick", "topic: \"drivers/{pick}/orders\", pick",
       "nobody subscribes to \"drivers/{pick}/orders\""},
      {"match: \"driver/{n}/orders\"", "match: \"driver/{n}/order\"", "subscribes to nothing that matches"},
      {"    timeout: 8m\n", "", "waits for ever"},
      {"to: \"${orders_rate}\"", "to: 9000000/s", "more than the 20 clients of \"dispatch\""},
      {"  dispatch: {", "  idle: { count: 1 }\n  dispatch: {", "group \"idle\" is never connected"},
      {"payload: { size: 600B }", "payload: hello", "no {id}"},
  };
  for (const Case& each : cases) {
    const std::string said = findings_of(changed(each.from, each.to));
    EXPECT_THAT(said, HasSubstr(each.said)) << each.from << " -> " << each.to;
    EXPECT_THAT(said, HasSubstr("warning: "));
    EXPECT_THAT(said, testing::Not(HasSubstr("error: "))) << each.from << " -> " << each.to;
  }
}

TEST(AnOverride, MustNameAVariable) {
  EXPECT_THAT(findings_of(sample(), {{"driver", "5"}}), HasSubstr("did you mean \"drivers\"?"));
}

TEST(HostileFiles, AreRefusedAndNotObeyed) {
  EXPECT_THAT(findings_of(""), HasSubstr("expected a scenario"));
  EXPECT_THAT(findings_of("- a\n- b\n"), HasSubstr("expected a scenario"));
  EXPECT_THAT(findings_of(std::string(2 << 20, ' ')), HasSubstr("larger than"));
  EXPECT_THAT(findings_of(std::string(5'000, '[')), HasSubstr("error: "));
  EXPECT_THAT(findings_of(changed("name: morning", "name: \x1b[31m\x01 ${drivers} morning")),
              testing::Not(HasSubstr("\x1b")));
  // References to references: what is never asked for is never unfolded.
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k ? ",*a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(findings_of(bomb), HasSubstr("no key \"a0\""));
}

TEST(HostileFiles, HoldNoSecondScenario) {
  EXPECT_THAT(findings_of(sample() + "---\n" + sample()), HasSubstr("a second document begins here"));
  EXPECT_THAT(findings_of(""), HasSubstr("expected a scenario"));
  EXPECT_THAT(findings_of("a: " + std::string(5'000, '[')), HasSubstr("nested too deeply"));
}

TEST(TheSchema, NamesEveryKeyOfTheSample) {
  const auto schema = nlohmann::json::parse(scenario_schema());
  EXPECT_TRUE(schema["properties"].contains("groups"));
  EXPECT_EQ(schema["$defs"]["group"]["properties"]["mqtt"]["$ref"], "#/$defs/mqtt");
  EXPECT_TRUE(schema["$defs"].contains("jwt"));
  // Every reference leads somewhere.
  const std::string text = schema.dump();
  for (size_t at = text.find("#/$defs/"); at != std::string::npos; at = text.find("#/$defs/", at + 1)) {
    const size_t end = text.find('"', at);
    EXPECT_TRUE(schema["$defs"].contains(text.substr(at + 8, end - at - 8))) << text.substr(at, end - at);
  }
}

}  // namespace
}  // namespace courier::load
