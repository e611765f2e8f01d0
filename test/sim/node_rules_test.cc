// What was allowed, and is so no longer, at every moment at which that can happen: a SUBSCRIBE on its way, a
// message that waits, a client that went before its CONNACK.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "world.h"

namespace courier::sim {
namespace {

using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::Version;

constexpr char kWide[] = "topic readwrite #\n";
constexpr char kNarrow[] = "topic write #\ntopic read public/#\n";

// Lets in everybody; whoever names the method "rules" brings what its data says may be read.
class Granting final : public auth::Authenticator {
 public:
  void authenticate(auth::Credentials credentials, std::function<void(auth::Decision)> done) override {
    done(allowed(credentials, {}));
  }
  std::shared_ptr<auth::Exchange> begin(std::string_view method,
                                        const auth::Credentials& credentials) override {
    struct AtOnce final : auth::Exchange {
      auth::Credentials credentials;
      void step(std::string data, std::function<void(Step)> done) override {
        done({{}, allowed(credentials, data)});
      }
    };
    if (method != "rules") return nullptr;
    auto exchange = std::make_shared<AtOnce>();
    exchange->credentials = credentials;
    return exchange;
  }

 private:
  static auth::Decision allowed(const auth::Credentials& credentials, const std::string& filter) {
    auth::Decision decision;
    decision.verdict = auth::Verdict::allow;
    decision.identity = {credentials.username.value_or(""), credentials.mountpoint, !credentials.username};
    if (!filter.empty()) decision.grants.push_back({filter, "", false, true, false});
    return decision;
  }
};

struct File {
  File() {
    char name[] = "/tmp/courier_rules_XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    folder = name;
    write(kWide);
  }
  ~File() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::string path() const { return folder + "/acl"; }
  void write(std::string_view text) const { std::ofstream(path(), std::ios::trunc) << text; }
  std::string folder;
};

class Rules : public testing::Test {
 protected:
  explicit Rules(bool with_file = true)
      : world({.shards = 1,
               .rules_file = with_file ? file.path() : std::string(),
               .authenticator = &authenticator}) {
    EXPECT_TRUE(world.start().has_value());
    world.settle();
  }

  using Wired = std::shared_ptr<Wire>;
  template <typename T>
  static std::optional<T> take(const Wired& wire) {
    while (auto packet = wire->receive()) {
      if (auto* wanted = std::get_if<T>(&*packet)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  // What has arrived, acknowledged: the payloads.
  std::vector<std::string> messages(const Wired& wire) {
    std::vector<std::string> payloads;
    while (auto packet = wire->receive()) {
      if (const auto* message = std::get_if<mqtt::Publish>(&*packet)) {
        payloads.emplace_back(message->payload);
        if (message->qos == Qos::at_least_once) wire->send(mqtt::Puback{{message->packet_id, {}, {}, {}}});
        if (message->qos == Qos::exactly_once) wire->send(mqtt::Pubrec{{message->packet_id, {}, {}, {}}});
      } else if (const auto* release = std::get_if<mqtt::Pubrel>(&*packet)) {
        wire->send(mqtt::Pubcomp{{release->packet_id, {}, {}, {}}});
      }
      world.settle();
    }
    return payloads;
  }
  static mqtt::Connect hello(std::string_view id, std::string_view may_read = {}) {
    mqtt::Connect connect;
    connect.version = Version::v5;
    connect.client_id = id;
    connect.clean_start = false;
    connect.session_expiry_seconds = 1000;
    if (!may_read.empty()) {
      connect.authentication_method = "rules";
      connect.authentication_data = may_read;
    }
    return connect;
  }
  Wired connect(std::string_view id, std::string_view may_read = {}) {
    const Wired wire = world.open(Version::v5);
    wire->send(hello(id, may_read));
    world.settle();
    const auto connack = take<mqtt::Connack>(wire);
    EXPECT_TRUE(connack && connack->reason == ReasonCode::success);
    return wire;
  }
  static mqtt::Subscribe subscription(std::string_view filter, Qos qos = Qos::at_least_once) {
    mqtt::Subscribe packet;
    packet.packet_id = PacketId(7);
    packet.entries.push_back({filter, {.qos = qos}});
    return packet;
  }
  void subscribe(const Wired& wire, std::string_view filter, Qos qos = Qos::at_least_once) {
    wire->send(subscription(filter, qos));
    world.settle();
    const auto suback = take<mqtt::Suback>(wire);
    ASSERT_TRUE(suback && suback->reasons.front() == static_cast<ReasonCode>(qos));
  }
  void publish(const Wired& wire, std::string_view topic, std::string_view payload,
               Qos qos = Qos::at_least_once) {
    mqtt::Publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.qos = qos;
    if (qos != Qos::at_most_once) packet.packet_id = PacketId(next_id_++);
    wire->send(packet);
    world.settle();
    if (qos == Qos::exactly_once) {
      wire->send(mqtt::Pubrel{{packet.packet_id, {}, {}, {}}});
      world.settle();
    }
  }
  // In force, and the shards are told; they have not heard of it before settle().
  void now(std::string_view rules) {
    file.write(rules);
    const auto commit = world.rules().prepare_reload(file.path());
    ASSERT_TRUE(commit);
    (*commit)();
    world.node().housekeeping();
  }
  double value(std::string_view name, const Labels& labels) {
    return world.metrics().value(name, labels).value_or(0);
  }
  double dropped(const std::string& reason, const std::string& label = "") {
    return value("courier_messages_dropped_total", {{"reason", reason}, {"label", label}});
  }
  double offline() { return value("courier_sessions", {{"state", "offline"}}); }

  File file;
  Granting authenticator;
  World world;
  uint16_t next_id_ = 100;
};

class Grants : public Rules {
 protected:
  Grants() : Rules(false) {}
};

// --- a SUBSCRIBE on its way ---

TEST_F(Rules, ThatChangeWhileASubscribeIsOnItsWayEndIt) {
  const auto reader = connect("reader"), publisher = connect("publisher");
  reader->send(subscription("secret/#"));
  world.read();  // decided by the rules as they are; its record is not written yet
  now(kNarrow);
  world.settle();
  EXPECT_TRUE(take<mqtt::Suback>(reader)) << "it was allowed when it came";
  publish(publisher, "secret/a", "no");
  EXPECT_THAT(messages(reader), testing::IsEmpty());
  const auto puback = take<mqtt::Puback>(publisher);
  ASSERT_TRUE(puback);
  EXPECT_EQ(puback->reason, ReasonCode::no_matching_subscribers);
}

TEST_F(Grants, ThatAReAuthenticationTakesAwayEndASubscribeOnItsWay) {
  const auto reader = connect("reader", "secret/#"), publisher = connect("publisher");
  reader->send(subscription("secret/#"));
  mqtt::Auth again;
  again.reason = ReasonCode::re_authenticate;
  again.authentication_method = "rules";
  again.authentication_data = "public/#";
  reader->send(again);
  world.read();  // both, and nothing is back
  world.settle();
  EXPECT_TRUE(take<mqtt::Suback>(reader));
  publish(publisher, "secret/a", "no");
  EXPECT_THAT(messages(reader), testing::IsEmpty());
  subscribe(reader, "public/#");
  publish(publisher, "public/a", "yes");
  EXPECT_THAT(messages(reader), testing::ElementsAre("yes"));
}

TEST_F(Grants, ThatStayTheSameEndNothing) {
  const auto reader = connect("reader", "secret/#"), publisher = connect("publisher");
  subscribe(reader, "secret/#");
  mqtt::Auth again;
  again.reason = ReasonCode::re_authenticate;
  again.authentication_method = "rules";
  again.authentication_data = "secret/#";
  reader->send(again);
  world.settle();
  publish(publisher, "secret/a", "yes");
  EXPECT_THAT(messages(reader), testing::ElementsAre("yes"));
}

// --- what waits in an inbox ---

class Waiting : public Rules, public testing::WithParamInterface<Qos> {};

TEST_P(Waiting, IsNotSentWhenTheRulesNoLongerAllowIt) {
  const Qos qos = GetParam();
  const auto publisher = connect("publisher");
  {
    const auto reader = connect("reader");
    subscribe(reader, "secret/#", qos);
    subscribe(reader, "public/#", qos);
    reader->reset();
    world.settle();
  }
  for (const char* topic : {"secret/a", "public/a", "secret/b", "public/b"})
    publish(publisher, topic, topic, qos);
  now(kNarrow);
  world.settle();
  const auto reader = connect("reader");
  EXPECT_THAT(messages(reader), testing::ElementsAre("public/a", "public/b"));
  EXPECT_EQ(dropped("not_allowed"), 2);
  world.advance(1000);
  EXPECT_EQ(world.metrics().total("courier_queue_messages"), 0) << "they do not wait for ever either";
  // What it lost is lost: it does not come when the rules allow it again.
  now(kWide);
  world.settle();
  subscribe(reader, "secret/#", qos);
  publish(publisher, "secret/c", "secret/c", qos);
  EXPECT_THAT(messages(reader), testing::ElementsAre("secret/c"));
}

INSTANTIATE_TEST_SUITE_P(ByQos, Waiting, testing::Values(Qos::at_least_once, Qos::exactly_once));

// Of a connected client that does not acknowledge: its window is full, and the rest waits.
TEST_F(Rules, ThatChangeTakeAwayWhatWaitsBehindAFullWindow) {
  const auto publisher = connect("publisher");
  const auto reader = world.open(Version::v5);
  mqtt::Connect narrow = hello("reader");
  narrow.receive_maximum = 1;
  reader->send(narrow);
  world.settle();
  ASSERT_TRUE(take<mqtt::Connack>(reader));
  subscribe(reader, "secret/#");
  publish(publisher, "secret/a", "sent");
  publish(publisher, "secret/b", "waits");
  now(kNarrow);
  world.settle();
  EXPECT_THAT(messages(reader), testing::ElementsAre("sent"))
      << "what is on the wire is acknowledged as ever";
  EXPECT_EQ(dropped("not_allowed"), 1);
}

TEST_F(Rules, ThatStillAllowItTakeNothingAway) {
  const auto publisher = connect("publisher");
  {
    const auto reader = connect("reader");
    subscribe(reader, "public/+/x");
    reader->reset();
    world.settle();
  }
  publish(publisher, "public/a/x", "yes");
  now(kNarrow);
  world.settle();
  EXPECT_THAT(messages(connect("reader")), testing::ElementsAre("yes"));
  EXPECT_EQ(dropped("not_allowed"), 0);
}

// A group's messages are not the member's to lose.
TEST_F(Rules, ThatTakeAMembersRightGiveItsMessagesToAnother) {
  const auto publisher = connect("publisher");
  {
    const auto member = connect("member");
    subscribe(member, "$share/g/secret/#");
    member->reset();
    world.settle();
  }
  publish(publisher, "secret/a", "shared");
  now("topic write #\nuser boss\ntopic readwrite #\n");
  world.settle();
  EXPECT_THAT(messages(connect("member")), testing::IsEmpty());
  EXPECT_EQ(dropped("not_allowed"), 0);
}

// --- labels ---

TEST_F(Rules, PutTheirLabelsOnWhatIsDeliveredAndDropped) {
  now("topic read #\ntopic write orders/# label orders\ntopic write rest/#\n");
  world.settle();
  const auto publisher = connect("publisher"), reader = connect("reader");
  subscribe(reader, "#");
  for (const Qos qos : {Qos::at_most_once, Qos::at_least_once, Qos::exactly_once}) {
    publish(publisher, "orders/1", "labelled", qos);
    publish(publisher, "rest/1", "not", qos);
  }
  EXPECT_EQ(messages(reader).size(), 6u);
  const auto delivered = world.metrics().value("courier_delivery_seconds", {{"label", "orders"}});
  EXPECT_EQ(delivered.value_or(0), 3) << "its count";
  EXPECT_EQ(world.metrics().total("courier_delivery_seconds"), 3) << "without a label nothing is measured";
  reader->reset();
  world.settle();
  publish(publisher, "orders/1", "nobody is there", Qos::at_most_once);
  EXPECT_EQ(dropped("not_connected", "orders"), 1);
  EXPECT_EQ(dropped("not_connected"), 0);
}

// --- a client that goes before its CONNACK ---

// As far as its ATTACH is on its way.
class Hasty : public Rules {
 protected:
  Wired attaching(const mqtt::Connect& connect) {
    const Wired wire = world.open(Version::v5);
    wire->send(connect);
    world.turn(0);  // CONNECT
    world.turn(0);  // the authenticator's answer; ATTACH is handed to the log
    EXPECT_FALSE(take<mqtt::Connack>(wire)) << "it is not back";
    return wire;
  }
};

TEST_F(Hasty, LeavesASessionThatIsOfflineAndNoWill) {
  const auto watcher = connect("watcher");
  subscribe(watcher, "will");
  mqtt::Connect connect = hello("hasty");
  mqtt::Will will;
  will.topic = "will";
  will.payload = "gone";
  connect.will = will;
  const auto wire = attaching(connect);
  wire->reset();
  world.turn(0);
  EXPECT_EQ(offline(), 0);
  world.settle();
  EXPECT_EQ(offline(), 1);
  EXPECT_THAT(messages(watcher), testing::IsEmpty()) << "it never was connected, so it did not vanish either";
  // And nothing of it is in the way of the next.
  const auto again = world.open(Version::v5);
  again->send(hello("hasty"));
  world.settle();
  const auto connack = take<mqtt::Connack>(again);
  ASSERT_TRUE(connack);
  EXPECT_TRUE(connack->session_present);
  EXPECT_EQ(offline(), 0);
}

TEST_F(Hasty, GivesWayToWhoCameAfterIt) {
  const auto first = attaching(hello("hasty"));
  const auto second = attaching(hello("hasty"));
  first->reset();
  world.settle();
  const auto connack = take<mqtt::Connack>(second);
  ASSERT_TRUE(connack);
  EXPECT_EQ(connack->reason, ReasonCode::success);
  EXPECT_EQ(offline(), 0);
  const auto publisher = connect("publisher");
  subscribe(second, "a");
  publish(publisher, "a", "here");
  EXPECT_THAT(messages(second), testing::ElementsAre("here"));
}

TEST_F(Hasty, IsOfflineWhenBothHaveGone) {
  const auto first = attaching(hello("hasty"));
  const auto second = attaching(hello("hasty"));
  first->reset();
  second->reset();
  world.turn(0);
  world.settle();
  EXPECT_EQ(offline(), 1);
  EXPECT_EQ(world.metrics().total("courier_clients_connected"), 0);
}

}  // namespace
}  // namespace courier::sim
