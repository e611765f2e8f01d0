#include "courier/text_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.h"

namespace courier::cli {
namespace {

bool harmless(char32_t code) {
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;
  // Line and paragraph separators, marks and isolates that change the direction of text.
  if (code == 0x2028 || code == 0x2029 || code == 0x061C || code == 0x200E || code == 0x200F) return false;
  return !(code >= 0x202A && code <= 0x202E) && !(code >= 0x2066 && code <= 0x2069) && code != 0xFEFF;
}

size_t width(std::string_view text) {
  size_t characters = 0;
  while (!text.empty()) {
    text.remove_prefix(first_utf8(text).size);
    ++characters;
  }
  return characters;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Character character = first_utf8(text);
    if (!character.valid || (!harmless(character.code) && character.code < 0x80)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else if (!harmless(character.code)) {
      out += fmt::format("\\u{{{:x}}}", static_cast<uint32_t>(character.code));
    } else {
      out.append(text.substr(0, character.size));
    }
    text.remove_prefix(character.size);
  }
  return out;
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
      widths[column] = std::max(widths[column], width(rows_[row][column]));
      shown[column] = shown[column] || (row > 0 && !rows_[row][column].empty()) || rows_.size() == 1;
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t column = 0; column < columns; ++column) {
      if (!shown[column]) continue;
      line += row[column];
      line.append(widths[column] - width(row[column]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace courier::cli
