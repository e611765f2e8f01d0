// What the facts mean for the wanted number of connections: findings, each with what mends it. Pure: facts
// and settings in, findings out; no file, no clock.
//
// The rules stand by topic in rules_<topic>.cc. A rule says one thing, and says it also when all is well.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "courier/doctor/facts.h"
#include "courier/doctor/sizing.h"

namespace courier::cli::doctor {

enum class Level : uint8_t {
  ok,
  advice,   // it works, but not as well as it could
  problem,  // it will fail at the wanted size
  unknown,
};
std::string_view name_of(Level level);

enum class Topic : uint8_t { settings, open_files, memory, network, cpu, disk, clock };
std::string_view name_of(Topic topic);     // "open_files"
std::string_view heading_of(Topic topic);  // "Open files"

// A line that mends something, and where it goes: a file, or a word for what it is.
struct Remedy {
  std::string where, line;
  bool operator==(const Remedy&) const = default;
};

struct Finding {
  std::string id;  // "open_files.process"; scripts depend on it
  Topic topic{};
  Level level{};
  std::string found;  // what there is and what is needed
  std::string why;    // what happens otherwise; empty when all is well
  std::vector<Remedy> mend;
  std::optional<uint64_t> carries;  // connections that this limit allows, at most
};

// What was asked for; what is empty follows from settings and machine.
struct Wish {
  std::optional<uint64_t> connections, sessions;
  uint64_t filters = 1;
};

struct Examined {
  MachineFacts machine;
  DiskFacts disk;
  config::Settings settings;
  std::string settings_from;                    // a file's name, or "" for the defaults
  std::optional<std::string> settings_problem;  // `settings` are the defaults then
  std::string program_node;                     // pid of the courierd that is meant, or "" for the only one
};

struct Diagnosis {
  Size size;
  bool asked = false;  // somebody wants this size; otherwise it is what the memory carries, and nothing fails
  std::vector<Finding> findings;
  // The least of what the limits allow, and which one it is; none when no limit is known.
  std::optional<uint64_t> carries;
  std::string limited_by;

  bool fit() const;
  size_t count(Level level) const;
};

// Where no size was asked for: no more than this is looked at.
inline constexpr uint64_t kUnaskedConnectionsMax = 1'000'000;

Diagnosis diagnose(const Examined& examined, const Wish& wish);

}  // namespace courier::cli::doctor
