// Signed tokens as passwords, at the front door: [auth.jwt]. What a token is checked for in detail: auth/jwt.
#include <gtest/gtest.h>

#include <ctime>

#include "harness/client.h"
#include "jose/jws.h"
#include "jose/key.h"

namespace courier::scenario {
namespace {

constexpr char kSecret[] = "a secret of at least thirty-two bytes";
constexpr char kOther[] = "another secret of at least thirty-two bytes";

std::string token(std::string_view claims, std::string_view secret = kSecret) {
  const auto key = jose::Key::secret(secret);
  if (!key) throw Broken(key.error().message);
  auto made = jose::sign_jws(claims, *key);
  if (!made) throw Broken(made.error().message);
  return *std::move(made);
}

std::string rid(std::string_view name, long seconds, std::string_view more = {}) {
  return "{\"rid\":\"" + std::string(name) + "\",\"exp\":" + std::to_string(std::time(nullptr) + seconds) +
         std::string(more) + "}";
}

BrokerOptions tokens(std::string more = {}, std::string auth = {}) {
  return {
      .auth_toml = "[auth]\n" + auth + "[auth.jwt]\nsecret_file = \"{dir}/secret\"\nleeway = \"0s\"\n" + more,
      .files = {{"secret", kSecret}, {"acl", "topic read news/#\n"}}};
}

Connect with_token(Version version, std::string username, std::string token, std::string client_id = {}) {
  return {.version = version,
          .client_id = client_id.empty() ? unique("phone") : std::move(client_id),
          .username = std::move(username),
          .password = std::move(token)};
}

Packet answer(const Broker& broker, const Connect& connect) {
  Client client = Client::open(broker.port());
  return client.handshake(connect);
}

}  // namespace

// Every token failure: return code 5 in 3.x (the phone gets another token), 0x87 in 5.0.
TEST(Tokens, DecideWhoComesIn) {
  COURIER_ONLY();
  Broker broker(tokens());
  std::string forged = token(rid("17", 60));
  forged.back() = forged.back() == 'A' ? 'B' : 'A';
  const std::string none = "eyJhbGciOiJub25lIn0.eyJyaWQiOiIxNyJ9.";
  for (const Version version : kVersions) {
    const auto code = [&](const std::string& password, const std::string& username = "17") {
      return int{answer(broker, with_token(version, username, password)).reason};
    };
    const int refused = version == v5 ? 0x87 : 5;
    EXPECT_EQ(code(token(rid("17", 60))), 0);
    EXPECT_EQ(code(token(rid("17", 60)), "18"), refused);
    EXPECT_EQ(code(token(rid("17", -1))), refused);
    EXPECT_EQ(code(token(rid("17", 60), kOther)), refused);
    EXPECT_EQ(code(token("{\"sub\":\"17\"}")), refused);
    EXPECT_EQ(code(forged), refused);
    EXPECT_EQ(code(none), refused);
    // No token at all: a password, which nobody here can check.
    EXPECT_EQ(code("password"), version == v5 ? 0x86 : 4);
  }
  broker.expect_in_log("the signature (HS256) is not valid");
  for (const char* result :
       {"accepted", "expired", "invalid_signature", "username_mismatch", "missing_claim"}) {
    EXPECT_GT(broker.metric("courier_jwt_checks_total{result=\"" + std::string(result) + "\"}"), 0) << result;
  }
}

TEST(Tokens, ConnectionEndsWithItsToken) {
  COURIER_ONLY();
  Broker broker(tokens());
  for (const Version version : {v3_1_1, v5}) {
    Client client(with_token(version, "17", token(rid("17", 2))), broker.port());
    client.ping();
    client.expect_end({0x87});
  }
  broker.expect_in_log("cause=not_authorized");
}

TEST(Tokens, BringRulesOfTheirOwn) {
  COURIER_ONLY();
  Broker broker(tokens("", "acl_file = \"{dir}/acl\"\n"));
  const std::string rules =
      R"(,"acl":[{"topic":"orders/%u/#","access":"readwrite","label":"orders"},{"topic":"news/hot","access":"deny"}])";
  Client client(with_token(v5, "17", token(rid("17", 60, rules))), broker.port());
  EXPECT_EQ(client.subscribe({{"orders/17/new", 1}, {"orders/18/new", 1}, {"news/cold", 1}, {"news/hot", 1}})
                .reasons,
            (std::vector<uint8_t>{1, 0x87, 1, 0x87}));
  EXPECT_EQ(client.publish("orders/17/new", "x", 1).reason, 0);
  EXPECT_EQ(client.publish("news/cold", "x", 1).reason, 0x87);
  // One bad rule, and the client is refused: it might be the one that denies.
  EXPECT_EQ(
      answer(broker, with_token(v5, "17", token(rid("17", 60, R"(,"acl":[{"topic":"a/#/b"}])")))).reason,
      0x87);
}

// A token that gives less ends the subscriptions of the one before, with or without a file of rules.
TEST(Tokens, GiveNoMoreThanTheLastOneSays) {
  COURIER_ONLY();
  Broker broker(tokens());
  const auto allowed = [&](std::string_view topic) {
    return token(rid("17", 60, ",\"acl\":[{\"topic\":\"" + std::string(topic) + "\",\"access\":\"read\"}]"));
  };
  Connect connect = with_token(v5, "17", allowed("secret/#"), "less");
  connect.clean = false;
  connect.properties = with(kSessionExpiry, 600);
  {
    Client first(connect, broker.port());
    EXPECT_EQ(first.subscribe("secret/#", 1).reasons, std::vector<uint8_t>{1});
  }
  connect.password = allowed("public/#");
  Client again(connect, broker.port());
  EXPECT_TRUE(again.connack().session_present);
  broker.expect_in_log("subscription ended: it is not allowed any more\" client_id=less");
}

// The client id that the token names is the session's, whatever the CONNECT asks for.
TEST(Tokens, MaySayWhichSessionItIs) {
  COURIER_ONLY();
  Broker broker(tokens("client_id = \"{tenant}-{device.id}\"\nclient_id_rule = \"assign\"\n"));
  const std::string mine = token(rid("17", 60, R"(,"tenant":"t","device":{"id":"d7"})"));
  Connect connect = with_token(v5, "17", mine, "whatever");
  connect.clean = false;
  connect.properties = with(kSessionExpiry, 600);
  { Client first(connect, broker.port()); }
  connect.client_id = "something-else";
  Client again(connect, broker.port());
  EXPECT_TRUE(again.connack().session_present);
}

// The configured order: a password of the shape of a token is for whoever is asked first.
TEST(Tokens, StandInTheConfiguredOrder) {
  COURIER_ONLY();
  BrokerOptions options = tokens("", "order = [\"password\", \"jwt\"]\npassword_file = \"{dir}/passwd\"\n");
  options.passwords =
      "alice:$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";
  Broker broker(std::move(options));
  EXPECT_EQ(answer(broker, with_token(v5, "alice", "secret")).reason, 0);
  EXPECT_EQ(answer(broker, with_token(v5, "alice", token(rid("alice", 60)))).reason, 0x86);
  EXPECT_EQ(answer(broker, with_token(v5, "17", token(rid("17", 60)))).reason, 0);
}

TEST(Tokens, NewSecretHoldsWithoutARestart) {
  COURIER_ONLY();
  Broker broker(tokens());
  const std::string fresh = token(rid("17", 60), kOther);
  EXPECT_EQ(answer(broker, with_token(v5, "17", fresh)).reason, 0x87);
  broker.write("secret", kOther);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  // The refusal is remembered for some seconds, but not over a change of keys. Each node looks for itself.
  for (uint32_t in_a_row = 0; in_a_row < node_count();) {
    in_a_row = answer(broker, with_token(v5, "17", fresh)).reason == 0 ? in_a_row + 1 : 0;
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
  EXPECT_EQ(answer(broker, with_token(v5, "17", token(rid("17", 60)))).reason, 0x87);
}

}  // namespace courier::scenario
