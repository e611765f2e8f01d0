#include "record/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace courier::record {

std::string_view name(DropReason reason) {
  switch (reason) {
    case DropReason::inbox_full_messages:
      return "inbox_full_messages";
    case DropReason::inbox_full_bytes:
      return "inbox_full_bytes";
    case DropReason::packet_too_large:
      return "packet_too_large";
    case DropReason::group_full:
      return "group_full";
    case DropReason::administrative:
      return "administrative";
  }
  return "unknown";
}

uint16_t session_hash(std::string_view mountpoint, std::string_view client_id) {
  // The NUL between the two can stand in neither, so no two sessions share what is hashed.
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  XXH64_update(&state, mountpoint.data(), mountpoint.size());
  XXH64_update(&state, "\0", 1);
  XXH64_update(&state, client_id.data(), client_id.size());
  const uint64_t hash = XXH64_digest(&state);
  return static_cast<uint16_t>(hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48));
}

}  // namespace courier::record
