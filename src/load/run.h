// A whole run in this process: loop, worker, conductor; BLOCKS until it is over.
#pragma once

#include <functional>

#include "base/result.h"
#include "load/conductor.h"

namespace courier::load {

struct RunOptions {
  std::function<void(const Second&, const Conductor&)> on_second;
  std::function<void(const StageResult&)> on_stage;
  std::function<bool()> interrupted;  // asked ten times a second; true: the run ends now
};

// errc::unreachable, errc::invalid_scenario: before anything was sent.
Result<RunResult> run(const Scenario& scenario, const RunOptions& options);

}  // namespace courier::load
