// Lines in a file that is rotated, or on standard output: appended, and safe when append() returns (synced;
// not on standard output and pipes). A line that a crash tore is cut off at the next start.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace courier::events::file {

struct LineFileOptions {
  std::string path;  // "-": standard output
  uint64_t file_bytes_max = 64 << 20;
  uint32_t files_max = 5;  // beside the one that is written: PATH.1 is the newest of them
};

class LineFile {
 public:
  // Errors, here and below: a sentence with the path, and what the machine says.
  static Result<std::unique_ptr<LineFile>> open(LineFileOptions options);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // Whole lines, each with its end. Of what could not be written nothing stays. BLOCKS: while nobody reads a
  // pipe, until stop(). One thread.
  Result<void> append(std::string_view lines);
  // From another thread.
  void stop() { stopping_ = true; }

 private:
  explicit LineFile(LineFileOptions options) : options_(std::move(options)) {}
  Result<void> open_file();
  Result<void> rotate();
  Failure failed(std::string_view what) const;
  bool on_standard_output() const { return options_.path == "-"; }

  const LineFileOptions options_;
  std::atomic<bool> stopping_{false};
  int fd_ = -1;
  bool is_file_ = false;  // that can be cut, synced and rotated
  uint64_t bytes_ = 0;    // in it
};

}  // namespace courier::events::file
