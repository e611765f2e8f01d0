// What can be wrong with access rules: with their file, or with those that came with a client.
#pragma once

#include <system_error>

namespace courier::auth::acl {

enum class errc {
  invalid = 1,  // the message lists every problem that was found, FILE:LINE:COLUMN each
  bad_grant,    // a rule that came with a client is not one
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::auth::acl

template <>
struct std::is_error_code_enum<courier::auth::acl::errc> : std::true_type {};
