// What can go wrong with a log or a state store, whatever the driver. The sentence beside the code names the
// place and says what to do.
#pragma once

#include <system_error>

namespace courier::store {

enum class errc {
  damaged = 1,    // something that was written is not there any more, or not as it was
  newer_format,   // written by a newer Courier
  not_a_store,    // the folder holds something else
  in_use,         // another process has it open
  disk_full,      // no space, or no quota
  io,             // the machine failed to read or write
  unavailable,    // for the moment: the store is being reopened after an error
  already_there,  // the target of a copy exists
  another_log,    // the state is folded from another log than the one asked for
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::store
