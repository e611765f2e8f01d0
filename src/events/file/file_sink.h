// Events as lines of JSON, in a file that is rotated, or on standard output: line_file.h.
#pragma once

#include <memory>
#include <string>

#include "events/file/line_file.h"
#include "events/sink.h"

namespace courier::events::file {

class FileSink final : public Sink {
 public:
  // Errors: LineFile's.
  static Result<std::unique_ptr<FileSink>> open(LineFileOptions options);

  Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) override;
  void stop() override { file_->stop(); }

 private:
  explicit FileSink(std::unique_ptr<LineFile> file) : file_(std::move(file)) {}

  const std::unique_ptr<LineFile> file_;
  std::string lines_;
};

}  // namespace courier::events::file
