// What can be wrong with a ban, and with the file of bans.
#pragma once

#include <system_error>

namespace courier::admission {

enum class errc {
  bad_ban = 1,  // neither an address nor a name, or more text than a ban may have
  too_many,     // kBansMax
  bad_file,     // not written by us
  io,
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::admission

template <>
struct std::is_error_code_enum<courier::admission::errc> : std::true_type {};
