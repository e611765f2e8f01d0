// A whole run: workers here, in processes of their own or at agents, and the conductor. BLOCKS until it is
// over.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "load/conductor.h"
#include "load/scenario_file.h"

namespace courier::load {

struct RunOptions {
  // The scenario as it was read: workers elsewhere read it again.
  std::string file, text;
  Overrides set;

  uint32_t workers = 0;             // 0: as many as the clients need
  std::vector<std::string> agents;  // "host:port"; none: this machine
  std::string token;                // that agents ask for
  std::string program;              // what worker processes are started from
  std::string version;
  TransportSource transports;

  std::function<void(const Second&, const Conductor&)> on_second;
  std::function<void(const StageResult&)> on_stage;
  std::function<bool()> interrupted;  // asked ten times a second; true: the run ends now
};

// How many workers the clients need: one holds as many connections as it may have descriptors.
uint32_t workers_needed(const Scenario& scenario);

// errc::unreachable, errc::invalid_scenario: before anything was sent.
Result<RunResult> run(const Scenario& scenario, const RunOptions& options);

}  // namespace courier::load
