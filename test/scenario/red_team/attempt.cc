#include "red_team/attempt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include <fmt/format.h>

namespace courier::scenario::red_team {
namespace {

using namespace std::chrono_literals;

// How long a line may take to be written; afterwards it was held back.
constexpr auto kLineTakes = 500ms;

size_t made = 0;

// The tables together are as long as they were promised to be.
class Counted : public testing::Environment {
  void TearDown() override {
    std::cout << made << " attempts were made\n";
    if (GTEST_FLAG_GET(filter) == "*" && Broker::is_courier()) {
      EXPECT_GE(made, 90u);
    }
  }
};
const auto* const kCounted = testing::AddGlobalTestEnvironment(new Counted);

bool said(std::string_view log, const std::vector<std::string>& parts) {
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    const auto has = [&](const std::string& part) { return line.find(part) != std::string_view::npos; };
    if (std::ranges::all_of(parts, has)) return true;
    log.remove_prefix(std::min(line.size() + 1, log.size()));
  }
  return false;
}

bool said_in_time(const Broker& broker, size_t since, const std::vector<std::string>& parts) {
  const auto deadline = std::chrono::steady_clock::now() + kLineTakes;
  while (true) {
    if (said(broker.log().substr(since), parts)) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
}

void make(const Broker& broker, const Attempt& attempt, Version version, const std::string& expected) {
  SCOPED_TRACE(fmt::format("{}, in {}", attempt.what, version == v5 ? "5.0" : "3.1.1"));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    const size_t since = broker.log().size();
    std::string came;
    try {
      came = attempt.makes(version);
    } catch (const Broken& broken) {
      came = broken.what();
    }
    EXPECT_EQ(came, expected);
    if (came != expected || attempt.log.empty()) return;
    if (said_in_time(broker, since, attempt.log)) return;
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the log does not say " << fmt::format("{}", fmt::join(attempt.log, " … ")) << "\n"
                    << broker.log().substr(since);
      return;
    }
  }
}

}  // namespace

void refuse(const Broker& broker, const std::vector<Attempt>& attempts) {
  static_cast<void>(kCounted);
  for (const Attempt& attempt : attempts) {
    ++made;
    if (!attempt.v3.empty()) make(broker, attempt, v3_1_1, attempt.v3);
    if (!attempt.v5.empty()) make(broker, attempt, v5, attempt.v5);
  }
}

std::string code(Version version, uint8_t reason) {
  return version == v5 && reason != 0 ? fmt::format("0x{:02X}", reason) : std::to_string(reason);
}

std::string answer_to(Client client, const Connect& connect) {
  client.speak(connect.version);
  client.send(connect_packet(connect));
  std::vector<Packet> packets;
  try {
    Packet first = client.expect(kConnack);
    if (first.reason == 0) return "CONNACK 0";
    packets = client.read_until_end();
    packets.insert(packets.begin(), std::move(first));
  } catch (const Broken& broken) {
    if (std::string_view(broken.what()).ends_with("the server closed the connection")) return "closed";
    throw;
  }
  if (packets.size() > 1) return fmt::format("CONNACK, and {} packets behind it", packets.size() - 1);
  return fmt::format("CONNACK {}, closed", code(connect.version, packets.front().reason));
}

std::string answer_to(const Broker& broker, const Connect& connect) {
  return answer_to(Client::open(broker.port()), connect);
}

std::string end_of(Client& client) {
  std::string words;
  for (const Packet& packet : client.read_until_end()) {
    const uint8_t reason = packet.reasons.empty() ? packet.reason : packet.reasons.front();
    words += fmt::format("{} {}, ", type_name(packet.type), code(client.version(), reason));
  }
  return words + "closed";
}

std::string Watcher::saw(Client& attacker) {
  const std::string marker = unique("public/marker");
  attacker.publish(marker, "marker", 1);
  std::string seen;
  while (true) {
    const Packet message = client_.message();
    if (message.topic == marker) return seen.empty() ? "seen by nobody" : seen;
    seen += fmt::format("SEEN: {} on {}; ", message.payload, message.topic);
  }
}

std::string hears(Client& attacker, Client& victim, const std::string& topic) {
  const std::string marker = unique("public/marker");
  attacker.subscribe(marker, 1);
  victim.publish(topic, "secret", 1);
  victim.publish(marker, "marker", 1);
  const Packet first = attacker.message();
  return first.topic == marker ? "deaf" : fmt::format("HEARS {} on {}", first.payload, first.topic);
}

}  // namespace courier::scenario::red_team
