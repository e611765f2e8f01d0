// What can be wrong with a state that comes from another node (state_stream.h).
#pragma once

#include <system_error>

namespace courier::cluster {

enum class errc {
  garbled = 1,   // no such stream, or not as it was sent
  cut,           // it ends in the middle
  newer_format,  // sent by a newer Courier
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::cluster

template <>
struct std::is_error_code_enum<courier::cluster::errc> : std::true_type {};
