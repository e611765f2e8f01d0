// Reads a scenario: YAML to checked values, or findings that say what to mend.
//
// Nothing connects and no other file is read. Hostile input is bounded (limits.h); yaml-cpp's own limit on
// nesting holds.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "load/findings.h"
#include "load/scenario.h"

namespace courier::load {

using Overrides = std::vector<std::pair<std::string, std::string>>;  // --set name=value

// nullopt when `findings` has errors.
std::optional<Scenario> read_scenario(const std::string& text, const Overrides& set, Findings& findings);

// What makes no sense though it can be read (errors), or looks like a mistake (warnings): groups that no
// stage connects, topics without a subscriber, rates that this many clients cannot reach.
void check_sense(const Scenario& scenario, Findings& findings);

// The JSON Schema of a scenario, for editors.
std::string scenario_schema();

}  // namespace courier::load
