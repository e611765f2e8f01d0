// Usual tests without a file: a few flags to a scenario, as YAML, so that it can be looked at, kept and
// changed. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace courier::load {

enum class QuickKind : uint8_t { conn, pub, sub, p2p, fanout, fanin, offline };
struct QuickInfo {
  QuickKind kind{};
  std::string_view name, help;
};
inline constexpr std::array<QuickInfo, 7> kQuickKinds = {{
    {QuickKind::conn, "conn", "Connect clients and hold them"},
    {QuickKind::pub, "pub", "Publish; nobody of ours listens"},
    {QuickKind::sub, "sub", "Subscribe and listen to what others publish"},
    {QuickKind::p2p, "p2p", "Publish to one receiver each, and see that everything arrives"},
    {QuickKind::fanout, "fanout", "One publisher, every client receives all of it"},
    {QuickKind::fanin, "fanin", "Every client publishes, a shared group receives"},
    {QuickKind::offline, "offline", "Publish to stored sessions that are away, then let them fetch it"},
}};

struct QuickOptions {
  QuickKind kind{};
  std::string broker = "mqtt://127.0.0.1:1883";
  uint64_t count = 100;         // clients; beside them stand the few that the kind needs
  double connect_rate = 1'000;  // connections per second
  double interval_ms = 1'000;   // between two messages of one publisher
  std::optional<double> rate;   // of all publishers together, per second; instead of interval_ms
  uint64_t size_bytes = 256;
  int qos = 1;
  std::optional<std::string> topic;  // conn, p2p, offline have their own; %i stands for the client's number
  std::optional<uint64_t> limit;     // messages in all
  int64_t duration_s = 10;
  std::string version = "3.1.1";
  std::string username, password;
  std::string prefix = "courier-load";
  uint16_t keep_alive_s = 60;
  uint64_t receivers = 4;  // fanin: members of the shared group
  std::string proxy_protocol = "none";
  std::string sources;
  uint64_t seed = 1;
  std::optional<uint64_t> lag_ms_max;  // the scenario's lag_max
};

std::string quick_scenario(const QuickOptions& options);

}  // namespace courier::load
