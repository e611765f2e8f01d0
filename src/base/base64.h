// base64 as others write it: RFC 4648, section 4, with padding. Pure.
#pragma once

#include <string>
#include <string_view>

namespace courier {

void append_base64(std::string& out, std::string_view bytes);

}  // namespace courier
