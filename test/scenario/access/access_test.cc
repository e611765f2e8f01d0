// Who may publish and subscribe where, and whose a session is: the ACL file and session_owner.
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {
namespace {

// alice, bob and backend: secret
constexpr std::string_view kHash =
    ":$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";
constexpr char kRules[] =
    "topic read news/#\n"
    "user alice\n"
    "topic readwrite orders/+/new label orders\n"
    "topic read orders/+/status\n"
    "user backend\n"
    "topic readwrite #\n"
    "pattern readwrite devices/%c/#\n"
    "topic deny orders/secret/#\n";

BrokerOptions guarded(std::string rules = kRules, std::string more = {}) {
  std::string passwords;
  for (const char* name : {"alice", "bob", "backend"}) passwords += name + std::string(kHash);
  return {.auth_toml =
              "[auth]\nallow_anonymous = true\npassword_file = \"{dir}/passwd\"\nacl_file = "
              "\"{dir}/acl\"\n" +
              more,
          .passwords = std::move(passwords),
          .files = {{"acl", std::move(rules)}}};
}

Connect as(std::string name, Version version = v5, std::string client_id = {}) {
  return {.version = version,
          .client_id = std::move(client_id),
          .username = std::move(name),
          .password = "secret"};
}

Connect persistent_as(std::string name, Version version, std::string client_id) {
  Connect connect = persistent(version, std::move(client_id));
  connect.username = std::move(name);
  connect.password = "secret";
  return connect;
}

}  // namespace

// A PUBLISH that is not allowed reaches nobody; 5.0 hears so, 3.x cannot. [MQTT3-3.3.5-2]
TEST(Access, PublishThatIsNotAllowedReachesNobody) {
  COURIER_ONLY();
  Broker broker(guarded());
  Client watcher(as("backend"), broker.port());
  watcher.subscribe("orders/7/+", 1);
  for (const Version version : kVersions) {
    Client alice(as("alice", version), broker.port());
    for (const int qos : {0, 1, 2}) {
      const Packet refused = alice.publish("orders/7/status", "no", qos);
      EXPECT_EQ(refused.reason, version == v5 && qos > 0 ? 0x87 : 0);
      const Packet taken = alice.publish("orders/7/new", "yes", qos);
      EXPECT_EQ(taken.reason, 0);
      watcher.message("yes");
    }
  }
  broker.expect_in_log("publish refused");
  // The nearest rule that would have allowed it, and where it stands.
  broker.expect_in_log("acl:4 `topic read orders/+/status`");
}

// Each filter of a SUBSCRIBE is decided by itself. A deny rule wins over every allow rule.
TEST(Access, EachFilterIsDecidedByItself) {
  COURIER_ONLY();
  Broker broker(guarded());
  for (const Version version : {v3_1_1, v5}) {
    const uint8_t refused = version == v5 ? 0x87 : 0x80;
    Client alice(as("alice", version), broker.port());
    const Packet answer = alice.subscribe({{"news/today", 1},
                                           {"orders/#", 1},
                                           {"orders/+/new", 2},
                                           {"$share/g/orders/7/status", 1},
                                           {"devices/+/x", 0}});
    EXPECT_EQ(answer.reasons, (std::vector<uint8_t>{1, refused, 2, 1, refused}));
    Client backend(as("backend", version), broker.port());
    EXPECT_EQ(backend.subscribe({{"orders/#", 1}, {"orders/7/#", 1}}).reasons,
              (std::vector<uint8_t>{refused, 1}));
  }
}

// What a client calls itself never widens a rule.
TEST(Access, ClientIdsDoNotWidenPatterns) {
  COURIER_ONLY();
  Broker broker(guarded());
  Client own(as("bob", v5, "phone-1"), broker.port());
  EXPECT_EQ(own.subscribe("devices/phone-1/in", 1).reasons, std::vector<uint8_t>{1});
  EXPECT_EQ(own.subscribe("devices/phone-2/in", 1).reasons, std::vector<uint8_t>{0x87});
  for (const std::string id : {"+", "#", "phone-1/in", "phone-1/#"}) {
    Client forged(as("bob", v5, id), broker.port());
    EXPECT_EQ(forged.subscribe("devices/phone-1/in", 1).reasons, std::vector<uint8_t>{0x87}) << id;
    EXPECT_EQ(forged.subscribe("devices/#", 1).reasons, std::vector<uint8_t>{0x87}) << id;
    EXPECT_EQ(forged.publish("devices/phone-1/in", "x", 1).reason, 0x87) << id;
  }
}

TEST(Access, WillThatIsNotAllowedIsRefusedAtConnect) {
  COURIER_ONLY();
  Broker broker(guarded());
  for (const Version version : kVersions) {
    Client client = Client::open(broker.port());
    Connect connect = as("alice", version, "testator");
    connect.will = Will{.topic = "orders/7/status", .payload = "gone"};
    EXPECT_EQ(client.handshake(connect).reason, version == v5 ? 0x87 : 5);
  }
}

// A change of the file holds for those who are connected: without a word to them a subscription that is not
// allowed any more brings nothing, and the others go on.
TEST(Access, ChangedRulesEndSubscriptionsOfLiveConnections) {
  COURIER_ONLY();
  Broker broker(guarded());
  Client publisher(as("backend"), broker.port());
  for (const Version version : kVersions) {
    broker.write("acl", kRules);
    Client alice(as("alice", version), broker.port());
    Client stored(persistent_as("alice", version, unique("stored")), broker.port());
    // The rules in force may still be those of the round before.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (Client* client : {&alice, &stored}) {
      while (client->subscribe("orders/7/new", 1).reasons[0] != 1) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      }
      client->subscribe("news/#", 1);
    }
    publisher.publish("orders/7/new", "before", 1);
    alice.message("before");
    stored.message("before");
    broker.write("acl", "topic read news/#\nuser backend\ntopic readwrite #\n");
    for (Client* client : {&alice, &stored}) {
      broker.expect_in_log("subscription ended: it is not allowed any more\" client_id=" + client->id());
    }
    // The end is a record: what is published once this one was answered comes after it.
    EXPECT_EQ(publisher.subscribe("other", 1).reasons, std::vector<uint8_t>{1});
    publisher.publish("orders/7/new", "after", 1);
    publisher.publish("news/today", "news", 1);
    alice.message("news");
    stored.message("news");
    alice.ping();
  }
}

// Nor does a session bring back what was forbidden while its client was away.
TEST(Access, RulesThatChangedMeanwhileHoldForSessionsThatComeBack) {
  COURIER_ONLY();
  Broker broker(guarded());
  const std::string id = unique("away");
  {
    Client alice(persistent_as("alice", v5, id), broker.port());
    alice.subscribe("orders/7/new", 1);
    alice.disconnect();
  }
  broker.terminate();
  broker.write("acl", "topic read news/#\nuser backend\ntopic readwrite #\n");
  broker.start();
  Client alice(persistent_as("alice", v5, id), broker.port());
  EXPECT_TRUE(alice.connack().session_present);
  broker.expect_in_log("subscription ended: it is not allowed any more\" client_id=" + id);
  Client publisher(as("backend"), broker.port());
  EXPECT_EQ(publisher.publish("orders/7/new", "x", 1).reason, 0x10);  // nobody
}

// A file with a mistake changes nothing, and the log says where the mistake is.
TEST(Access, BadFileLeavesTheOldRules) {
  COURIER_ONLY();
  Broker broker(guarded());
  Client alice(as("alice"), broker.port());
  broker.write("acl", "topic read news/#\ntopic raed orders/#/x\n");
  broker.expect_in_log("acl:2:");
  EXPECT_EQ(alice.subscribe("orders/7/new", 1).reasons, std::vector<uint8_t>{1});
  EXPECT_EQ(alice.publish("orders/7/new", "x", 1).reason, 0);
}

TEST(Access, BadFileIsRefusedAtTheStart) {
  COURIER_ONLY();
  try {
    Broker broker(guarded("topic raed orders/#\n"));
    FAIL() << "it runs";
  } catch (const Broken& broken) {
    EXPECT_NE(std::string_view(broken.what()).find("acl:1:"), std::string_view::npos) << broken.what();
  }
}

TEST(Access, LabelsStandOnMetrics) {
  COURIER_ONLY();
  Broker broker(guarded());
  Client alice(as("alice"), broker.port());
  alice.publish("orders/7/new", "x", 1);
  alice.publish("orders/7/new", "x", 1);
  EXPECT_EQ(broker.metric("courier_messages_received_total{qos=\"1\",label=\"orders\"}"), 2);
}

// Knowing its client id gives nobody another user's session: not its messages, not its end.
TEST(Access, SessionsBelongToTheirUser) {
  COURIER_ONLY();
  Broker broker(guarded());
  for (const Version version : kVersions) {
    const std::string id = unique("hers");
    Client alice(persistent_as("alice", version, id), broker.port());
    alice.subscribe("orders/7/new", 1);
    const auto expect_refused = [&] {
      for (const bool clean : {true, false}) {
        for (const char* name : {"bob", ""}) {
          Connect connect = persistent_as(name, version, id);
          connect.clean = clean;
          if (*name == 0) connect.username = connect.password = std::nullopt;
          Client thief = Client::open(broker.port());
          EXPECT_EQ(thief.handshake(connect).reason, version == v5 ? 0x85 : 2);
          EXPECT_TRUE(thief.read_until_end().empty());
        }
      }
    };
    expect_refused();
    alice.ping();  // she was not thrown out
    alice.drop();
    Client backend(as("backend"), broker.port());
    backend.publish("orders/7/new", "waits", 1);
    expect_refused();
    Client again(persistent_as("alice", version, id), broker.port());
    again.message("waits");
    again.disconnect();
  }
}

TEST(Access, SessionsMayBeAnybodys) {
  COURIER_ONLY();
  Broker broker(guarded(kRules, "session_owner = \"anybody\"\n"));
  Client alice(persistent_as("alice", v5, "ours"), broker.port());
  Client bob(persistent_as("bob", v5, "ours"), broker.port());
  EXPECT_TRUE(bob.connack().session_present);
  alice.expect_end({0x8E});
}

}  // namespace courier::scenario
