// In by AUTH packets, or further in: SCRAM that is replayed, weakened or mixed up, and re-authentication as
// somebody else. MQTT 5.0, section 4.12; RFC 5802.
#include <gtest/gtest.h>

#include <ctime>

#include <fmt/format.h>

#include "harness/scram.h"
#include "jose/jws.h"
#include "jose/key.h"
#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

constexpr char kSecret[] = "a secret of at least thirty-two bytes";
constexpr char kBare[] = "n=user,r=abcdef";

std::string token(const std::string& rid) {
  return *jose::sign_jws(
      fmt::format(R"({{"rid":"{}","jti":"{}","exp":{}}})", rid, unique("t"), std::time(nullptr) + 600),
      *jose::Key::secret(kSecret));
}

std::string auth(uint8_t reason, std::string_view data, std::string_view method = kScram) {
  return auth_packet(reason, with(kAuthMethod, method).text(kAuthData, data));
}

Connect begins(std::string_view data, std::string_view method = kScram) {
  return {.client_id = unique("red"), .properties = with(kAuthMethod, method).text(kAuthData, data)};
}

std::string data_of(const Packet& packet) {
  return packet.properties.text(kAuthData).value_or("");
}

class Exchanges : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  Broker broker{{.auth_toml = "[auth]\npassword_file = \"{dir}/passwd\"\n[auth.jwt]\nsecret_file = "
                              "\"{dir}/secret\"\n[limits]\nconnect_bytes_max = \"128KB\"\n",
                 .passwords = kScramPasswords,
                 .files = {{"secret", kSecret}}}};

  // As far as the server's challenge.
  Client challenged(std::string& challenge, const std::string& bare = kBare,
                    const std::string& header = "n,,") {
    Client client = Client::open(broker.port());
    client.send(connect_packet(begins(header + bare)));
    challenge = data_of(client.expect(kAuth));
    return client;
  }
  // What comes back when the challenge is answered so.
  using Answer = std::function<std::string(const std::string& challenge)>;
  std::function<std::string(Version)> answers(Answer answer, std::string bare = kBare) {
    return [this, answer = std::move(answer), bare](Version) {
      std::string challenge;
      Client client = challenged(challenge, bare);
      client.send(auth(0x18, answer(challenge)));
      return end_of(client);
    };
  }
  std::function<std::string(Version)> sends(std::string packet) {
    return [this, packet](Version) {
      std::string challenge;
      Client client = challenged(challenge);
      client.send(packet);
      return end_of(client);
    };
  }
  Client inside() {
    std::string challenge;
    Client client = challenged(challenge);
    client.send(auth(0x18, scram_proof(kBare, challenge, "pencil")));
    if (client.expect(kConnack).reason != 0) throw Broken("the honest do not get in");
    return client;
  }
  std::function<std::string(Version)> sends_inside(std::string packet) {
    return [this, packet](Version) {
      Client client = inside();
      client.send(packet);
      return end_of(client);
    };
  }
};

// With other text in place of one part.
std::string with_part(std::string message, char name, const std::string& value) {
  const size_t at = message.find(std::string(1, name) + "=") + 2;
  return message.replace(at, std::min(message.find(',', at), message.size()) - at, value);
}

}  // namespace

TEST_F(Exchanges, OfScramAreTurnedAndTwistedInVain) {
  inside().ping();
  const std::string wrong = "CONNACK 0x86, closed", no = "CONNACK 0x87, closed", bad = "CONNACK 0x82, closed";
  const std::string refused = "connect refused";
  const auto first = [&](std::string data, std::string method = kScram) {
    return [this, data, method](Version) { return answer_to(broker, begins(data, method)); };
  };
  std::string heard_challenge, heard_answer;  // of an honest exchange that was listened to
  {
    Client honest = challenged(heard_challenge);
    heard_answer = scram_proof(kBare, heard_challenge, "pencil");
    honest.send(auth(0x18, heard_answer));
    ASSERT_EQ(honest.expect(kConnack).reason, 0);
  }
  refuse(
      broker,
      {
          {"with a wrong password",
           answers([](const std::string& challenge) { return scram_proof(kBare, challenge, "Pencil"); }),
           "",
           wrong,
           {refused, "SCRAM: wrong password"}},
          {"as a user that there is not",
           answers(
               [](const std::string& challenge) { return scram_proof("n=nobody,r=x", challenge, "pencil"); },
               "n=nobody,r=x"),
           "",
           wrong,
           {refused, "SCRAM: wrong password"}},
          {"with the answer of an exchange that was overheard",
           answers([&](const std::string&) { return heard_answer; }),
           "",
           wrong,
           {refused, "the nonce is not this exchange's"}},
          {"with the overheard proof under the new nonce",
           answers([&](const std::string& challenge) {
             return with_part(heard_answer, 'r', scram_part(challenge, 'r'));
           }),
           "",
           wrong,
           {refused, "SCRAM: wrong password"}},
          {"with a nonce that is only the client's half",
           answers([](const std::string& challenge) {
             return scram_proof(kBare, with_part(challenge, 'r', "abcdef"), "pencil");
           }),
           "",
           wrong,
           {refused, "the nonce is not this exchange's"}},
          {"with fewer rounds than the server asked for",
           answers([](const std::string& challenge) {
             return scram_proof(kBare, with_part(challenge, 'i', "1"), "pencil");
           }),
           "",
           wrong,
           {refused, "SCRAM: wrong password"}},
          {"with another salt",
           answers([](const std::string& challenge) {
             return scram_proof(kBare, with_part(challenge, 's', "AAAAAAAAAAAAAAAAAAAAAA=="), "pencil");
           }),
           "",
           wrong,
           {refused, "SCRAM: wrong password"}},
          {"saying afterwards that channel binding was meant",
           answers([](const std::string& challenge) {
             return with_part(scram_proof(kBare, challenge, "pencil"), 'c', "eSws");
           }),
           "",
           wrong,
           {refused, "the header is not the first one's"}},
          {"without a proof",
           answers([](const std::string& challenge) { return "c=biws,r=" + scram_part(challenge, 'r'); }),
           "",
           wrong,
           {refused, "no proof"}},
          {"with an empty proof",
           answers(
               [](const std::string& challenge) { return "c=biws,r=" + scram_part(challenge, 'r') + ",p="; }),
           "",
           wrong,
           {refused, "the proof is malformed"}},
          {"with an answer of 60,000 bytes",
           answers([](const std::string&) { return std::string(60'000, 'p'); }),
           "",
           wrong,
           {refused, "too long"}},
          {"asking for channel binding, which is not there",
           first("p=tls-unique,,n=user,r=x"),
           "",
           no,
           {refused, "channel binding is not offered"}},
          {"acting as somebody else",
           first("n,a=root,n=user,r=x"),
           "",
           no,
           {refused, "nobody may act as somebody else"}},
          {"asking for an extension", first("n,,m=x,n=user,r=x"), "", no, {refused, "extension"}},
          {"with a nonce of control characters", first("n,,n=user,r=a\tb"), "", no, {refused, "no nonce"}},
          {"with another name in CONNECT than in SCRAM",
           [&](Version) {
             Connect connect = begins("n,,n=user,r=abcdef");
             connect.username = "root";
             return answer_to(broker, connect);
           },
           "",
           wrong,
           {refused, "another user name than the CONNECT's"}},
          {"by a weaker method of the same name",
           first("n,,n=user,r=x", "SCRAM-SHA-1"),
           "",
           "CONNACK 0x8C, closed",
           {refused, "not offered"}},
          {"by a method of another case",
           first("n,,n=user,r=x", "scram-sha-256"),
           "",
           "CONNACK 0x8C, closed",
           {refused, "not offered"}},
          {"with data and no method",
           [&](Version) {
             return answer_to(broker, {.client_id = unique("red"), .properties = with(kAuthData, "x")});
           },
           "",
           "CONNACK 0x82, closed",
           {"not a CONNECT", "why="}},
          {"changing the method in the middle",
           sends(auth(0x18, token("user"), "JWT")),
           "",
           bad,
           {refused, "another authentication method"}},
          {"beginning anew in the middle",
           sends(auth(0x19, "n,,n=user,r=x")),
           "",
           bad,
           {refused, "not the client's next"}},
          {"saying by itself that it is done",
           sends(auth_packet(0x00, with(kAuthMethod, kScram))),
           "",
           bad,
           {"why="}},
          {"publishing instead of answering",
           sends(publish_packet(v5, {.topic = "a", .payload = "x"})),
           "",
           bad,
           {"why="}},
          {"subscribing instead of answering", sends(subscribe_packet(v5, 1, {{"#", 0}})), "", bad, {"why="}},
          {"connecting once more instead of answering",
           sends(connect_packet({.client_id = "again"})),
           "",
           bad,
           {"why="}},
          {"with AUTH before CONNECT",
           [&](Version) {
             Client client = Client::open(broker.port());
             client.send(auth(0x18, "n,,n=user,r=x"));
             return end_of(client);
           },
           "",
           "closed",
           {"not a CONNECT", "the first packet is not CONNECT"}},
      });
}

TEST_F(Exchanges, OfWhoIsInsideGoNoFurther) {
  const std::string out = "DISCONNECT 0x87, closed", bad = "DISCONNECT 0x82, closed",
                    ended = "connection ended";
  const auto with_token = [&](const std::string& rid) {
    Connect connect = begins(token(rid), "JWT");
    connect.username = rid;
    return Client(connect, broker.port());
  };
  refuse(
      broker,
      {
          {"re-authenticating with a wrong password",
           [&](Version) {
             Client client = inside();
             client.send(auth(0x19, std::string("n,,") + kBare));
             const std::string challenge = data_of(client.expect(kAuth));
             client.send(auth(0x18, scram_proof(kBare, challenge, "wrong")));
             return end_of(client);
           },
           "",
           out,
           {ended, "cause=not_authorized", "SCRAM: wrong password"}},
          {"re-authenticating as another user, by SCRAM",
           [&](Version) {
             Client client = inside();
             client.send(auth(0x19, "n,,n=root,r=abcdef"));
             return end_of(client);
           },
           "",
           out,
           {ended, "cause=not_authorized", "another user name"}},
          {"re-authenticating as another user, by a good token of his",
           [&](Version) {
             Client client = with_token("17");
             client.send(auth(0x19, token("18"), "JWT"));
             return end_of(client);
           },
           "",
           out,
           {ended, "cause=not_authorized", "the user name is"}},
          {"re-authenticating with rubbish",
           [&](Version) {
             Client client = with_token("17");
             client.send(auth(0x19, "rubbish", "JWT"));
             return end_of(client);
           },
           "",
           out,
           {ended, "cause=not_authorized", "no token"}},
          {"re-authenticating by another method",
           sends_inside(auth(0x19, token("user"), "JWT")),
           "",
           bad,
           {ended, "another authentication method"}},
          {"answering a challenge that nobody gave",
           sends_inside(auth(0x18, "x")),
           "",
           bad,
           {ended, "not the client's next"}},
          {"AUTH without its method", sends_inside(auth_packet(0x19)), "", bad, {ended, "why="}},
          {"AUTH where CONNECT named no method",
           [&](Version) {
             Client client({.client_id = unique("red"), .username = "17", .password = token("17")},
                           broker.port());
             client.send(auth(0x19, token("17"), "JWT"));
             return end_of(client);
           },
           "",
           bad,
           {ended, "without an authentication method"}},
          {"AUTH in 3.1.1, which has none",
           [&](Version) {
             Client client(
                 {.version = v3_1_1, .client_id = unique("red"), .username = "17", .password = token("17")},
                 broker.port());
             client.send(auth(0x19, token("17"), "JWT"));
             return end_of(client);
           },
           "closed",
           "",
           {"protocol violation", "packet type 15 is reserved"}},
      });
}

}  // namespace courier::scenario::red_team
