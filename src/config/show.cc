#include "config/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "config/schema.h"

namespace courier::config {
namespace {

constexpr size_t kColumnMax = 60;  // a longer value does not push all comments to the right

struct Line {
  std::string text, origin;
};

// "tokens", a list of two secrets: "# tokens: 2 values, not shown".
std::string hidden(const Key& key, const void* owner) {
  if (const auto* list = std::get_if<ListMember>(&key.member)) {
    const size_t count = list->of(const_cast<void*>(owner)).size();
    return fmt::format("# {}: {} value{}, not shown", key.name, count, count == 1 ? "" : "s");
  }
  return fmt::format("# {}: set, not shown", key.name);
}

Line line_of(const Section& section, const Key& key, const void* owner, const std::string* origin) {
  const bool secret = key.secret && toml_value(key, owner) != toml_default(section, key);
  return {secret ? hidden(key, owner) : fmt::format("{} = {}", key.name, toml_value(key, owner)),
          origin ? *origin : "default"};
}

void append(std::string& out, const std::string& header, const std::vector<Line>& lines,
            const ShowOptions& options) {
  if (lines.empty() && options.changed) return;
  if (!out.empty()) out += '\n';
  if (!header.empty()) out += header + '\n';
  size_t column = 0;
  for (const Line& line : lines) {
    if (line.text.size() <= kColumnMax) column = std::max(column, line.text.size());
  }
  for (const Line& line : lines) {
    out += options.origin ? fmt::format("{:<{}}  # {}\n", line.text, column, line.origin) : line.text + '\n';
  }
}

}  // namespace

std::string show(const Loaded& loaded, const ShowOptions& options) {
  std::string out;
  for (const Section& section : schema()) {
    for (size_t i = 0; i < owners(section, loaded.settings); ++i) {
      const void* row = owner(section, loaded.settings, i);
      std::vector<Line> lines;
      for (const Key& key : section.keys) {
        const std::string name =
            section.repeated ? fmt::format("{}.{}.{}", section.name, i, key.name) : full_name(section, key);
        const auto found = loaded.origins.find(name);
        const std::string* origin = found == loaded.origins.end() ? nullptr : &found->second;
        // A row without its name would not be that row.
        const bool wanted = origin || (section.repeated && key.name == "name") ||
                            toml_value(key, row) != toml_default(section, key);
        if (options.changed && !wanted) continue;
        lines.push_back(line_of(section, key, row, origin));
      }
      append(out, section.name.empty() ? "" : header(section), lines, options);
    }
  }
  return out;
}

}  // namespace courier::config
