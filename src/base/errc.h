// What can go wrong in base: only its adapters to the machine can fail.
#pragma once

#include <system_error>

namespace courier {

enum class BaseErrc {
  log_destination = 1,  // the log file cannot be opened
  unreadable,           // a file cannot be read, or is too large
};

const std::error_category& base_category();

inline std::error_code make_error_code(BaseErrc code) {
  return {static_cast<int>(code), base_category()};
}

}  // namespace courier

template <>
struct std::is_error_code_enum<courier::BaseErrc> : std::true_type {};
