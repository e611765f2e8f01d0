#include "load/findings.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "load/limits.h"

namespace courier::load {

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
  if (finding.place.line == 0) return fmt::format("{}: {}: {}\n", file_, kind, finding.message);
  std::string out = fmt::format("{}:{}:{}: {}: {}\n", file_, finding.place.line, finding.place.column, kind,
                                finding.message);
  const std::string_view text = line(finding.place.line);
  if (text.empty()) return out;
  // A long line is shown around the place.
  size_t from = 0;
  const size_t column = finding.place.column > 0 ? finding.place.column - 1 : 0;
  if (text.size() > kShownLineMax && column > kShownLineMax / 2) {
    from = std::min(column - kShownLineMax / 2, text.size() - kShownLineMax);
  }
  std::string shown(text.substr(from, kShownLineMax));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';  // nothing for a terminal to obey
  }
  out += fmt::format("{:5} | {}\n      | {:>{}}\n", finding.place.line, shown, "^", column - from + 1);
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
