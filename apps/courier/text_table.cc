#include "courier/text_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/shown_text.h"

namespace courier::cli {

std::string one_line(std::string_view text) {
  return shown(text);
}

std::string byte_count(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

void TextTable::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = one_line(cell);
  cells.resize(rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  const size_t columns = rows_.front().size();
  std::vector<size_t> widths(columns);
  std::vector<bool> shown(columns);
  for (size_t column = 0; column < columns; ++column) {
    for (size_t row = 0; row < rows_.size(); ++row) {
      widths[column] = std::max(widths[column], columns_of(rows_[row][column]));
      shown[column] = shown[column] || (row > 0 && !rows_[row][column].empty()) || rows_.size() == 1;
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t column = 0; column < columns; ++column) {
      if (!shown[column]) continue;
      line += row[column];
      line.append(widths[column] - columns_of(row[column]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace courier::cli
