#include "events/webhook/dead_letters.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "events/catalogue/json.h"
#include "events/errc.h"
#include "jose/base64url.h"
#include "jose/json_object.h"

namespace courier::events::webhook {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kFilesMax = 3;  // beside the one that is written

size_t lines_in(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Null: it is none of ours.
EventPtr event_of(std::string_view line) {
  const auto json = jose::parse_object(line);
  if (!json) return nullptr;
  const jose::Json *kind = jose::member(*json, "kind"), *bytes = jose::member(*json, "bytes");
  if (kind == nullptr || bytes == nullptr || !kind->is_string() || !bytes->is_string()) return nullptr;
  const auto known = kind_of(std::string_view(kind->get_ref<const std::string&>()));
  auto decoded = jose::decode_base64(bytes->get_ref<const std::string&>());
  if (!known || !decoded) return nullptr;
  return std::make_shared<const Event>(Event{Position(0), *known, std::move(*decoded)});
}

}  // namespace

Result<std::unique_ptr<DeadLetters>> DeadLetters::open(std::string path, uint64_t bytes_max) {
  std::unique_ptr<DeadLetters> letters(new DeadLetters(std::move(path), bytes_max));
  if (auto opened = letters->open_file(); !opened) return fail(std::move(opened.error()));
  for (const std::string& file : letters->files()) {
    const auto text = read_file(file, 2 * bytes_max);
    if (text) letters->count_ += lines_in(*text);
  }
  return letters;
}

Result<void> DeadLetters::open_file() {
  auto file = file::LineFile::open(
      {.path = path_, .file_bytes_max = bytes_max_ / (kFilesMax + 1), .files_max = kFilesMax});
  if (!file) return fail(std::move(file.error()));
  file_ = std::move(*file);
  return {};
}

std::vector<std::string> DeadLetters::files() const {
  std::vector<std::string> there;
  const auto add = [&](const std::string& path) {
    std::error_code ignored;
    if (fs::exists(path, ignored)) there.push_back(path);
  };
  add(replay_path());
  for (uint32_t number = kFilesMax; number > 0; --number) add(path_ + "." + std::to_string(number));
  add(path_);
  return there;
}

Result<void> DeadLetters::put(const Event& event, std::string_view why, uint32_t attempts, WallMs now) {
  std::string line = R"({"time":")" + log::iso8601(now) + R"(","kind":")" +
                     std::string(info(event.kind).name) + R"(","why":)";
  append_json_text(line, why);
  line += ",\"attempts\":" + std::to_string(attempts) + ",\"event\":";
  append_json(line, event.bytes);
  line += ",\"bytes\":\"" + jose::base64(event.bytes) + "\"}\n";
  if (!file_) {
    if (auto opened = open_file(); !opened) return opened;
  }
  if (auto written = file_->append(line); !written) return written;
  ++count_;
  return {};
}

Result<std::vector<EventPtr>> DeadLetters::replay() {
  {
    auto replay = file::LineFile::open({.path = replay_path(), .file_bytes_max = UINT64_MAX});
    if (!replay) return fail(std::move(replay.error()));
    for (const std::string& path : files()) {
      if (path == replay_path()) continue;
      const auto text = read_file(path, bytes_max_);
      if (!text) return fail(text.error());
      if (auto written = (*replay)->append(*text); !written) return fail(std::move(written.error()));
    }
  }
  file_.reset();
  for (const std::string& path : files()) {
    std::error_code ignored;
    if (path != replay_path()) fs::remove(path, ignored);
  }
  const auto all = read_file(replay_path(), 2 * bytes_max_);
  if (!all) return fail(all.error());
  std::vector<EventPtr> events;
  for (std::string_view rest = *all; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (EventPtr event = event_of(line)) events.push_back(std::move(event));
  }
  if (events.empty()) done_with_replay();
  return events;
}

void DeadLetters::done_with_replay() {
  const auto text = read_file(replay_path(), 2 * bytes_max_);
  if (text) count_ -= std::min<uint64_t>(count_, lines_in(*text));
  std::error_code ignored;
  fs::remove(replay_path(), ignored);
}

}  // namespace courier::events::webhook
