// Enhanced authentication: SCRAM-SHA-256 and tokens by AUTH packets. Section 4.12.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "harness/client.h"
#include "jose/base64url.h"
#include "jose/digest.h"
#include "jose/jws.h"
#include "jose/key.h"

namespace courier::scenario {
namespace {

// user: pencil, from RFC 7677
constexpr char kPasswords[] =
    "user:$scram-sha-256$i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";
constexpr char kMethod[] = "SCRAM-SHA-256";

BrokerOptions scram() {
  return {.auth_toml = "[auth]\npassword_file = \"{dir}/passwd\"\n", .passwords = kPasswords};
}

std::string part(const std::string& message, char name) {
  const size_t at = message.find(std::string(1, name) + "=");
  return message.substr(at + 2, message.find(',', at) - at - 2);
}

// What a client answers to the server's first message.
std::string proof(const std::string& bare, const std::string& server_first, const std::string& password) {
  const std::string salted =
      jose::pbkdf2_sha256(password, jose::decode_base64(part(server_first, 's')).value(),
                          static_cast<uint32_t>(std::stoul(part(server_first, 'i'))));
  const std::string client_key = jose::hmac_sha256(salted, "Client Key");
  const jose::Digest stored = jose::sha256(client_key);
  const std::string last = "c=biws,r=" + part(server_first, 'r');
  std::string signature = jose::hmac_sha256({reinterpret_cast<const char*>(stored.data()), stored.size()},
                                            bare + "," + server_first + "," + last);
  for (size_t i = 0; i < signature.size(); ++i)
    signature[i] = static_cast<char>(signature[i] ^ client_key[i]);
  return last + ",p=" + jose::base64(signature);
}

// As far as the server's challenge.
Client begun(const Broker& broker, const std::string& bare, const std::string& client_id) {
  Client client = Client::open(broker.port());
  client.send(connect_packet(
      {.client_id = client_id, .properties = with(kAuthMethod, kMethod).text(kAuthData, "n,," + bare)}));
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
  EXPECT_EQ(challenge.properties.text(kAuthMethod), kMethod);
  client.send(auth_packet(
      0x18, with(kAuthMethod, kMethod).text(kAuthData, proof(bare, data_of(challenge), "pencil"))));
  const Packet connack = client.expect(kConnack);
  EXPECT_EQ(connack.reason, 0);
  EXPECT_EQ(connack.properties.text(kAuthMethod), kMethod);
  EXPECT_TRUE(data_of(connack).starts_with("v="));
  client.ping();

  // Again, while it goes on working. [MQTT-4.12.1-1], [MQTT-4.12.1-2]
  client.send(auth_packet(0x19, with(kAuthMethod, kMethod).text(kAuthData, "n,," + bare)));
  const Packet again = client.expect(kAuth);
  EXPECT_EQ(again.reason, 0x18);
  client.ping();
  client.send(
      auth_packet(0x18, with(kAuthMethod, kMethod).text(kAuthData, proof(bare, data_of(again), "pencil"))));
  EXPECT_EQ(client.expect(kAuth).reason, 0);
  // And with a wrong one, which ends it.
  client.send(auth_packet(0x19, with(kAuthMethod, kMethod).text(kAuthData, "n,," + bare)));
  const Packet third = client.expect(kAuth);
  client.send(
      auth_packet(0x18, with(kAuthMethod, kMethod).text(kAuthData, proof(bare, data_of(third), "wrong"))));
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
      EXPECT_TRUE(i == 0 || part(data_of(challenge), 's') == salt);
      salt = part(data_of(challenge), 's');
      client.send(auth_packet(
          0x18, with(kAuthMethod, kMethod).text(kAuthData, proof(bare, data_of(challenge), "wrong"))));
      EXPECT_EQ(client.expect(kConnack).reason, 0x86);
      EXPECT_TRUE(client.read_until_end().empty());
    }
  }
  for (const std::string bad : {"", "n,,", "p=tls-unique,,n=user,r=x", "n,a=root,n=user,r=x"}) {
    Client client = Client::open(broker.port());
    client.send(
        connect_packet({.client_id = "bad", .properties = with(kAuthMethod, kMethod).text(kAuthData, bad)}));
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
  EXPECT_EQ(after_challenge(auth_packet(0x19, with(kAuthMethod, kMethod).text(kAuthData, "n,,n=user,r=x"))),
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
