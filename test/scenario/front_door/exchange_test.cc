// Enhanced authentication: SCRAM-SHA-256 and tokens by AUTH packets. Section 4.12.
#include <gtest/gtest.h>

#include <ctime>

#include "harness/client.h"
#include "harness/scram.h"
#include "jose/jws.h"
#include "jose/key.h"

namespace courier::scenario {
namespace {

BrokerOptions scram() {
  return {.auth_toml = "[auth]\npassword_file = \"{dir}/passwd\"\n", .passwords = kScramPasswords};
}

// As far as the server's challenge.
Client begun(const Broker& broker, const std::string& bare, const std::string& client_id) {
  Client client = Client::open(broker.port());
  client.send(connect_packet(
      {.client_id = client_id, .properties = with(kAuthMethod, kScram).text(kAuthData, "n,," + bare)}));
  return client;
}

std::string data_of(const Packet& packet) {
  return packet.properties.text(kAuthData).value_or("");
}

}  // namespace

TEST(Exchange, ScramLetsInWhoKnowsThePassword) {
  COURIER_ONLY();
  Broker broker(scram());
  const std::string bare = "n=user,r=abcdef";
  Client client = begun(broker, bare, "scram");
  const Packet challenge = client.expect(kAuth);
  EXPECT_EQ(challenge.reason, 0x18);
  EXPECT_EQ(challenge.properties.text(kAuthMethod), kScram);
  client.send(auth_packet(
      0x18, with(kAuthMethod, kScram).text(kAuthData, scram_proof(bare, data_of(challenge), "pencil"))));
  const Packet connack = client.expect(kConnack);
  EXPECT_EQ(connack.reason, 0);
  EXPECT_EQ(connack.properties.text(kAuthMethod), kScram);
  EXPECT_TRUE(data_of(connack).starts_with("v="));
  client.ping();

  // Again, while it goes on working. [MQTT-4.12.1-1], [MQTT-4.12.1-2]
  client.send(auth_packet(0x19, with(kAuthMethod, kScram).text(kAuthData, "n,," + bare)));
  const Packet again = client.expect(kAuth);
  EXPECT_EQ(again.reason, 0x18);
  client.ping();
  client.send(auth_packet(
      0x18, with(kAuthMethod, kScram).text(kAuthData, scram_proof(bare, data_of(again), "pencil"))));
  EXPECT_EQ(client.expect(kAuth).reason, 0);
  // And with a wrong one, which ends it.
  client.send(auth_packet(0x19, with(kAuthMethod, kScram).text(kAuthData, "n,," + bare)));
  const Packet third = client.expect(kAuth);
  client.send(auth_packet(
      0x18, with(kAuthMethod, kScram).text(kAuthData, scram_proof(bare, data_of(third), "wrong"))));
  client.expect_end({0x87});
  broker.expect_in_log("username=user");
}

// Nobody learns whether a name is known: the same answers, with a salt that stays.
TEST(Exchange, ScramRefusesEverythingElse) {
  COURIER_ONLY();
  Broker broker(scram());
  for (const std::string name : {"user", "nobody"}) {
    const std::string bare = "n=" + name + ",r=abcdef";
    std::string salt;
    for (int i = 0; i < 2; ++i) {
      Client client = begun(broker, bare, "refused");
      const Packet challenge = client.expect(kAuth);
      EXPECT_EQ(challenge.reason, 0x18);
      EXPECT_TRUE(i == 0 || scram_part(data_of(challenge), 's') == salt);
      salt = scram_part(data_of(challenge), 's');
      client.send(auth_packet(
          0x18, with(kAuthMethod, kScram).text(kAuthData, scram_proof(bare, data_of(challenge), "wrong"))));
      EXPECT_EQ(client.expect(kConnack).reason, 0x86);
      EXPECT_TRUE(client.read_until_end().empty());
    }
  }
  for (const std::string bad : {"", "n,,", "p=tls-unique,,n=user,r=x", "n,a=root,n=user,r=x"}) {
    Client client = Client::open(broker.port());
    client.send(
        connect_packet({.client_id = "bad", .properties = with(kAuthMethod, kScram).text(kAuthData, bad)}));
    EXPECT_EQ(client.expect(kConnack).reason, 0x87) << bad;
  }
  // The same password, sent as it is.
  Client plain({.client_id = "plain", .username = "user", .password = "pencil"}, broker.port());
  plain.ping();
}

// Before the CONNACK nothing but AUTH is taken, of the same method, once for each challenge. [MQTT-4.12.0-5]
TEST(Exchange, NothingElseComesBeforeTheConnack) {
  COURIER_ONLY();
  Broker broker(scram());
  const auto after_challenge = [&](const std::string& packet) {
    Client client = begun(broker, "n=user,r=abcdef", "early");
    EXPECT_EQ(client.expect(kAuth).reason, 0x18);
    client.send(packet);
    const Packet answer = client.expect(kConnack);
    EXPECT_TRUE(client.read_until_end().empty());
    return int{answer.reason};
  };
  EXPECT_EQ(after_challenge(publish_packet(v5, {.topic = "a", .payload = "x"})), 0x82);
  EXPECT_EQ(after_challenge(pingreq_packet()), 0x82);
  EXPECT_EQ(after_challenge(auth_packet(0x18, with(kAuthMethod, "JWT").text(kAuthData, "x"))), 0x82);
  EXPECT_EQ(after_challenge(auth_packet(0x19, with(kAuthMethod, kScram).text(kAuthData, "n,,n=user,r=x"))),
            0x82);
  // Who does not answer is not waited for.
  Client silent = begun(broker, "n=user,r=abcdef", "silent");
  silent.expect(kAuth);
  EXPECT_EQ(silent.expect(kConnack).reason, 0x87);
}

// A token by AUTH: a new one before the old one ends, and the connection goes on.
TEST(Exchange, TokensAreRenewedByAuth) {
  COURIER_ONLY();
  const std::string secret = "a secret of at least thirty-two bytes";
  Broker broker({.auth_toml = "[auth.jwt]\nsecret_file = \"{dir}/secret\"\nleeway = \"0s\"\n",
                 .files = {{"secret", secret}}});
  const auto token = [&](const std::string& rid, long seconds) {
    return jose::sign_jws(
               "{\"rid\":\"" + rid + "\",\"exp\":" + std::to_string(std::time(nullptr) + seconds) + "}",
               *jose::Key::secret(secret))
        .value();
  };
  const auto connected = [&](long seconds) {
    return Client({.client_id = unique("renewed"),
                   .username = "17",
                   .properties = with(kAuthMethod, "JWT").text(kAuthData, token("17", seconds))},
                  broker.port());
  };
  Client renewed = connected(2);
  EXPECT_EQ(renewed.connack().properties.text(kAuthMethod), "JWT");
  renewed.send(auth_packet(0x19, with(kAuthMethod, "JWT").text(kAuthData, token("17", 600))));
  EXPECT_EQ(renewed.expect(kAuth).reason, 0);
  Client ends = connected(2);
  ends.expect_end({0x87});  // meanwhile the first one's old token has ended, too
  renewed.ping();
  // Nobody becomes somebody else that way.
  renewed.send(auth_packet(0x19, with(kAuthMethod, "JWT").text(kAuthData, token("18", 600))));
  renewed.expect_end({0x87});
  Client bad = connected(600);
  bad.send(auth_packet(0x19, with(kAuthMethod, "JWT").text(kAuthData, "rubbish")));
  bad.expect_end({0x87});
}

}  // namespace courier::scenario
