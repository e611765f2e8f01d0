// Looks at the disk that data_dir is on: its file system, its room, and how long it takes to sync.
//
// Writes a nameless file (or one that loses its name at once) in the folder, at most some hundred blocks and
// for some seconds, on the caller's thread; nothing is left behind, not even after a kill.
#pragma once

#include <chrono>
#include <string>

#include "courier/doctor/facts.h"

namespace courier::cli::doctor {

inline constexpr unsigned kSyncs = 200;
inline constexpr std::chrono::seconds kSyncTimeMax{4};
inline constexpr size_t kSyncBlockBytes = 4096;

DiskFacts read_disk(const std::string& data_dir);

}  // namespace courier::cli::doctor
