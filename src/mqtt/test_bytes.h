// Bytes for the tests of this folder: hex as people read it in the specification, and back. Tests only.
#pragma once

#include <string>
#include <string_view>

namespace courier::mqtt {

// "30 08 0003" as three bytes and two; blanks are for the eye.
inline std::string hex(std::string_view digits) {
  const auto nibble = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'A' + 10; };
  std::string bytes;
  int high = -1;
  for (const char digit : digits) {
    if (digit == ' ' || digit == '\n') continue;
    if (high < 0) {
      high = nibble(digit);
    } else {
      bytes.push_back(static_cast<char>(high << 4 | nibble(digit)));
      high = -1;
    }
  }
  return bytes;
}

inline std::string to_hex(std::string_view bytes) {
  std::string digits;
  for (const char byte : bytes) {
    digits.push_back("0123456789ABCDEF"[static_cast<unsigned char>(byte) >> 4]);
    digits.push_back("0123456789ABCDEF"[byte & 0x0F]);
  }
  return digits;
}

}  // namespace courier::mqtt
