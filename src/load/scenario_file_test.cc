#include "load/scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/shown_text.h"
#include "base/utf8.h"
#include "load/limits.h"

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

TEST(AScenario, MayNameBrokersBehindTlsAndWebSocket) {
  const std::string text = changed("[ \"mqtt://127.0.0.1:1883\" ]",
                                   "[ \"mqtts://a\", \"ws://b:81/x?y=1\", \"wss://[::1]\" ]\n"
                                   "  tls: { ca_file: ca.pem, certificate: me.pem, key: me.key }");
  Findings findings("storm.yaml", text);
  const auto scenario = read_scenario(text, {}, findings);
  ASSERT_TRUE(scenario) << findings.describe();
  check_sense(*scenario, findings);
  EXPECT_EQ(findings.describe(), "");
  const Target& target = scenario->target;
  ASSERT_EQ(target.brokers.size(), 3u);
  EXPECT_EQ(target.brokers[0].scheme, client::Scheme::mqtts);
  EXPECT_EQ(target.brokers[0].addresses[0].port, 8883);
  EXPECT_EQ(target.brokers[1].addresses[0].host, "b");
  EXPECT_EQ(target.brokers[1].addresses[0].port, 81);
  EXPECT_EQ(target.brokers[1].path, "/x?y=1");
  EXPECT_EQ(target.brokers[2].addresses[0].host, "::1");
  EXPECT_EQ(target.brokers[2].addresses[0].port, 443);
  EXPECT_EQ(target.brokers[2].path, "/mqtt");
  EXPECT_EQ(target.tls.ca_file, "ca.pem");
  EXPECT_EQ(target.tls.key, "me.key");
  EXPECT_FALSE(target.tls.insecure);
}

TEST(AScenario, MaySayWhereClientsGoInsteadOfABrokerThatIsAway) {
  const std::string text = changed("[ \"mqtt://127.0.0.1:1883\" ]", "[ \"mqtt://a,[::1]:1884,b:1885\" ]");
  Findings findings("storm.yaml", text);
  const auto scenario = read_scenario(text, {}, findings);
  ASSERT_TRUE(scenario) << findings.describe();
  const auto& addresses = scenario->target.brokers.at(0).addresses;
  ASSERT_EQ(addresses.size(), 3u);
  EXPECT_EQ(addresses[0].host, "a");
  EXPECT_EQ(addresses[0].port, 1883);
  EXPECT_EQ(addresses[1].host, "::1");
  EXPECT_EQ(addresses[2].port, 1885);
  EXPECT_NE(findings_of(changed("[ \"mqtt://127.0.0.1:1883\" ]", "[ \"mqtt://a,\" ]")), "");
}

TEST(AScenario, IsReadWhole) {
  Findings findings("storm.yaml", sample());
  const auto scenario = read_scenario(sample(), {{"drivers", "2000"}}, findings);
  ASSERT_TRUE(scenario) << findings.describe();
  check_sense(*scenario, findings);
  EXPECT_EQ(findings.describe(), "");
  EXPECT_EQ(scenario->seed, 42u);
  EXPECT_EQ(scenario->target.proxy_protocol, ProxyProtocol::v1);
  EXPECT_EQ(scenario->target.brokers[0].addresses[0].port, 1883);
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
  EXPECT_EQ(scenario->lag_ms_max, kLagMsMax) << "nothing is said";
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
      {"drivers: 200000", "drivers: many",
       "expected a whole number, and not \"${drivers}\", which is \"many\""},
      {"drivers: 200000", "drivers: [ 1 ]", "expected names and their values, and not a list"},
      {"delivery.lost == 0", "delivery.lost == -1", "expected a number after \"==\", and not \"-1\""},
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
      {"{ hold: 13m }", "{ holds: 13m }", "a stretch has no key \"holds\"; did you mean \"hold\"?"},
      {"{ hold: 13m }", "{ over: 13m }", "expected a rate such as 200/s, or a list of stretches"},
      {"{ hold: 13m }", "{ hold: 13m, from: 1/s }", "a stretch that holds a rate has no key \"from\""},
      {"{ size: 600B }", "{ siz: 600B }", "a payload has no key \"siz\"; did you mean \"size\"?"},
      {"password: { jwt:", "password: { jtw:", "a password has no key \"jtw\"; did you mean \"jwt\"?"},
      {"key_env:", "key_evn:", "jwt has no key \"key_evn\"; did you mean \"key_env\"?"},
      {"grace: 30s", "grase: 30s", "a threshold has no key \"grase\"; did you mean \"grace\"?"},
      {"think: { median", "think: { medium", "think has no key \"medium\"; did you mean \"median\"?"},
      {"first: 1s", "frist: 1s", "reconnect has no key \"frist\"; did you mean \"first\"?"},
      {"from: drivers", "form: drivers", "pick has no key \"form\"; did you mean \"from\"?"},
      {"within: 5s", "with: 5s", "expect_reply has no key \"with\""},
      {"until: { connected: 99.9%", "until: { conected: 99.9%", "did you mean \"connected\"?"},
      {"until: { connected: 99.9%", "until: { drained: true, connected: 99.9%",
       "expected one of { connected"},
      {"group: [drivers, dispatch]", "group: []",
       "expected a group's name, or a list of them, and not a list"},
      {"seed: 42", "x: { count: ${drivers} }", "a variable stands in quotation marks: \"${name}\""},
      {"client_id: \"dispatch-{n}\"", "client_id: \"drv-{n:06}\"", "have the same client ids"},
      {"127.0.0.2-127.0.0.40", "127.0.0.40-127.0.0.2", "is not an address, nor a range"},
      {"\"mqtt://127.0.0.1:1883\"", "\"http://127.0.0.1\"", "mqtt, mqtts, ws and wss are spoken"},
      {"\"mqtt://127.0.0.1:1883\"", "\"127.0.0.1:70000\"", "expected a broker such as"},
      {"\"mqtt://127.0.0.1:1883\"", "\"ws://127.0.0.1/a b\"", "expected a broker such as"},
      {"proxy_protocol: v1", "tls: { insecure: true }", "none has that"},
      {"proxy_protocol: v1", "tls: { certificate: me.pem }", "only one is given"},
      {"proxy_protocol: v1", "tls: { cafile: ca.pem }", "did you mean \"ca_file\"?"},
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
      {"topic: \"driver/{n}/ack\", qos: 1, payload", "topic: \"driver/{n}/orders\", qos: 1, payload",
       "will answer without end"},
      {"orders_rate: 2000/s", "orders_rate: 2000/s, further: 3", "the variable \"further\" is not used"},
      {"to: \"${orders_rate}\"", "to: 200000/s",
       "asks for 200000/s messages: more than one process is likely"},
      {"over: 3m, shape", "over: 100ms, shape",
       "connects a second: more than one process is likely to reach"},
      {"timeout: 8m", "timeout: 2m", "stage \"storm\" ends after 120 s, before this step connects everybody"},
      {"duration: 15m", "duration: 0s", "stage \"orders\" lasts no time"},
      {"abort: true, grace", "abort: false, grace", "grace is for thresholds that abort"},
      {"- storm:  connect.connack p99 < 2s",
       "- orders: subscribe.suback p99 < 2s\n  - storm: reply.rtt p99 < 2s",
       "stage \"storm\" has no step that publishes and expects a reply: reply.rtt is not measured"},
      {"- orders: delivery.e2e", "- storm: delivery.e2e", "stage \"storm\" has no step that publishes"},
      {"- storm:  connect.ok_ratio >= 99.9%", "- storm:  publish.ack_ratio >= 99.9%",
       "stage \"storm\" has no step that publishes with QoS 1 or 2: publish.ack_ratio"},
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

TEST(HostileFiles, AreShownHarmlesslyAndInBrief) {
  // The bytes of a program, of a picture, of a pipe that was no file: nothing for a terminal to obey.
  std::string binary = "courier_load: 1\n";
  for (int i = 0; i < 4'000; ++i) binary += static_cast<char>((i * 7) % 255 + 1);
  const std::string said = findings_of(binary + "\n\x1b[2J: [");
  EXPECT_THAT(said, HasSubstr("error: "));
  EXPECT_TRUE(is_well_formed_utf8(said));
  for (const char c : said) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= ' ') << said;
  EXPECT_THAT(findings_of(changed("seed: 42", "\"\\e[31mse\\x9bed\": 42")),
              HasSubstr(R"(no key "\x1b[31mse\u{9b}ed")"));
  EXPECT_THAT(findings_of(changed("name: morning", "name: \"\\e[2J\" #")), HasSubstr("cannot be shown"));
  EXPECT_THAT(findings_of(changed("- name: storm", "- name: \"\\u202estorm\"")),
              HasSubstr("cannot be shown"));
}

TEST(HostileFiles, OfOneLongLineShowTheMarkWhereItBelongs) {
  for (const std::string filler : {"x", "ä", "\x01", "\xff"}) {
    std::string line = "{ courier_load: 1, \"";
    for (int i = 0; i < 500; ++i) line += filler;
    const size_t at = line.size();
    line += "\": @, ";
    for (int i = 0; i < 100'000; ++i) line += "b, ";
    Findings findings("x", line);
    findings.error({1, static_cast<uint32_t>(at + 4)}, "here");
    const std::string said = findings.describe();
    const size_t text = said.find("    1 | ") + 8, mark = said.find("      | ", text) + 8;
    const std::string shown_line = said.substr(text, said.find('\n', text) - text);
    EXPECT_LE(columns_of(shown_line), kShownLineMax) << shown_line;
    EXPECT_GT(columns_of(shown_line), kShownLineMax - 8) << shown_line;
    const size_t column = said.find('^', mark) - mark, found = shown_line.find('@');
    ASSERT_NE(found, std::string::npos) << shown_line;
    EXPECT_EQ(columns_of(shown_line.substr(0, found)), column) << said;
  }
  // A message does not repeat all of it either.
  EXPECT_LT(findings_of("{ courier_load: 1, " + std::string(100'000, 'k') + ": 1 }").size(), 5'000u);
}

TEST(HostileFiles, HoldNoSecondScenario) {
  EXPECT_THAT(findings_of(sample() + "---\n" + sample()), HasSubstr("a second document begins here"));
  // Which would be one empty document after the other, without end.
  EXPECT_THAT(findings_of("name: x\nvars: { a: \"b:}/ore }\nthresholds:\n  - all: \"c\n"),
              HasSubstr("error: "));
  EXPECT_THAT(findings_of("name: x\n}\n"), HasSubstr("storm.yaml:2:1: error: this is not YAML"));
  EXPECT_THAT(findings_of("}"), HasSubstr("error: "));
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
