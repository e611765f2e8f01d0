// UTF-8, one character at a time, for text that may be anything. Pure. Source: RFC 3629.
#pragma once

#include <cstddef>
#include <string_view>

namespace courier {

struct Utf8Character {
  char32_t code = 0xFFFD;
  size_t size = 1;  // bytes taken
  bool valid = false;
};

// The character at the front of a text that is not empty. A byte that starts no well-formed character (too
// long a form, a surrogate, beyond U+10FFFF, cut off) is taken alone and is not valid.
Utf8Character first_utf8(std::string_view text);

bool is_well_formed_utf8(std::string_view text);

}  // namespace courier
