// The edge to toml++: its exceptions end here, and nothing else includes it.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/assign.h"

namespace courier::config {

// A file, as a flat list in the order of its lines. `index` counts the tables of a [[section]]; -1 in a plain
// [section] and for a key at the top.
struct FileEntry {
  std::string section;
  int index = -1;
  std::string key;  // empty: the section itself, which may be unknown, or not have any keys
  Value value;
  uint32_t line = 0;
};
struct SyntaxProblem {
  std::string what;
  uint32_t line = 0;
};

std::variant<std::vector<FileEntry>, SyntaxProblem> read_toml(std::string_view text);

}  // namespace courier::config
