// Columns for people: as wide as their widest cell, one line a row whatever the cells hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace courier::cli {

// On one line and harmless on a terminal: control characters, bytes that are not UTF-8 and characters that
// reorder text become \xNN or \u{…}.
std::string one_line(std::string_view text);

// "1.5 MiB"
std::string byte_count(uint64_t bytes);

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }
  // As many cells as the heading has.
  void add(std::vector<std::string> cells);
  // A column in which no row has anything is left out.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace courier::cli
