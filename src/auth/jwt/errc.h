// What can be wrong with the settings of tokens. What can be wrong with a token or a key is in jose/errc.h,
// and how a refused token counts in refusal.h.
#pragma once

#include <system_error>

namespace courier::auth::jwt {

enum class errc {
  bad_options = 1,  // settings that contradict each other, or say too little
  bad_template,     // not text with {claims} in it
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::auth::jwt

template <>
struct std::is_error_code_enum<courier::auth::jwt::errc> : std::true_type {};
