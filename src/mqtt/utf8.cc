// UTF-8 as RFC 3629 has it: shortest form only, no surrogates, nothing above U+10FFFF. [MQTT-1.5.4-1]
#include <cstdint>
#include <cstring>

#include "mqtt/topic.h"

namespace courier::mqtt {
namespace {

// Eight bytes that are all ASCII and not zero: what nearly every topic consists of.
bool is_plain(uint64_t word) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  constexpr uint64_t kOnes = 0x0101010101010101;
  return ((word | (word - kOnes)) & kHighBits) == 0;
}

// Length of the well-formed sequence of two to four bytes at the front, 0 when there is none.
size_t multibyte_length(const unsigned char* at, size_t left) {
  const auto continues = [&](size_t index, unsigned low = 0x80, unsigned high = 0xBF) {
    return at[index] >= low && at[index] <= high;
  };
  const unsigned lead = at[0];
  if (lead >= 0xC2 && lead <= 0xDF) return left >= 2 && continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;   // below: not the shortest form
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;  // above: U+D800 to U+DFFF
    return left >= 3 && continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;  // above: beyond U+10FFFF
    return left >= 4 && continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

bool well_formed(std::string_view text, bool nul_allowed) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  size_t left = text.size();
  while (left > 0) {
    if (left >= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      if (is_plain(word)) {
        at += 8;
        left -= 8;
        continue;
      }
    }
    size_t length = 1;
    if (*at >= 0x80) {
      length = multibyte_length(at, left);
      if (length == 0) return false;
    } else if (*at == 0 && !nul_allowed) {
      return false;  // [MQTT-1.5.4-2]
    }
    at += length;
    left -= length;
  }
  return true;
}

}  // namespace

bool is_utf8(std::string_view text) {
  return well_formed(text, false);
}

bool is_utf8_with_nul(std::string_view text) {
  return well_formed(text, true);
}

}  // namespace courier::mqtt
