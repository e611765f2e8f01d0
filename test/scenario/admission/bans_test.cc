// Bans, from the REST API to the socket, and over a restart.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>

#include <nlohmann/json.hpp>

#include "admission/doors.h"
#include "admission/raw_socket.h"
#include "harness/client.h"

namespace courier::scenario {
namespace {

constexpr const char* kToken = "a-token-of-the-bans-test";

class Banning : public ::testing::Test {
 protected:
  void begin(const std::string& lines = {}, const std::string& auth = "[auth]\nallow_anonymous = true\n") {
    broker.emplace(
        BrokerOptions{.toml = "tokens = [\"" + std::string(kToken) + "\"]\n" + lines, .auth_toml = auth});
  }
  nlohmann::json ask(const std::string& method, const std::string& path, const std::string& body = {}) {
    Client http = Client::open(broker->admin_port());
    http.send(method + " " + path +
              " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer " + kToken +
              "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string answer = http.read_to_end();
    return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
  }
  // From this address, as a balancer would say.
  Client from(const std::string& address) {
    Client client = Client::open(broker->proxy_optional_port());
    client.send("PROXY TCP4 " + address + " 192.0.2.1 40000 1883\r\n");
    return client;
  }
  uint8_t come(const Connect& connect) {
    Client client = Client::open(broker->proxy_optional_port());
    return client.handshake(connect).reason;
  }
  std::optional<Broker> broker;
};

}  // namespace

// An address is closed before a word, and who comes from it now is ended.
TEST_F(Banning, AddressesStayOutside) {
  COURIER_ONLY();
  begin();
  Client here = from("198.51.100.7"), other = from("198.51.101.7");
  EXPECT_EQ(here.handshake({.version = v5, .client_id = "here"}).reason, 0);
  EXPECT_EQ(other.handshake({.version = v5, .client_id = "other"}).reason, 0);
  const auto ban = ask("POST", "/v1/bans", R"({"address": "198.51.100.0/24", "reason": "scans"})");
  ASSERT_TRUE(ban.contains("id")) << ban.dump();
  here.expect_end({0x98});
  other.ping();
  EXPECT_EQ(from("198.51.100.8").read_to_end(), "");
  broker->expect_in_log("reason=banned");
  broker->expect_in_log("cause=banned");
  EXPECT_EQ(ask("DELETE", "/v1/bans/" + std::to_string(ban.at("id").get<int>())).value("reason", ""),
            "scans");
  EXPECT_EQ(from("198.51.100.8").handshake({.version = v5, .client_id = "back"}).reason, 0);
}

// Names are refused at CONNECT, in every version's words, and also when the name is proved and not claimed.
TEST_F(Banning, NamesAreRefusedAtConnect) {
  COURIER_ONLY();
  begin();
  ask("POST", "/v1/bans", R"({"client_id": "phone-7"})");
  ask("POST", "/v1/bans", R"({"username": "eve", "mountpoint": ""})");
  EXPECT_EQ(come({.version = v5, .client_id = "phone-7"}), 0x8A);
  EXPECT_EQ(come({.version = v3_1_1, .client_id = "phone-7"}), 5);
  EXPECT_EQ(come({.version = v5, .client_id = "x", .username = "eve"}), 0x8A);
  EXPECT_EQ(come({.version = v5, .client_id = "phone-8"}), 0);
  broker->expect_in_log("client_id phone-7 is banned");
}

// They hold after a kill -9, until their time is over.
TEST_F(Banning, TheySurviveARestart) {
  COURIER_ONLY();
  begin();
  ask("POST", "/v1/bans", R"({"client_id": "for-ever"})");
  ask("POST", "/v1/bans", R"({"client_id": "a-moment", "seconds": 1})");
  broker->restart_after_kill();
  EXPECT_EQ(come({.version = v5, .client_id = "for-ever"}), 0x8A);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (come({.version = v5, .client_id = "a-moment"}) != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
  }
  EXPECT_EQ(ask("GET", "/v1/bans").at("bans").size(), 1u);
  // Someone's hand was in the file: it is not taken for an empty one.
  broker->kill();
  broker->write("data/bans", "nonsense\n");
  EXPECT_THROW(broker->start(), Broken);
  broker->expect_in_log("data/bans: line 1");
  std::filesystem::remove(broker->directory() / "data/bans");
  broker->start();
}

// Two phones that fight over one client id shut each other out, and nobody else.
TEST_F(Banning, WhoFlapsIsBannedForAWhile) {
  COURIER_ONLY();
  begin("[flapping]\nconnects = 5\nwithin = \"1h\"\nban = \"1s\"\n");
  uint8_t reason = 0;
  std::vector<Client> phones;
  for (int i = 0; i < 6; ++i) {
    phones.push_back(Client::open(broker->proxy_optional_port()));
    reason = phones.back().handshake({.version = v5, .client_id = "contested"}).reason;
  }
  EXPECT_EQ(reason, 0x8A);
  EXPECT_EQ(come({.version = v5, .client_id = "somebody-else"}), 0);
  const auto bans = ask("GET", "/v1/bans").at("bans");
  ASSERT_EQ(bans.size(), 1u);
  EXPECT_EQ(bans.at(0).at("made_by"), "flapping");
  broker->expect_in_log("a client flaps: banned");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (come({.version = v5, .client_id = "contested"}) != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
  }
}

// A stranger who only claims a name gets nobody banned.
TEST_F(Banning, WhoFailsToProveANameBansNobody) {
  COURIER_ONLY();
  broker.emplace(BrokerOptions{
      .toml = "tokens = [\"" + std::string(kToken) + "\"]\n[flapping]\nconnects = 2\nwithin = \"1h\"\n",
      .auth_toml = "[auth]\npassword_file = \"{dir}/passwd\"\nallow_anonymous = true\n",
      .passwords = "owner:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21l$"
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(come({.version = v5, .client_id = "owner's", .username = "owner", .password = "wrong"}), 0x86);
  }
  EXPECT_TRUE(ask("GET", "/v1/bans").at("bans").empty());
}

// The settings of admission are taken over while it runs.
TEST_F(Banning, SettingsChangeWhileItRuns) {
  COURIER_ONLY();
  begin("[flapping]\nconnects = 1000\n");
  const std::string config = (broker->directory() / "broker.conf").string();
  std::string text;
  {
    std::ifstream file(config);
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  text += "[admission]\nsource_connections_max = 1\n";
  broker->write("broker.conf", text);
  broker->signal(SIGHUP);
  broker->expect_in_every_log("settings read");
  Client first = from("198.51.100.7");
  EXPECT_EQ(first.handshake({.version = v5, .client_id = "first"}).reason, 0);
  EXPECT_EQ(from("198.51.100.7").handshake({.version = v5, .client_id = "second"}).reason, 0x97);
  EXPECT_EQ(from("198.51.100.7").handshake({.version = v3_1_1, .client_id = "second"}).reason, 3);
}

}  // namespace courier::scenario
