// In by a name and a password: guessed, forged, malformed, or somebody else's. [auth] password_file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

constexpr std::string_view kHash =  // secret
    ":$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";

BrokerOptions guarded() {
  return {.auth_toml =
              "[auth]\nallow_anonymous = false\npassword_file = \"{dir}/passwd\"\n"
              "[limits]\nconnect_bytes_max = \"128KB\"\n",
          .passwords = "alice" + std::string(kHash) + "bob" + std::string(kHash)};
}

Connect as(Version version, std::optional<std::string> name, std::optional<std::string> password) {
  return {.version = version,
          .client_id = unique("red"),
          .username = std::move(name),
          .password = std::move(password)};
}

// Processor time that the broker has used so far, in nanoseconds.
uint64_t work_of(const Broker& broker) {
  uint64_t sum = 0;
  for (uint32_t node = 0; node < node_count(); ++node) {
    const std::string tasks = fmt::format("/proc/{}/task", broker.pid(node));
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      uint64_t ran = 0;
      std::ifstream(task.path() / "schedstat") >> ran;
      sum += ran;
    }
  }
  return sum;
}

}  // namespace

TEST(RedTeam, ComesWithPasswords) {
  COURIER_ONLY();
  Broker broker(guarded());
  ASSERT_EQ(answer_to(broker, as(v5, "alice", "secret")), "CONNACK 0") << "the honest get in";
  const auto tries = [&](std::optional<std::string> name, std::optional<std::string> password) {
    return
        [&broker, name, password](Version version) { return answer_to(broker, as(version, name, password)); };
  };
  const std::string bad3 = "CONNACK 4, closed", bad5 = "CONNACK 0x86, closed";
  const std::string malformed = "connection closed: not a CONNECT";
  refuse(broker,
         {
             {"without a name, where anonymous clients are not served",
              tries({}, {}),
              "CONNACK 5, closed",
              "CONNACK 0x87, closed",
              {"connect refused", "why=\"no user name\""}},
             {"with a wrong password",
              tries("alice", "Secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"wrong password\""}},
             {"with an empty password",
              tries("alice", ""),
              bad3,
              bad5,
              {"connect refused", "why=\"wrong password\""}},
             {"with no password", tries("alice", {}), bad3, bad5, {"connect refused", "why=\"no password\""}},
             {"with the hash for a password",
              tries("alice", std::string(kHash.substr(1, kHash.size() - 2))),
              bad3,
              bad5,
              {"connect refused", "why=\"wrong password\""}},
             {"with the right password and more behind a NUL",
              tries("alice", std::string("secret\0x", 8)),
              bad3,
              bad5,
              {"connect refused", "why=\"wrong password\""}},
             {"with a password of 60,000 bytes",
              tries("alice", std::string(60'000, 's')),
              bad3,
              bad5,
              {"connect refused", "why=\"wrong password\""}},
             {"as a user that there is not",
              tries("carol", "secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"unknown user\""}},
             {"as a user that is spelt otherwise",
              tries("Alice", "secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"unknown user\""}},
             {"as a user and a line of the password file",
              tries("alice" + std::string(kHash), "secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"unknown user\""}},
             {"as a user with an empty name",
              tries("", "secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"unknown user\""}},
             {"as a user of 60,000 letters",
              tries(std::string(60'000, 'a'), "secret"),
              bad3,
              bad5,
              {"connect refused", "why=\"unknown user\""}},
             // [MQTT-1.5.4-2], [MQTT3-1.5.3-2]: 3.x has no code for it.
             {"as a user with a NUL in the name",
              tries(std::string("alice\0", 6), "secret"),
              "closed",
              "CONNACK 0x81, closed",
              {malformed, "U+0000"}},
             {"as a user whose name is no UTF-8",
              tries("alice\xC0\x80", "secret"),
              "closed",
              "CONNACK 0x81, closed",
              {malformed, "UTF-8"}},
             {"as a user with half a surrogate",
              tries("alice\xED\xA0\x80", "secret"),
              "closed",
              "CONNACK 0x81, closed",
              {malformed, "UTF-8"}},
             // [MQTT-3.1.2-22] of 3.1.1; 5.0 allows it.
             {"with a password and no name", tries({}, "secret"), "closed", "CONNACK 0x87, closed", {"why="}},
             {"under a client id of 300 bytes",
              [&](Version version) {
                Connect connect = as(version, "alice", "secret");
                connect.client_id = std::string(300, 'c');
                return answer_to(broker, connect);
              },
              "CONNACK 2, closed",
              "CONNACK 0x85, closed",
              {"connect refused", "why=\"the client id is too long\""}},
             {"and publishes before it is let in",
              [&](Version version) {
                Watcher watcher(Client(as(v5, "bob", "secret"), broker.port()));
                Client client = Client::open(broker.port());
                client.speak(version);
                client.send(connect_packet(as(version, "alice", "wrong")) +
                            publish_packet(version, {.topic = "early", .payload = "x"}));
                const std::string end = end_of(client);
                return end + ", " + watcher.saw();
              },
              "CONNACK 4, closed, seen by nobody",
              "CONNACK 0x86, closed, seen by nobody",
              {"connect refused", "why=\"wrong password\""}},
             {"and a will, which nobody is to see",
              [&](Version version) {
                Watcher watcher(Client(as(v5, "bob", "secret"), broker.port()));
                Connect connect = as(version, "alice", "wrong");
                connect.will = Will{.topic = "early", .payload = "x"};
                return answer_to(broker, connect) + ", " + watcher.saw();
              },
              "CONNACK 4, closed, seen by nobody",
              "CONNACK 0x86, closed, seen by nobody",
              {"connect refused", "why=\"wrong password\""}},
         });
  EXPECT_EQ(answer_to(broker, as(v3_1_1, "alice", "secret")), "CONNACK 0") << "and still do";
}

// Nobody learns which names there are: neither from what is answered, to the last byte, nor from how much
// work it was.
TEST(RedTeam, LearnsNoNamesFromRefusals) {
  COURIER_ONLY();
  BrokerOptions options = guarded();
  // A hash that takes a while, so that it is what the work is.
  options.passwords =
      "alice:$argon2id$v=19$m=16384,t=3,p=1$c2FsdHNhbHRzYWx0$GMv1V/a9uBNqF+93SqBH3JLZiqfe1V1xP9SfOSAqqRE\n";
  Broker broker(std::move(options));
  const auto answer = [&](const std::string& name, Version version) {
    Client client = Client::open(broker.port());
    client.send(connect_packet(as(version, name, "wrong")));
    return client.read_to_end();
  };
  for (const Version version : kVersions) EXPECT_EQ(answer("alice", version), answer("carol", version));
  const auto work = [&](const std::string& name) {
    const uint64_t before = work_of(broker);
    for (int i = 0; i < 10; ++i) answer(name, v5);
    return static_cast<double>(work_of(broker) - before);
  };
  const double known = work("alice"), unknown = work("carol");
  EXPECT_LT(unknown, 1.5 * known);
  EXPECT_LT(known, 1.5 * unknown);
}

}  // namespace courier::scenario::red_team
