// Files of settings beside the configuration: keys, passwords, rules. Read whole, and watched for changes.
//
// Both may wait for a disk: for workers and starts, never for a shard thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace courier {

// Errors: BaseErrc::unreadable (not there, not permitted, not a plain file, more than bytes_max), and why.
Result<std::string> read_file(const std::string& path, size_t bytes_max);

// Says when a file became another one, by what tells its states apart without reading it. Owned by one
// thread, or guarded by its owner's mutex.
class WatchedFile {
 public:
  // Remembers the file as it is now. To be made before the file is read: a change between the two is then
  // read twice, not missed.
  WatchedFile(std::string path, MonoNs now);

  // Looks at most once a second. True if the file is not what it was at the last look; then it is to be read
  // again, whether or not it is any good.
  bool changed(MonoNs now);
  // The same, at once.
  bool changed();
  const std::string& path() const { return path_; }

  static constexpr MonoNs kLookEveryNs = kNsPerSecond;

 private:
  struct Stamp {
    int64_t modified_ns = 0, changed_ns = 0, size = 0;
    uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  std::optional<Stamp> stamp() const;

  std::string path_;
  std::optional<Stamp> last_;  // nullopt: the file was not there
  MonoNs looked_at_;
};

}  // namespace courier
