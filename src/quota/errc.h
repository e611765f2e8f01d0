// What can be wrong with limits. Thread-safe; the message of an Error with one of these names the limit and
// says what to write instead.
#pragma once

#include <system_error>

namespace courier::quota {

enum class errc {
  invalid = 1,  // a rule that cannot be; the message names it and says what to write
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::quota

template <>
struct std::is_error_code_enum<courier::quota::errc> : std::true_type {};
