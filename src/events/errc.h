// What keeps a sink from being told. The sentence beside the code says who, and what to do.
#pragma once

#include <system_error>

namespace courier::events {

enum class errc {
  bad_options = 1,  // settings that cannot work
  away,             // it does not answer, or refuses for now: events wait
  stopped,          // we are
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::events

template <>
struct std::is_error_code_enum<courier::events::errc> : std::true_type {};
