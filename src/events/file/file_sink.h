// Events as lines of JSON, in a file that is rotated, or on standard output.
//
// A line is safe when tell() returns: written and synced (not on standard output). A line that a crash tore
// is cut off at the next start, and told again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "events/sink.h"

namespace courier::events::file {

struct FileSinkOptions {
  std::string path;  // "-": standard output
  uint64_t file_bytes_max = 64 << 20;
  uint32_t files_max = 5;  // beside the one that is written: PATH.1 is the newest of them
};

class FileSink final : public Sink {
 public:
  // Errors: a sentence with the path, and what the machine says.
  static Result<std::unique_ptr<FileSink>> open(FileSinkOptions options);
  ~FileSink() override;

  Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) override;
  void stop() override { stopping_ = true; }

 private:
  explicit FileSink(FileSinkOptions options) : options_(std::move(options)) {}
  Result<void> open_file();
  Result<void> rotate();
  Result<void> write_lines();
  Failure failed(std::string_view what) const;
  bool on_standard_output() const { return options_.path == "-"; }

  const FileSinkOptions options_;
  std::atomic<bool> stopping_{false};
  int fd_ = -1;
  bool is_file_ = false;  // that can be cut, synced and rotated
  uint64_t bytes_ = 0;    // in it
  std::string lines_;
};

}  // namespace courier::events::file
