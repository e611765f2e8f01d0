// What the rules of `courier doctor` share: the case before them, and how a finding is made.
//
// Seen by diagnosis.cc and rules_<topic>.cc only.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include "courier/doctor/diagnosis.h"

namespace courier::cli::doctor {

// Where remedies go.
inline constexpr const char* kSysctlFile = "/etc/sysctl.d/60-courier.conf";

class Case {
 public:
  Case(const Examined& examined, Size size, bool asked) : seen(examined), size(size), asked_(asked) {}

  const Examined& seen;
  const Size size;
  std::vector<Finding> findings;

  void ok(Topic topic, const char* id, std::string found);
  void advise(Topic topic, const char* id, std::string found, std::string why, std::vector<Remedy> mend = {});
  void fail(Topic topic, const char* id, std::string found, std::string why, std::vector<Remedy> mend = {});
  void unknown(Topic topic, const char* id, const std::string& what, const std::string& reason);
  // Of the last finding.
  void carries(uint64_t connections) { findings.back().carries = connections; }

  // A shortage is a problem only where somebody wants as much.
  Level shortage() const { return asked_ ? Level::problem : Level::advice; }
  void fall_short(Topic topic, const char* id, std::string found, std::string why,
                  std::vector<Remedy> mend = {});

  // "net.core.somaxconn" to a value: a line of a sysctl file, or what a container wants instead.
  Remedy sysctl(const std::string& name, const std::string& value) const;
  Remedy sysctl(const std::string& name, uint64_t value) const { return sysctl(name, std::to_string(value)); }
  // A line of the systemd unit's [Service]; what a container wants instead.
  Remedy unit(const std::string& line, const std::string& in_container) const;
  Remedy setting(const std::string& line) const;

  // The courierd that runs, if there is one.
  const RunningNode* node() const;
  // Its control group, or this process's.
  const Fact<config::ControlGroup>& group() const;
  // Memory of the machine, or of the container or unit where that is less.
  Fact<uint64_t> memory() const;
  bool tracked() const;  // the firewall tracks connections
  MemoryTerms memory_terms() const;

 private:
  void add(Topic topic, const char* id, Level level, std::string found, std::string why,
           std::vector<Remedy> mend);

  const bool asked_;
};

void check_settings(Case& on);
void check_open_files(Case& on);
void check_memory(Case& on);
void check_network(Case& on);
void check_cpu(Case& on);
void check_disk(Case& on);
void check_clock(Case& on);

// The ceiling in force: limits.memory_max, or 70% of what there is.
uint64_t memory_ceiling(const config::Settings& settings, uint64_t memory_bytes);

// "1,048,576"; "no limit".
std::string many(uint64_t count);
// "15.6 GiB"
std::string bytes_text(uint64_t bytes);
// "0.8 ms", "12 ms"
std::string ms_text(double ms);

}  // namespace courier::cli::doctor
