#include "events/file/file_sink.h"

#include "events/catalogue/json.h"

namespace courier::events::file {
namespace {

constexpr size_t kLinesKept = 4 << 20;

}  // namespace

Result<std::unique_ptr<FileSink>> FileSink::open(LineFileOptions options) {
  auto file = LineFile::open(std::move(options));
  if (!file) return fail(std::move(file.error()));
  return std::unique_ptr<FileSink>(new FileSink(std::move(*file)));
}

Result<Told> FileSink::tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) {
  lines_.clear();
  for (const auto part : {noted, events}) {
    for (const EventPtr& event : part) {
      append_json(lines_, event->bytes);
      lines_.push_back('\n');
    }
  }
  if (auto written = file_->append(lines_); !written) return fail(std::move(written.error()));
  if (lines_.capacity() > kLinesKept) lines_ = {};
  return Told{events.size(), {}};
}

}  // namespace courier::events::file
