#include "load/quick.h"

#include <gmock/gmock.h>

#include "load/scenario_file.h"

namespace courier::load {
namespace {

std::optional<Scenario> read(const QuickOptions& options) {
  const std::string text = quick_scenario(options);
  Findings findings("quick", text);
  auto scenario = read_scenario(text, {}, findings);
  if (scenario) check_sense(*scenario, findings);
  // Whoever publishes to nobody has asked for that.
  if (options.kind == QuickKind::pub) {
    EXPECT_FALSE(findings.has_errors()) << findings.describe();
  } else {
    EXPECT_EQ(findings.describe(), "") << text;
  }
  return scenario;
}

TEST(Quick, EveryKindIsAScenarioThatMakesSense) {
  for (const QuickInfo& info : kQuickKinds) {
    for (const bool limited : {false, true}) {
      QuickOptions options{.kind = info.kind};
      if (limited) options.limit = 5;
      EXPECT_TRUE(read(options)) << info.name;
    }
  }
}

TEST(Quick, FlagsAreInForce) {
  const auto scenario = read({.kind = QuickKind::p2p,
                              .broker = "mqtt://[::1]:2883",
                              .count = 1000,
                              .connect_rate = 500,
                              .interval_ms = 100,
                              .size_bytes = 77,
                              .qos = 2,
                              .topic = "a/\"b\"/%i",
                              .duration_s = 33,
                              .version = "5",
                              .username = "user%i",
                              .password = "p\\w",
                              .prefix = "x",
                              .keep_alive_s = 0,
                              .proxy_protocol = "v2",
                              .sources = "127.0.0.2-127.0.0.5",
                              .seed = 9,
                              .lag_ms_max = 700});
  ASSERT_TRUE(scenario);
  EXPECT_EQ(scenario->seed, 9u);
  EXPECT_EQ(scenario->lag_ms_max, 700);
  EXPECT_EQ(scenario->target.brokers.at(0).addresses[0].port, 2883);
  EXPECT_EQ(scenario->target.proxy_protocol, ProxyProtocol::v2);
  const Group& receivers = scenario->groups.at(0);
  EXPECT_EQ(receivers.count, 1000u);
  EXPECT_EQ(receivers.mqtt.version, mqtt::Version::v5);
  EXPECT_EQ(receivers.mqtt.keep_alive_seconds, 0);
  EXPECT_EQ(receivers.username.fill({.number = 4}), "user4");
  EXPECT_EQ(receivers.password->fill({}), "p\\w");
  EXPECT_EQ(std::get<ConnectStep>(scenario->stages.at(0).steps.at(0).what).over_ms, 2040);
  const auto& publish = std::get<PublishStep>(scenario->stages.at(1).steps.at(0).what);
  EXPECT_DOUBLE_EQ(publish.rate.rate_at(0), 10'000) << "each of a thousand every 100 ms";
  EXPECT_EQ(publish.payload.size_bytes, 77u);
  EXPECT_EQ(publish.qos, mqtt::Qos::exactly_once);
  EXPECT_EQ(*scenario->stages.at(1).duration_ms, 33'000);
}

TEST(Quick, ALimitEndsIt) {
  const auto scenario = read({.kind = QuickKind::fanout, .rate = 50, .limit = 5});
  ASSERT_TRUE(scenario);
  EXPECT_FALSE(scenario->stages.at(1).duration_ms);
  EXPECT_EQ(std::get<PublishStep>(scenario->stages.at(1).steps.at(0).what).count, 5u);
}

}  // namespace
}  // namespace courier::load
