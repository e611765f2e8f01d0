// What hooks decide and change: each deciding hook of VerneMQ's vmq_webhooks, asked of a service in another
// language.
#include <gtest/gtest.h>

#include <cstdlib>

#include "hooks/hooks_bed.h"
#include "jose/base64url.h"

namespace courier::scenario {
namespace {

// The twin of a hook that a version asks.
std::string twin(std::string hook, Version version) {
  return version == v5 ? hook + "_m5" : hook;
}

Packet connect_as(const Broker& broker, Version version, std::string client_id) {
  return Client::open(broker.port()).handshake({.version = version, .client_id = std::move(client_id)});
}

}  // namespace

TEST(HookOfRegister, DecidesWhoComesIn) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(stub, {"auth_on_register", "auth_on_register_m5"}));
  for (const Version version : {v3_1, v3_1_1, v5}) {
    const bool five = version == v5;
    EXPECT_EQ(connect_as(broker, version, "ok-1").reason, 0);
    EXPECT_EQ(connect_as(broker, version, "deny-1").reason, five ? 0x87 : 5);
    EXPECT_EQ(connect_as(broker, version, "next-1").reason, five ? 0x87 : 5) << "nobody else lets it in";
    EXPECT_EQ(connect_as(broker, version, "invalid-1").reason, five ? 0x87 : 5);
    EXPECT_EQ(connect_as(broker, version, "status-500").reason, five ? 0x88 : 3);
    EXPECT_EQ(connect_as(broker, version, "change-1").reason, 0);
  }
}

TEST(HookOfRegister, IsAskedWithAllThatTheConnectSays) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(stub, {"auth_on_register", "auth_on_register_m5"}));
  Client five({.version = v5,
               .client_id = "phone-7",
               .clean = false,
               .username = "ada",
               .password = "secret",
               .properties = with(kSessionExpiry, 60).number(kReceiveMaximum, 7).user("region", "west")},
              broker.port());
  jose::Json asked = stub.get("/seen")["last"]["auth_on_register_m5"];
  EXPECT_EQ(asked["client_id"], "phone-7");
  EXPECT_EQ(asked["username"], "ada");
  EXPECT_EQ(asked["password"], "secret");
  EXPECT_EQ(asked["clean_start"], false);
  EXPECT_EQ(asked["peer_addr"], "127.0.0.1");
  EXPECT_GT(asked["peer_port"].get<int>(), 0);
  EXPECT_EQ(asked["properties"]["p_session_expiry_interval"], 60);
  EXPECT_EQ(asked["properties"]["p_receive_max"], 7);
  EXPECT_EQ(asked["properties"]["p_user_property"][0]["key"], jose::base64("region"));
  Client three({.version = v3_1_1, .client_id = "phone-8"}, broker.port());
  asked = stub.get("/seen")["last"]["auth_on_register"];
  EXPECT_EQ(asked["clean_session"], true);
  EXPECT_TRUE(asked["username"].is_null());
}

TEST(HookOfRegister, ModifiersCountForTheSession) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(stub, {"auth_on_register", "auth_on_register_m5"}));
  // Another client id and mountpoint: both are the same client.
  Client first({.client_id = "moved-1"}, broker.port());
  Client second({.client_id = "moved-2"}, broker.port());
  first.expect_end({0x8E});
  Client here({.client_id = "ok"}, broker.port());
  here.subscribe("a");
  second.publish("a", "elsewhere", 1);
  here.expect_nothing_but_marker(here);

  Client told({.client_id = "told-1"}, broker.port());
  const auto user = told.connack().properties.user();
  ASSERT_EQ(user.size(), 1u);
  EXPECT_EQ(user[0], (std::pair<std::string, std::string>("region", "west")));

  Client mute({.client_id = "mute-1"}, broker.port());
  EXPECT_EQ(mute.publish("a", "x", 1).reason, 0x87);
  EXPECT_EQ(mute.subscribe("a", 1).reasons, std::vector<uint8_t>{0x87});
  EXPECT_EQ(mute.unsubscribe({"a"}).reasons, std::vector<uint8_t>{0x87});
  Client mute3({.version = v3_1_1, .client_id = "mute-2"}, broker.port());
  EXPECT_EQ(mute3.subscribe("a", 1).reasons, std::vector<uint8_t>{0x80});
  mute3.publish("a", "x", 1);
  mute3.unsubscribe({"a"});
  EXPECT_EQ(Client::open(broker.port())
                .handshake({.client_id = "mute-3", .will = Will{.topic = "a", .payload = "x"}})
                .reason,
            0x87);
  here.expect_nothing_but_marker(here);
}

// Rules that came with the answer decide from then on: nobody is asked about each packet.
TEST(HookOfRegister, RulesOfTheAnswerSpareTheOtherHooks) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(stub, {"auth_on_register_m5", "auth_on_publish_m5", "auth_on_subscribe_m5"}));
  Client ruled({.client_id = "acl-1"}, broker.port());
  EXPECT_EQ(ruled.subscribe({{"own/+", 1}, {"other", 1}}).reasons, (std::vector<uint8_t>{1, 0x87}));
  EXPECT_EQ(ruled.publish("own/a", "mine", 1).reason, 0);
  EXPECT_EQ(ruled.publish("other", "not mine", 1).reason, 0x87);
  ruled.message("mine");
  EXPECT_EQ(stub.requests("auth_on_publish_m5"), 0);
  EXPECT_EQ(stub.requests("auth_on_subscribe_m5"), 0);
}

TEST(HookOfPublish, RefusesAndRewrites) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish", "auth_on_publish_m5"}));
  for (const Version version : {v3_1_1, v5}) {
    Client watcher({.version = v5}, broker.port());
    watcher.subscribe({{"+/topic", 2}, {"rewritten/topic", 2}});
    Client client({.version = version}, broker.port());
    for (const int qos : {0, 1, 2}) {
      const uint8_t refused = version == v5 && qos > 0 ? 0x87 : 0;
      EXPECT_EQ(client.publish("deny/topic", "no", qos).reason, refused);
      EXPECT_EQ(client.publish("next/topic", "no", qos).reason, refused) << "nobody said ok";
      EXPECT_EQ(client.publish("invalid/topic", "no", qos).reason, refused);
      EXPECT_EQ(client.publish("status-500/topic", "no", qos).reason, version == v5 && qos > 0 ? 0x83 : 0);
      EXPECT_EQ(client.publish("ok/topic", "as it was", qos).reason, 0);
      const Packet same = watcher.message("as it was");
      EXPECT_EQ(same.qos, qos);
      EXPECT_EQ(same.topic, "ok/topic");
      EXPECT_EQ(client.publish("change/it", "secret", qos).reason, 0);
      const Packet changed = watcher.message("rewritten payload");
      EXPECT_EQ(changed.topic, "rewritten/topic");
      EXPECT_EQ(changed.qos, 2) << "whatever its publisher was owed";
    }
    // It was retained, as the answer says.
    Client late({}, broker.port());
    late.subscribe("rewritten/topic", 1);
    EXPECT_TRUE(late.message("rewritten payload").retain);
    late.publish("rewritten/topic", "", 1, true);
  }
  broker.expect_in_log("publish refused");
  broker.expect_in_log("hook: ");
}

// What it makes of a message is held against limits: "rewritten payload" is too long here, "secret" is not.
TEST(HookOfPublish, CannotRewriteBeyondALimit) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(
      asking(stub, {"auth_on_publish_m5"}, "", "[[limit]]\nname = \"small\"\npayload_bytes_max = 10\n"));
  Client client({}, broker.port());
  EXPECT_EQ(client.publish("ok/it", "secret", 1).reason, 0x10);
  const Packet refused = client.publish("change/it", "secret", 1);
  EXPECT_EQ(refused.reason, 0x97);
  EXPECT_NE(refused.properties.text(kReasonString).value_or("").find("limit small"), std::string::npos);
}

TEST(HookOfPublish, IsAskedWithThePacket) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish_m5"}));
  Client client({.client_id = "phone-7"}, broker.port());
  client.publish({.topic = "ok/a",
                  .payload = std::string("\0\xFF", 2),
                  .qos = 1,
                  .retain = true,
                  .properties = with(kContentType, "x/y").number(kMessageExpiry, 60).user("k", "v")});
  const jose::Json asked = stub.get("/seen")["last"]["auth_on_publish_m5"];
  EXPECT_EQ(asked["client_id"], "phone-7");
  EXPECT_EQ(asked["topic"], "ok/a");
  EXPECT_EQ(asked["payload"], jose::base64(std::string("\0\xFF", 2)));
  EXPECT_EQ(asked["qos"], 1);
  EXPECT_EQ(asked["retain"], true);
  EXPECT_EQ(asked["properties"]["p_content_type"], "x/y");
  EXPECT_EQ(asked["properties"]["p_message_expiry_interval"], 60);
  EXPECT_EQ(asked["properties"]["p_user_property"][0]["val"], jose::base64("v"));
}

TEST(HookOfPublish, DecidesAboutTheWillAtConnect) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish", "auth_on_publish_m5"}));
  Client watcher({.version = v5}, broker.port());
  watcher.subscribe("#", 2);
  for (const Version version : {v3_1_1, v5}) {
    const auto with_will = [&](std::string topic) {
      return Connect{.version = version, .will = Will{.topic = std::move(topic), .payload = "gone"}};
    };
    Client refused = Client::open(broker.port());
    EXPECT_EQ(refused.handshake(with_will("deny/will")).reason, version == v5 ? 0x87 : 5);
    Client failed = Client::open(broker.port());
    EXPECT_EQ(failed.handshake(with_will("status-500/will")).reason, version == v5 ? 0x88 : 3);
    Client(with_will("ok/will"), broker.port()).drop();
    EXPECT_EQ(watcher.message("gone").topic, "ok/will");
    Client(with_will("change/will"), broker.port()).drop();
    EXPECT_EQ(watcher.message("rewritten payload").topic, "rewritten/topic");
  }
}

TEST(HookOfPublish, ThrottleHoldsOnlyItsClient) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_publish_m5"}));
  Client client({}, broker.port());
  Client other({}, broker.port());
  client.publish("throttle/a", "x", 1);
  const auto began = std::chrono::steady_clock::now();
  other.ping();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(300));
  client.ping();
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(300));
}

TEST(HookOfSubscribe, DecidesEachFilterAndRewrites) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"auth_on_subscribe", "auth_on_subscribe_m5"}));
  for (const Version version : {v3_1_1, v5}) {
    const auto refused = static_cast<uint8_t>(version == v5 ? 0x87 : 0x80);
    Client client({.version = version}, broker.port());
    EXPECT_EQ(client.subscribe("deny/a", 1).reasons, std::vector<uint8_t>{refused});
    EXPECT_EQ(client.subscribe({{"ok/a", 1}, {"ok/b", 2}}).reasons, (std::vector<uint8_t>{1, 2}));
    // The first becomes another one of QoS 0, the second is refused; what is no filter is nobody's question.
    const auto no_filter = static_cast<uint8_t>(version == v5 ? 0x8F : 0x80);
    EXPECT_EQ(client.subscribe({{"no#filter", 1}, {"change/a", 2}, {"change/b", 2}}).reasons,
              (std::vector<uint8_t>{no_filter, 0, refused}));
    const jose::Json asked = stub.get("/seen")["last"][twin("auth_on_subscribe", version)]["topics"];
    EXPECT_EQ(asked.size(), 2u);
    Client publisher({}, broker.port());
    publisher.publish("change/a", "asked for", 1);
    publisher.publish("forbidden/topic", "refused", 1);
    publisher.publish("rewritten/topic", "granted", 1);
    EXPECT_EQ(client.message("granted").qos, 0);
  }
  broker.expect_in_log("subscription refused");
}

TEST(HookOfUnsubscribe, Rewrites) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"on_unsubscribe", "on_unsubscribe_m5"}));
  for (const Version version : {v3_1_1, v5}) {
    const std::string as = version == v5 ? "5" : "3";
    Client plain({.version = version, .client_id = "deny-" + as}, broker.port());
    plain.subscribe("a", 1);
    EXPECT_EQ(plain.unsubscribe({"a"}).reason, 0) << "it can refuse nothing";
    Client client({.version = version, .client_id = "change-" + as}, broker.port());
    client.subscribe({{"a", 1}, {"rewritten/topic", 1}});
    client.unsubscribe({"a"});
    Client publisher({}, broker.port());
    publisher.publish("rewritten/topic", "ended", 1);
    publisher.publish("a", "stays", 1);
    client.message("stays");
    plain.expect_nothing_but_marker(plain);
  }
}

TEST(HookOfDeliver, RewritesWhatGoesOut) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"on_deliver", "on_deliver_m5"}));
  Client publisher({}, broker.port());
  for (const Version version : {v3_1_1, v5}) {
    for (const bool stored : {false, true}) {
      const auto as = [&](std::string id) {
        id += std::to_string(version) + (stored ? "-stored" : "");
        return stored ? persistent(version, id) : Connect{.version = version, .client_id = id};
      };
      Client changed(as("change-"), broker.port());
      Client plain(as("deny-"), broker.port());
      Client failed(as("status-500-"), broker.port());
      for (Client* each : {&changed, &plain, &failed}) each->subscribe("a/b", 2);
      for (const int qos : {0, 1, 2}) {
        publisher.publish("a/b", "as it was", qos);
        const Packet got = changed.message("rewritten payload");
        EXPECT_EQ(got.topic, "rewritten/topic");
        EXPECT_EQ(got.qos, qos);
        EXPECT_EQ(plain.message("as it was").topic, "a/b") << "it can refuse nothing";
        EXPECT_EQ(failed.message("as it was").topic, "a/b");
      }
      changed.disconnect();
      plain.disconnect();
      failed.disconnect();
    }
  }
}

TEST(HookOfDeliver, TopicsWithAliasesStayApart) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(asking(stub, {"on_deliver_m5"}));
  Client client({.client_id = "change-1", .properties = with(kTopicAliasMaximum, 5)}, broker.port());
  client.subscribe("a/+", 1);
  Client publisher({}, broker.port());
  publisher.publish("a/b", "x", 1);
  EXPECT_EQ(client.message("rewritten payload").topic, "rewritten/topic");
  publisher.publish("a/c", "x", 1);
  const Packet second = client.message("rewritten payload");
  EXPECT_TRUE(second.topic.empty()) << "its alias is known by now";
}

TEST(HookOfEnhancedAuthentication, GoesStepByStep) {
  COURIER_ONLY();
  Stub stub;
  Broker broker(only_asking(stub, {"auth_on_register", "auth_on_register_m5", "on_auth_m5"}));
  const auto begin = [&](std::string client_id, std::string data) {
    Client client = Client::open(broker.port());
    client.speak(v5);
    client.send(connect_packet(
        {.client_id = std::move(client_id), .properties = with(kAuthMethod, "OURS").text(kAuthData, data)}));
    return client;
  };
  Client client = begin("exchange-1", "HELLO");
  const Packet challenge = client.expect(kAuth);
  EXPECT_EQ(challenge.reason, 0x18);
  EXPECT_EQ(challenge.properties.text(kAuthData), "CHALLENGE");
  client.send(auth_packet(0x18, with(kAuthMethod, "OURS").text(kAuthData, "RESPONSE")));
  const Packet connack = client.expect(kConnack);
  EXPECT_EQ(connack.reason, 0);
  EXPECT_EQ(connack.properties.text(kAuthData), "WELCOME");
  // Once more, while it is connected.
  client.send(auth_packet(0x19, with(kAuthMethod, "OURS").text(kAuthData, "HELLO")));
  EXPECT_EQ(client.expect(kAuth).reason, 0x18);
  client.send(auth_packet(0x18, with(kAuthMethod, "OURS").text(kAuthData, "RESPONSE")));
  EXPECT_EQ(client.expect(kAuth).reason, 0);

  Client liar = begin("exchange-2", "HELLO");
  liar.expect(kAuth);
  liar.send(auth_packet(0x18, with(kAuthMethod, "OURS").text(kAuthData, "GUESS")));
  EXPECT_EQ(liar.expect(kConnack).reason, 0x87);
}

// What the rules refuse nobody is asked about.
TEST(HooksAndRules, RulesComeFirst) {
  COURIER_ONLY();
  Stub stub;
  BrokerOptions options = asking(stub, {"auth_on_publish_m5", "auth_on_subscribe_m5"});
  options.auth_toml = "[auth]\nallow_anonymous = true\nacl_file = \"{dir}/acl\"\n";
  options.files = {{"acl", "topic readwrite ok/#\ntopic readwrite deny/#\n"}};
  Broker broker(options);
  Client client({.client_id = "phone-7"}, broker.port());
  EXPECT_EQ(client.publish("other", "x", 1).reason, 0x87);
  EXPECT_EQ(client.subscribe({{"other", 1}}).reasons, std::vector<uint8_t>{0x87});
  EXPECT_EQ(stub.requests("auth_on_publish_m5") + stub.requests("auth_on_subscribe_m5"), 0);
  EXPECT_EQ(client.subscribe({{"other", 1}, {"ok/#", 1}}).reasons, (std::vector<uint8_t>{0x87, 1}));
  EXPECT_EQ(client.publish("deny/a", "x", 1).reason, 0x87) << "both must allow it";
  EXPECT_EQ(client.publish("ok/a", "both", 1).reason, 0);
  client.message("both");
}

// `courier why` and the REST API name who decides after the rules.
TEST(HooksAndRules, WhyNamesWhoIsAsked) {
  COURIER_ONLY();
  constexpr char kToken[] = "a-token-of-the-test-only";
  Stub stub;
  ::setenv("COURIER__ADMIN__TOKENS", kToken, 1);
  Broker broker(asking(stub, {"auth_on_register_m5", "auth_on_publish_m5"}));
  ::unsetenv("COURIER__ADMIN__TOKENS");
  const auto why = [&](const Client& who, const std::string& query) {
    Client http = Client::open_at(who.node(), broker.admin_port());
    http.send("GET /v1/clients/" + who.id() + "/why?topic=a" + query +
              " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer " + kToken +
              "\r\n\r\n");
    return http.read_to_end();
  };
  const std::string asked = "auth_on_publish_m5 at " + stub.url("/hook");
  Client client({.client_id = "phone-7"}, broker.port());
  EXPECT_NE(why(client, "").find(asked), std::string::npos) << why(client, "");
  EXPECT_EQ(why(client, "&action=subscribe").find("hooks"), std::string::npos);
  Client three({.version = v3_1_1, .client_id = "phone-8"}, broker.port());
  EXPECT_EQ(why(three, "").find("hooks"), std::string::npos) << "nobody is asked about 3.x";
  Client mute({.client_id = "mute-1", .username = "ada"}, broker.port());
  EXPECT_NE(why(mute, "").find("\"forbidden\":true"), std::string::npos) << why(mute, "");
}

}  // namespace courier::scenario
