// Events that an endpoint would not take, on disk: lines of JSON, each with the time, the reason, the event
// for people to read, and its bytes to tell it again.
//
//   PATH, PATH.1, …    what was given up, newest first; beyond bytes_max the oldest go
//   PATH.replay        what is being told again
//
// Of one thread, but count().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "events/file/line_file.h"
#include "events/outbox.h"

namespace courier::events::webhook {

class DeadLetters {
 public:
  // Errors: a sentence with the path, and what the machine says.
  static Result<std::unique_ptr<DeadLetters>> open(std::string path, uint64_t bytes_max);

  // Safe when it returns.
  Result<void> put(const Event& event, std::string_view why, uint32_t attempts, WallMs now);
  // All of them, the oldest first, to be told again. They stay on disk until done_with_replay().
  Result<std::vector<EventPtr>> replay();
  void done_with_replay();
  // About how many there are. Any thread.
  uint64_t count() const { return count_; }

 private:
  DeadLetters(std::string path, uint64_t bytes_max) : path_(std::move(path)), bytes_max_(bytes_max) {}
  Result<void> open_file();
  std::vector<std::string> files() const;  // that there are, the oldest first
  std::string replay_path() const { return path_ + ".replay"; }

  const std::string path_;
  const uint64_t bytes_max_;
  std::unique_ptr<file::LineFile> file_;
  std::atomic<uint64_t> count_{0};
};

}  // namespace courier::events::webhook
