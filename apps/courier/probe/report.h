// What `courier test` found out about a server, and what that comes to; for people and, as JSON, for scripts.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace courier::cli::probe {

enum class Grade : uint8_t {
  works,    // was tried, and does what the standard says
  told,     // a figure, or what the server says of itself
  absent,   // not offered, and the server said so in order: a limit to know
  broken,   // offered, or required by the standard, and it did not work
  skipped,  // was not tried: no time left, or what it needs did not work
};
std::string_view name(Grade grade);

struct Finding {
  std::string area;  // "Connection"
  std::string name;  // "QoS 2"
  Grade grade{};
  std::string text;  // "granted 1", "1.2 ms"
};

struct Report {
  std::string server;  // "mqtts://localhost:8883"
  std::vector<Finding> findings;
  // Why it ended before there was an MQTT connection; then there is no verdict but this.
  std::string failure;

  bool broken() const;
  // One sentence: "it works; not offered: shared subscriptions".
  std::string verdict() const;
};

std::string report_text(const Report& report);
std::string report_json(const Report& report);

}  // namespace courier::cli::probe
