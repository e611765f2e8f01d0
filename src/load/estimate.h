// What a scenario will ask of the machine that plays it, before it is played. Pure but for workers_needed().
#pragma once

#include <string>

#include "load/scenario.h"

namespace courier::load {

// A few lines: time, clients, messages, descriptors, ports, workers, CPU and memory.
std::string estimate(const Scenario& scenario);

}  // namespace courier::load
