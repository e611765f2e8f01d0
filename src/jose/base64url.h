// base64url without padding: RFC 7515, section 2 and appendix C; RFC 4648, section 5. And base64 as others
// have it, section 4. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace courier::jose {

std::string base64url(std::string_view bytes);

// Strict: no padding, no white space, no other alphabet, and the bits that are left over must be zero, so
// that there is one text for each sequence of bytes. Error: bad_base64url.
Result<std::string> decode_base64url(std::string_view text);

// Whether every character is of the alphabet. True for "".
bool is_base64url(std::string_view text);

// With padding.
std::string base64(std::string_view bytes);

// With padding or without, and of either alphabet; else as strict as decode_base64url(). Error:
// bad_base64url.
Result<std::string> decode_base64(std::string_view text);

}  // namespace courier::jose
