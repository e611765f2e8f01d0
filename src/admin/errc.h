// What can go wrong on the REST side. The sentence beside the code is for a person; http_status() of the
// reply (json_reply.h) follows from the code.
#pragma once

#include <system_error>

namespace courier::admin {

enum class errc {
  bad_request = 1,  // the caller's: cannot be understood
  not_found,        // no such client
  conflict,         // not in this state: not connected, a backup is running, the folder is there already
  storage_full,     // a backup found no room
  storage,          // a backup failed
  settings,         // a reload: what stands in the settings, or in a file that they name, is no good
  unreachable,      // whom the node was to ask gave no answer
  listen,           // the server: its address cannot be used
  tokens,           // the server: the token file cannot be used
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::admin
