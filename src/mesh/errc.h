// Why a request has no answer, a peer was refused, or the mesh cannot be opened. The codes' message() is a
// word for a metric's label.
#pragma once

#include <system_error>

#include "base/result.h"

namespace courier::mesh {

enum class errc {
  no_link = 1,  // there is no connection to that node now
  link_lost,    // there was one
  timed_out,
  busy,       // too many requests that wait for an answer
  too_large,  // the request
  failed,     // the other node says so
  stopped,    // this node stops
  bad_frame,  // what came is no frame of the mesh
  bad_setting,
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::mesh

template <>
struct std::is_error_code_enum<courier::mesh::errc> : std::true_type {};
