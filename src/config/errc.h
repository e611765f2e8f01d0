// What can be wrong with a configuration: it cannot be read, or it is not valid.
#pragma once

#include <system_error>

namespace courier::config {

enum class errc {
  unreadable = 1,  // the file is not there, or may not be read
  invalid,         // the message lists every problem that was found
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::config

template <>
struct std::is_error_code_enum<courier::config::errc> : std::true_type {};
