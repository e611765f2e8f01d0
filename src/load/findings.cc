#include "load/findings.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "base/utf8.h"
#include "load/limits.h"

namespace courier::load {

namespace {

// A line up to the mark and from there, as it is shown: whole, or of a long one what is around the mark.
struct LineAround {
  std::string before, after;
};

LineAround line_around(std::string_view line, size_t mark) {
  mark = std::min(mark, line.size());
  // What is far away is not even looked at: a line may be as long as the file.
  size_t from = mark - std::min(mark, kShownLineMax);
  while (from > 0 && from < mark && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) ++from;
  LineAround around;
  around.before = shown(line.substr(from, mark - from));
  const size_t rest = columns_of(shown(line.substr(mark, kShownLineMax + 1), kShownLineMax));
  // Half of the room at least is kept for what stands at the mark.
  const size_t room = kShownLineMax - std::min(rest, kShownLineMax / 2);
  while (from < mark && columns_of(around.before) > room) {
    from += first_utf8(line.substr(from)).size;
    around.before = shown(line.substr(from, mark - from));
  }
  around.after = shown(line.substr(mark, kShownLineMax + 1), kShownLineMax - columns_of(around.before));
  return around;
}

}  // namespace

void Findings::add(Finding::Kind kind, Place place, std::string message) {
  if (all_.size() >= kFindingsMax) return;
  for (const Finding& other : all_) {
    if (other.message == message && other.place.line == place.line) return;
  }
  all_.push_back({kind, place, std::move(message)});
}

bool Findings::has_errors() const {
  return std::any_of(all_.begin(), all_.end(),
                     [](const Finding& each) { return each.kind == Finding::Kind::error; });
}

std::string_view Findings::line(uint32_t number) const {
  std::string_view rest = text_;
  for (uint32_t n = 1; n < number; ++n) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  std::string_view line = rest.substr(0, rest.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string Findings::describe(const Finding& finding) const {
  const char* kind = finding.kind == Finding::Kind::error ? "error" : "warning";
  const std::string file = shown(file_), message = shown(finding.message, kShownMessageMax);
  if (finding.place.line == 0) return fmt::format("{}: {}: {}\n", file, kind, message);
  std::string out =
      fmt::format("{}:{}:{}: {}: {}\n", file, finding.place.line, finding.place.column, kind, message);
  const std::string_view text = line(finding.place.line);
  if (text.empty()) return out;
  const size_t column = finding.place.column > 0 ? finding.place.column - 1 : 0;
  const LineAround around = line_around(text, column);
  out += fmt::format("{:5} | {}{}\n      | {:>{}}\n", finding.place.line, around.before, around.after, "^",
                     columns_of(around.before) + 1);
  return out;
}

std::string Findings::describe() const {
  std::vector<const Finding*> sorted;
  for (const Finding& each : all_) sorted.push_back(&each);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Finding* a, const Finding* b) {
    return std::tie(a->place.line, a->place.column) < std::tie(b->place.line, b->place.column);
  });
  std::string out;
  for (const Finding* each : sorted) out += describe(*each);
  return out;
}

}  // namespace courier::load
