// One run of courierd: what it is put together from, in which order it starts, and how it stops.
//
//   settings -> store -> HTTP (not ready yet) -> node (recovery) -> shard threads -> listeners -> ready
//   SIGTERM: no new connections -> everybody is told, paced -> log and checkpoint -> threads -> exit
//
// Owned by main(), used on the main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "command_line.h"
#include "config/settings.h"

namespace rocksdb {
class FileSystem;
}

namespace courier::courierd {

// What a test's main puts in the place of the machine's own.
struct Adapters {
  // The file system for the store in that folder; null: the machine's.
  std::function<std::shared_ptr<rocksdb::FileSystem>(const std::string& data_dir)> file_system;
};

// Runs until a signal says stop; an ExitCode. What went wrong has been logged (and, while starting, said on
// stderr).
int run(const CommandLine& command_line, const config::Settings& settings, const Adapters& adapters);

}  // namespace courier::courierd
