// Limits and listeners that change while clients are connected: what a client was promised holds for it, all
// else holds for what comes from then on.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/node_test_bed.h"

namespace courier::gateway {
namespace {

using mqtt::ReasonCode;

void use(Bed& bed, const broker::Limits& limits) {
  bed.node->use(limits);
  bed.gateway->on_every_thread([](broker::Shard&) {});  // mail keeps its order
}

mqtt::Publish message(std::string_view topic, mqtt::Qos qos, uint16_t id, std::string_view payload = "x") {
  mqtt::Publish publish;
  publish.topic = topic;
  publish.qos = qos;
  publish.packet_id = PacketId{id};
  publish.payload = payload;
  return publish;
}

TEST(Changes, AClientKeepsWhatItsConnackPromisedAndTheNextIsPromisedLess) {
  broker::Limits limits;
  limits.receive_maximum = 100;
  limits.packet_bytes_max = 64 * 1024;
  limits.topic_alias_max = 5;
  Bed bed({.limits = limits});
  Phone before(bed.address());
  mqtt::Connack told = before.connect("before");
  EXPECT_EQ(told.receive_maximum, 100);
  EXPECT_EQ(told.maximum_packet_size, 64u * 1024);

  limits.receive_maximum = 1;
  limits.packet_bytes_max = 2048;
  limits.topic_alias_max = 0;
  use(bed, limits);
  Phone after(bed.address());
  told = after.connect("after");
  EXPECT_EQ(told.receive_maximum, 1);
  EXPECT_EQ(told.maximum_packet_size, 2048u);
  EXPECT_FALSE(told.topic_alias_maximum);

  const std::string large(32 * 1024, 'x');
  mqtt::Publish aliased = message("a", mqtt::Qos::at_most_once, 0);
  aliased.topic_alias = 5;
  before.send(aliased);
  before.send(message("a", mqtt::Qos::exactly_once, 1, large));
  before.send(message("a", mqtt::Qos::exactly_once, 2));
  for (const uint16_t id : {1, 2}) EXPECT_EQ(before.expect<mqtt::Pubrec>().packet_id, PacketId{id});

  after.send(message("a", mqtt::Qos::at_most_once, 0, large));
  EXPECT_EQ(after.expect<mqtt::Disconnect>().reason, ReasonCode::packet_too_large);
  Phone second(bed.address());
  second.connect("second");
  second.send(message("a", mqtt::Qos::exactly_once, 1));
  second.expect<mqtt::Pubrec>();
  second.send(message("a", mqtt::Qos::exactly_once, 2));
  EXPECT_EQ(second.expect<mqtt::Disconnect>().reason, ReasonCode::receive_maximum_exceeded);
}

TEST(Changes, OtherLimitsHoldForConnectedClientsToo) {
  broker::Limits limits;
  Bed bed({.limits = limits});
  Phone phone(bed.address());
  phone.connect("phone");
  phone.send(message("a/b/c", mqtt::Qos::at_least_once, 1));
  EXPECT_LT(phone.expect<mqtt::Puback>().reason, ReasonCode::unspecified_error);
  limits.topic_levels_max = 2;
  use(bed, limits);
  phone.send(message("a/b/c", mqtt::Qos::at_least_once, 2));
  EXPECT_EQ(phone.expect<mqtt::Puback>().reason, ReasonCode::topic_name_invalid);
  limits.topic_levels_max = 3;
  use(bed, limits);
  phone.send(message("a/b/c", mqtt::Qos::at_least_once, 3));
  EXPECT_LT(phone.expect<mqtt::Puback>().reason, ReasonCode::unspecified_error);
}

TEST(Changes, MorePromisesThanAByteCountsAreKept) {
  broker::Limits limits;
  limits.receive_maximum = 1000;
  Bed bed({.limits = limits});
  Phone first(bed.address());
  first.connect("first");
  for (uint16_t i = 1; i <= 600; ++i) {
    limits.receive_maximum = i % 2 == 0 ? 2 : static_cast<uint16_t>(i + 2);
    use(bed, limits);
  }
  Phone last(bed.address());
  EXPECT_EQ(last.connect("last").receive_maximum, 2);
  for (uint16_t id = 1; id <= 3; ++id) {
    first.send(message("a", mqtt::Qos::exactly_once, id));
    EXPECT_EQ(first.expect<mqtt::Pubrec>().packet_id, PacketId{id});
    last.send(message("a", mqtt::Qos::exactly_once, id));
    if (id < 3) last.expect<mqtt::Pubrec>();
  }
  EXPECT_EQ(last.expect<mqtt::Disconnect>().reason, ReasonCode::receive_maximum_exceeded);
}

TEST(Changes, AFullInboxIsFoundOutAnewWhenThePolicyOrTheLimitChanges) {
  for (const bool other_policy : {true, false}) {
    broker::Limits limits;
    limits.inbox_policy = broker::InboxPolicy::refuse;
    limits.inbox_messages_max = 2;
    Bed bed({.limits = limits});
    mqtt::Connect persistent;
    persistent.session_expiry_seconds = 1000;
    {
      Phone sleeper(bed.address());
      sleeper.connect("sleeper", persistent);
      mqtt::Subscribe subscribe;
      subscribe.packet_id = PacketId{1};
      subscribe.entries.push_back({"a", {.qos = mqtt::Qos::at_least_once}});
      sleeper.send(subscribe);
      sleeper.expect<mqtt::Suback>();
    }
    Phone publisher(bed.address());
    publisher.connect("publisher");
    uint16_t id = 0;
    const auto publish = [&] {
      publisher.send(message("a", mqtt::Qos::at_least_once, ++id));
      return publisher.expect<mqtt::Puback>().reason;
    };
    EXPECT_TRUE(Bed::soon([&] { return publish() == ReasonCode::quota_exceeded; }));
    if (other_policy) {
      limits.inbox_policy = broker::InboxPolicy::drop_oldest;
    } else {
      limits.inbox_messages_max = 1'000'000;
    }
    use(bed, limits);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(publish(), ReasonCode::success);
  }
}

TEST(Changes, AListenersConnectionsMaxAndProxyPolicyChangeWhileItListens) {
  ListenerOptions options{.name = "door", .bind = Bed::loopback()};
  Bed bed({.listeners = {options}});
  Phone first(bed.address());
  first.connect("first");
  options.connections_max = 1;
  bed.gateway->use(std::vector<ListenerOptions>{options});
  Phone second(bed.address());
  EXPECT_TRUE(second.closed_in_order());
  EXPECT_EQ(bed.gateway->connections(0), 1u);
  options.connections_max = 0;
  options.proxy = *net::ProxyPolicy::open(net::ProxyMode::required, {"127.0.0.0/8"});
  bed.gateway->use(std::vector<ListenerOptions>{options});
  Phone third(bed.address());
  mqtt::Connect connect;
  connect.version = mqtt::Version::v5;
  connect.client_id = "third";
  third.send(connect);
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_proxy_errors_total") == 1; }));
  first.send(mqtt::Pingreq{});
  first.expect<mqtt::Pingresp>();
}

TEST(Changes, AShorterConnectTimeoutHoldsForTheNextConnection) {
  Bed bed;
  ConnectionOptions options;
  options.packet_bytes_max = bed.limits.packet_bytes_max;
  options.connect_timeout_ns = 100 * kNsPerMs;
  bed.gateway->use(options);
  bed.gateway->on_every_thread([](broker::Shard&) {});
  Phone silent(bed.address());
  EXPECT_TRUE(silent.closed_in_order());
}

}  // namespace
}  // namespace courier::gateway
