// One run of courierd: what it is put together from, in which order it starts, and how it stops.
//
//   settings -> store -> HTTP (not ready yet) -> node (recovery) -> shard threads -> listeners -> ready
//   SIGTERM: no new connections -> everybody is told, paced -> log and checkpoint -> threads -> exit
//
// Owned by main(), used on the main thread.
#pragma once

#include <string>
#include <vector>

#include "command_line.h"
#include "config/settings.h"

namespace courier::courierd {

// Runs until a signal says stop; an ExitCode. What went wrong has been logged (and, while starting, said on
// stderr).
int run(const CommandLine& command_line, const config::Settings& settings);

}  // namespace courier::courierd
