// What can be wrong with a password file, and with editing it.
#pragma once

#include <system_error>

namespace courier::auth::file {

enum class errc {
  unreadable = 1,  // the file is not there, or may not be read
  invalid,         // a line of it is not USER:HASH
  unwritable,      // the new file could not be put in the old one's place; the old one stands
  bad_user_name,   // a name that cannot stand in the file
  bad_password,    // empty, or longer than MQTT can carry
  hash_failed,     // no memory, or no randomness
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::auth::file

template <>
struct std::is_error_code_enum<courier::auth::file::errc> : std::true_type {};
