#include "base/shown_text.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace courier {

namespace {

// Moves no cursor, ends no line, reorders nothing around it.
bool is_harmless(char32_t code) {
  return !(code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C ||
           (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF);
}

std::string spelt(std::string_view text, const Utf8Character& character) {
  if (character.valid && is_harmless(character.code)) return std::string(text.substr(0, character.size));
  if (character.valid && character.code >= 0x80) {
    return fmt::format("\\u{{{:x}}}", static_cast<uint32_t>(character.code));
  }
  return fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
}

}  // namespace

std::string shown(std::string_view text, size_t columns) {
  std::string out;
  size_t used = 0;
  // Where the last character ended that leaves room for "…".
  size_t room = 0;
  while (!text.empty()) {
    const Utf8Character character = first_utf8(text);
    const std::string next = spelt(text, character);
    const size_t width = columns_of(next);
    if (used + width > columns) {
      out.resize(room);
      if (columns > 0) out += "…";
      return out;
    }
    out += next;
    used += width;
    if (used < columns) room = out.size();
    text.remove_prefix(character.size);
  }
  return out;
}

size_t columns_of(std::string_view shown) {
  size_t columns = 0;
  for (const char c : shown) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return columns;
}

}  // namespace courier
