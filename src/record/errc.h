// What can be wrong with bytes that should be records.
#pragma once

#include <system_error>

namespace courier::record {

enum class errc {
  truncated = 1,    // ends in the middle
  checksum,         // bytes changed since they were written
  unknown_type,     // written by something we do not know
  unknown_version,  // written by a newer Courier
  out_of_range,     // a field holds what it cannot
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::record
