// Who may connect: anonymous clients, passwords, and the AUTH packet of 5.0. Sections 3.1.4, 3.15 and 4.12.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/client.h"

namespace courier::scenario {

// [MQTT-4.12.0-1], [MQTT-4.12.0-4], [MQTT-3.1.2-33]: no method is offered, so each is refused.
TEST(Auth, UnknownAuthenticationMethodIsRefused) {
  Client client = Client::open();
  const Packet answer = client.handshake(
      {.client_id = unique("method"), .properties = with(kAuthMethod, "SCRAM-SHA-1").text(kAuthData, "x")});
  EXPECT_TRUE(answer.reason == 0x8C || answer.reason == 0x87) << int(answer.reason);
  EXPECT_FALSE(answer.session_present);
  EXPECT_TRUE(client.read_until_end().empty());
}

// [MQTT-4.12.0-6]: without a method in CONNECT there is none in CONNACK, and no AUTH from the server.
TEST(Auth, NothingAboutAuthenticationIsSentUnasked) {
  Client client;
  EXPECT_FALSE(client.connack().properties.has(kAuthMethod));
  EXPECT_FALSE(client.connack().properties.has(kAuthData));
  client.ping();
}

// [MQTT-4.12.0-7], [MQTT-4.12.1-1], [MQTT-4.12.1-2]: AUTH from a client that named no method is a Protocol
// Error.
TEST(Auth, AuthWithoutAMethodInConnectIsAProtocolError) {
  for (const uint8_t reason : {0x18, 0x19}) {
    Client client;
    client.send(auth_packet(reason, with(kAuthMethod, "SCRAM-SHA-1")));
    client.expect_end({0x82, 0x87, 0x8C});
  }
}

// [MQTT-3.15.2-1]: section 3.15.2.1 has no other codes; 2.2.2.2 no other properties.
TEST(Auth, IllFormedAuthIsAnError) {
  for (const std::string& packet : {frame(0xF0, u8(0x01) + u8(0)), frame(0xF0, u8(0x80) + u8(0)),
                                    frame(0xF0, u8(0x18)), auth_packet(0x18, with(kTopicAlias, 1u)),
                                    auth_packet(0x18, with(kAuthMethod, "a").text(kAuthMethod, "b"))}) {
    Client client;
    client.send(packet);
    client.expect_end({0x81, 0x82});
  }
}

// [MQTT-3.1.4-2], [MQTT-3.1.4-6], [MQTT-3.2.2-6]: who is not let in is told why, and closed, and what it sent
// behind its CONNECT is not processed.
TEST(Auth, PasswordsDecideWhoComesIn) {
  COURIER_ONLY();
  // alice: secret
  Broker broker({.auth_toml = "[auth]\nallow_anonymous = false\npassword_file = \"{dir}/passwd\"\n",
                 .passwords = "alice:$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/"
                              "a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n"});
  Client watcher({.client_id = "watcher", .username = "alice", .password = "secret"}, broker.port());
  watcher.subscribe("refused", 1);
  struct Case {
    std::optional<std::string> username, password;
    std::initializer_list<int> v5_reasons, v3_codes;
  };
  for (const Case& c :
       {Case{"alice", "wrong", {0x86}, {4}}, Case{"alice", std::nullopt, {0x86, 0x87}, {4, 5}},
        Case{"alice", "", {0x86}, {4}}, Case{"bob", "secret", {0x86}, {4}},
        Case{std::nullopt, std::nullopt, {0x86, 0x87}, {4, 5}}}) {
    for (const Version version : kVersions) {
      Client refused = Client::open(broker.port());
      refused.speak(version);
      refused.send(
          connect_packet(
              {.version = version, .client_id = "refused", .username = c.username, .password = c.password}) +
          publish_packet(version, {.topic = "refused", .payload = "x"}));
      const Packet answer = refused.expect(kConnack);
      const auto& expected = version == v5 ? c.v5_reasons : c.v3_codes;
      EXPECT_TRUE(std::find(expected.begin(), expected.end(), answer.reason) != expected.end())
          << int(answer.reason);
      EXPECT_FALSE(answer.session_present);
      EXPECT_TRUE(refused.read_until_end().empty());
    }
  }
  for (const Version version : kVersions) {
    Client welcome({.version = version, .client_id = "welcome", .username = "alice", .password = "secret"},
                   broker.port());
    welcome.ping();
  }
  watcher.expect_nothing_but_marker(watcher);
}

// Passwords that nobody has checked yet do not hold up the end, and nobody comes in by them.
TEST(Auth, StopsWhilePasswordsWaitToBeChecked) {
  COURIER_ONLY();
  // Each takes half a second or so; there are two workers.
  Broker broker(
      {.auth_toml = "[auth]\npassword_file = \"{dir}/passwd\"\n[limits]\nconnect_timeout = \"60s\"\n",
       .passwords = "alice:$argon2id$v=19$m=65536,t=10,p=1$c2FsdHNhbHRzYWx0$GMv1V/"
                    "a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n"});
  std::vector<Client> waiting;
  for (int i = 0; i < 50; ++i) {
    Client& client = waiting.emplace_back(Client::open(broker.port()));
    client.send(connect_packet({.client_id = unique("waits"), .username = "alice", .password = "guess"}));
  }
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(broker.terminate(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - began, kPatience) << "not one after the other";
  for (Client& client : waiting) {
    for (const Packet& packet : client.read_until_end()) EXPECT_NE(packet.reason, 0);
  }
}

// With nobody who could ever come in, courierd does not start, and says why.
TEST(Auth, NoWayInRefusesToStart) {
  COURIER_ONLY();
  try {
    Broker broker({.auth_toml = "[auth]\nallow_anonymous = false\n"});
    FAIL() << "it runs";
  } catch (const Broken& broken) {
    EXPECT_NE(std::string_view(broken.what()).find("allow_anonymous"), std::string_view::npos)
        << broken.what();
  }
}

}  // namespace courier::scenario
