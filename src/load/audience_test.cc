#include "load/audience.h"

#include <gtest/gtest.h>

namespace courier::load {
namespace {

TextTemplate text(std::string_view written) {
  return *TextTemplate::parse(written);
}

class Topics : public testing::Test {
 protected:
  Topics() {
    Group drivers{.name = "drivers", .count = 1000, .client_id = text("d-{n}")};
    drivers.subscribe = {{text("driver/{n}/orders"), mqtt::Qos::at_least_once},
                         {text("news/+"), mqtt::Qos::at_most_once},
                         {text("fleet/v{n:04}/#"), mqtt::Qos::at_most_once}};
    Group dispatch{.name = "dispatch", .count = 20, .client_id = text("b-{n}")};
    dispatch.subscribe = {{text("$share/load/driver/+/ack"), mqtt::Qos::exactly_once}};
    Group others = dispatch;
    others.name = "others";
    scenario.groups = {drivers, dispatch, others};
  }
  std::vector<Audience::Receivers> of(std::string_view topic) {
    const Audience audience(scenario);
    std::vector<Audience::Receivers> out;
    std::string scratch;
    audience.of(topic, out, scratch);
    return out;
  }
  Scenario scenario;
};

TEST_F(Topics, WithANumberBelongToOneClient) {
  const auto receivers = of("driver/17/orders");
  ASSERT_EQ(receivers.size(), 1u);
  EXPECT_EQ(receivers[0].first, 17u);
  EXPECT_EQ(receivers[0].count, 1u);
  EXPECT_EQ(receivers[0].qos, mqtt::Qos::at_least_once);
  EXPECT_TRUE(of("driver/1000/orders").empty()) << "there is no such client";
  EXPECT_TRUE(of("driver/017/orders").empty()) << "it would not be filled in like that";
  EXPECT_TRUE(of("driver/x/orders").empty());
  EXPECT_TRUE(of("driver/17/orders/more").empty());
  EXPECT_EQ(of("fleet/v0017/a/b").at(0).first, 17u);
  EXPECT_TRUE(of("fleet/v17/a").empty());
}

TEST_F(Topics, WithoutANumberBelongToTheGroup) {
  const auto receivers = of("news/today");
  ASSERT_EQ(receivers.size(), 1u);
  EXPECT_EQ(receivers[0].first, 0u);
  EXPECT_EQ(receivers[0].count, 1000u);
}

TEST_F(Topics, OfASharedSubscriptionHaveOneReceiverAcrossGroups) {
  const auto receivers = of("driver/3/ack");
  ASSERT_EQ(receivers.size(), 1u);
  EXPECT_EQ(receivers[0].share, 0u);
  const Audience audience(scenario);
  EXPECT_EQ(audience.shares(), 1u);
  EXPECT_EQ(audience.share_of(1, 0), 0u);
  EXPECT_EQ(audience.share_of(2, 0), 0u);
  EXPECT_EQ(audience.share_of(0, 0), Audience::Receivers::kNoShare);
}

TEST_F(Topics, AClientWithSeveralThatMatchIsOneReceiverWithTheHighestQos) {
  Group& drivers = scenario.groups[0];
  drivers.subscribe = {{text("a/{n}"), mqtt::Qos::at_most_once},
                       {text("a/#"), mqtt::Qos::at_least_once},
                       {text("+/17"), mqtt::Qos::exactly_once}};
  std::vector<uint32_t> matching(drivers.count);
  std::vector<mqtt::Qos> qos(drivers.count);
  for (const auto& each : of("a/17")) {
    for (uint32_t client = each.first; client < each.first + each.count; ++client) {
      ASSERT_EQ(matching.at(client), 0u) << client << " is there twice";
      matching.at(client) = each.matching;
      qos.at(client) = each.qos;
    }
  }
  for (uint32_t client = 0; client < drivers.count; ++client) {
    EXPECT_EQ(matching[client], client == 17 ? 3u : 2u) << client;
    EXPECT_EQ(qos[client], mqtt::Qos::exactly_once) << client;
  }
}

TEST_F(Topics, OfASharedSubscriptionAreOwedTheLowestQosOfItsMembers) {
  scenario.groups[2].subscribe[0].qos = mqtt::Qos::at_least_once;
  EXPECT_EQ(of("driver/3/ack").at(0).qos, mqtt::Qos::at_least_once);
}

TEST_F(Topics, ClientsAreNumberedThroughTheGroups) {
  const Audience audience(scenario);
  EXPECT_EQ(audience.clients(), 1040u);
  EXPECT_EQ(audience.first_of(1), 1000u);
  EXPECT_EQ(audience.member(1019).group, 1u);
  EXPECT_EQ(audience.member(1019).number, 19u);
  EXPECT_EQ(audience.member(1020).group, 2u);
}

}  // namespace
}  // namespace courier::load
