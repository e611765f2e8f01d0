// An attempt to get in, to get more, or to see another's messages, as a row of a table: what is tried, what
// must come back, and what courierd's log must say about it. Each file of this folder is one door.
//
// What came back is said in words, so that the tables can be read: "CONNACK 5, closed", "SUBACK 0x87",
// "closed", "PUBACK 0x87, seen by nobody", "HTTP 403". Codes of 5.0 are in hexadecimal, those of 3.x as they
// are.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/client.h"

namespace courier::scenario::red_team {

struct Attempt {
  std::string what;                           // a sentence
  std::function<std::string(Version)> makes;  // and says what came back
  std::string v3, v5;                         // what must; empty: this version knows no such thing
  // All of it in one line of the log. Empty: what an honest client may do as well is not said.
  std::vector<std::string> log;
};

// Makes each of them in 3.1.1 and 5.0. Whatever is not refused as it must be fails the test, and so does a
// refusal that the log does not explain. The log holds back lines when there are many a second: then the
// attempt is made once more.
void refuse(const Broker& broker, const std::vector<Attempt>& attempts);

// --- what came back ---

std::string code(Version version, uint8_t reason);
// Of a CONNECT: "CONNACK 0x86, closed", "CONNACK 0" for one that got in, "closed" without a CONNACK.
std::string answer_to(Client client, const Connect& connect);
std::string answer_to(const Broker& broker, const Connect& connect);
// Of bytes that must end the connection: "DISCONNECT 0x82, closed" in 5.0, "closed" in 3.x, and what came
// before that.
std::string end_of(Client& client);

// --- whose messages they would like to see ---

// Sees what it should not: a client that may see everything.
class Watcher {
 public:
  explicit Watcher(Client client) : client_(std::move(client)) { client_.subscribe("#", 1); }
  Client& client() { return client_; }
  // "seen by nobody", or what arrived. The attacker may publish to public/#: what it says there now arrives
  // behind whatever it said before.
  std::string saw(Client& attacker);
  // Of one that was not let in: there is nobody whose messages could be on their way.
  std::string saw() { return saw(client_); }

 private:
  Client client_;
};

// After an attempt to listen in: what the victim says on `topic` reaches the attacker, or does not: "deaf".
// Everybody may read public/#: what the victim says there next arrives behind it.
std::string hears(Client& attacker, Client& victim, const std::string& topic);

}  // namespace courier::scenario::red_team
