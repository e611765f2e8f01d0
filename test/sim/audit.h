// Whether the state is a fold of the log and of nothing else.
//
// Two nodes start: one on what the disk holds (tables as of some checkpoint, and the log behind it), one on
// empty tables and the whole log from its first record on, with another number of shards. Both store what
// they then have. It must be the same: no matter when checkpoints were taken, what was in memory and what was
// not.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "world.h"

namespace courier::sim {

// What differs; nothing, if all is well.
std::vector<std::string> audit(const store::MemoryImage& image,
                               const std::deque<store::MemoryImage::LogEntry>& whole_log,
                               const World::Options& options);

// What two images differ in that should be the same; the owners of a cluster's partitions aside.
std::vector<std::string> differences(const store::MemoryImage& one, const store::MemoryImage& other);
// The image of a node after a start and a checkpoint, when nobody is there.
Result<store::MemoryImage> stored_by(World::Options options, store::MemoryImage image);

}  // namespace courier::sim
