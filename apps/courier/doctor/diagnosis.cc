#include "courier/doctor/diagnosis.h"

#include <algorithm>

#include "courier/doctor/rules.h"
#include "courier/text_table.h"

namespace courier::cli::doctor {
namespace {

// All listeners' limits together, if each has one.
std::optional<uint64_t> configured_connections(const config::Settings& settings) {
  uint64_t sum = 0;
  for (const config::Listener& listener : settings.listeners) {
    if (listener.connections_max == 0) return std::nullopt;
    sum += listener.connections_max;
  }
  return sum == 0 ? std::nullopt : std::optional(sum);
}

// Two digits that count: nobody has 873,412 phones.
uint64_t rounded_down(uint64_t count) {
  uint64_t unit = 1;
  while (count / unit >= 100) unit *= 10;
  return count / unit * unit;
}

uint64_t connections_here(const Examined& examined, const Wish& wish) {
  const Case bare(examined, {}, false);
  const auto memory = bare.memory();
  if (!memory) return kUnaskedConnectionsMax;
  const Size one{1, 1, wish.filters};
  const uint64_t fitting =
      connections_in_memory(one, bare.memory_terms(), memory_ceiling(examined.settings, *memory), *memory);
  return std::clamp<uint64_t>(rounded_down(fitting), 1, kUnaskedConnectionsMax);
}

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::advice:
      return "advice";
    case Level::problem:
      return "problem";
    case Level::unknown:
      return "unknown";
  }
  return "";
}

std::string_view name_of(Topic topic) {
  switch (topic) {
    case Topic::settings:
      return "settings";
    case Topic::open_files:
      return "open_files";
    case Topic::memory:
      return "memory";
    case Topic::network:
      return "network";
    case Topic::cpu:
      return "cpu";
    case Topic::disk:
      return "disk";
    case Topic::clock:
      return "clock";
  }
  return "";
}

std::string_view heading_of(Topic topic) {
  switch (topic) {
    case Topic::settings:
      return "Settings";
    case Topic::open_files:
      return "Open files";
    case Topic::memory:
      return "Memory";
    case Topic::network:
      return "Network";
    case Topic::cpu:
      return "CPU";
    case Topic::disk:
      return "Disk";
    case Topic::clock:
      return "Clock";
  }
  return "";
}

bool Diagnosis::fit() const {
  return count(Level::problem) == 0;
}

size_t Diagnosis::count(Level level) const {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [&](const Finding& one) { return one.level == level; }));
}

Diagnosis diagnose(const Examined& examined, const Wish& wish) {
  Diagnosis diagnosis;
  const auto configured = configured_connections(examined.settings);
  diagnosis.asked = wish.connections || configured;
  diagnosis.size.connections = wish.connections ? *wish.connections
                               : configured     ? *configured
                                                : connections_here(examined, wish);
  diagnosis.size.sessions = wish.sessions.value_or(diagnosis.size.connections);
  diagnosis.size.filters = wish.filters;

  Case on(examined, diagnosis.size, diagnosis.asked);
  check_settings(on);
  check_open_files(on);
  check_memory(on);
  check_network(on);
  check_cpu(on);
  check_disk(on);
  check_clock(on);
  diagnosis.findings = std::move(on.findings);
  for (const Finding& finding : diagnosis.findings) {
    if (!finding.carries || (diagnosis.carries && *diagnosis.carries <= *finding.carries)) continue;
    diagnosis.carries = finding.carries;
    diagnosis.limited_by = finding.id;
  }
  return diagnosis;
}

// --- what the rules share ---

void Case::add(Topic topic, const char* id, Level level, std::string found, std::string why,
               std::vector<Remedy> mend) {
  findings.push_back({fmt::format("{}.{}", name_of(topic), id), topic, level, std::move(found),
                      std::move(why), std::move(mend), std::nullopt});
}

void Case::ok(Topic topic, const char* id, std::string found) {
  add(topic, id, Level::ok, std::move(found), "", {});
}
void Case::advise(Topic topic, const char* id, std::string found, std::string why, std::vector<Remedy> mend) {
  add(topic, id, Level::advice, std::move(found), std::move(why), std::move(mend));
}
void Case::fail(Topic topic, const char* id, std::string found, std::string why, std::vector<Remedy> mend) {
  add(topic, id, Level::problem, std::move(found), std::move(why), std::move(mend));
}
void Case::fall_short(Topic topic, const char* id, std::string found, std::string why,
                      std::vector<Remedy> mend) {
  add(topic, id, shortage(), std::move(found), std::move(why), std::move(mend));
}
void Case::unknown(Topic topic, const char* id, const std::string& what, const std::string& reason) {
  add(topic, id, Level::unknown, fmt::format("{}: {}", what, reason), "", {});
}

Remedy Case::sysctl(const std::string& name, const std::string& value) const {
  // A container has a network of its own, with settings of its own; the others are the machine's.
  const bool own =
      name.starts_with("net.core.") || (name.starts_with("net.ipv4.") && name != "net.ipv4.tcp_mem");
  if (seen.machine.container && own) {
    return {"docker run", fmt::format("--sysctl {}=\"{}\"", name, value)};
  }
  return {seen.machine.container ? fmt::format("the host's {}", kSysctlFile) : kSysctlFile,
          fmt::format("{} = {}", name, value)};
}

Remedy Case::unit(const std::string& line, const std::string& in_container) const {
  if (seen.machine.container) return {"docker run", in_container};
  return {"systemctl edit courierd", fmt::format("[Service] {}", line)};
}

Remedy Case::setting(const std::string& line) const {
  return {seen.settings_from.empty() ? "courierd's settings" : seen.settings_from, line};
}

const RunningNode* Case::node() const {
  const auto& nodes = seen.machine.nodes;
  for (const RunningNode& one : nodes) {
    if (std::to_string(one.pid) == seen.program_node) return &one;
  }
  return nodes.size() == 1 && seen.program_node.empty() ? &nodes.front() : nullptr;
}

const Fact<config::ControlGroup>& Case::group() const {
  const RunningNode* running = node();
  return running != nullptr ? running->group : seen.machine.group;
}

Fact<uint64_t> Case::memory() const {
  if (!seen.machine.memory_bytes) return seen.machine.memory_bytes;
  const uint64_t bytes = *seen.machine.memory_bytes;
  return group() ? std::min(bytes, group()->memory_max) : bytes;
}

bool Case::tracked() const {
  const auto& conntrack = seen.machine.conntrack;
  return conntrack && *conntrack && (*conntrack)->entries > 0;
}

MemoryTerms Case::memory_terms() const {
  return {seen.settings.store.cache_bytes, tracked()};
}

uint64_t memory_ceiling(const config::Settings& settings, uint64_t memory_bytes) {
  return settings.limits.memory_max != 0 ? settings.limits.memory_max : memory_bytes / 10 * 7;
}

std::string many(uint64_t count) {
  if (count == kNoLimit) return "no limit";
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string bytes_text(uint64_t bytes) {
  return bytes == kNoLimit ? "no limit" : byte_count(bytes);
}

std::string ms_text(double ms) {
  if (ms < 0.01) return "under 0.01 ms";
  if (ms < 0.095) return fmt::format("{:.2f} ms", ms);
  return ms < 9.95 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.0f} ms", ms);
}

}  // namespace courier::cli::doctor
