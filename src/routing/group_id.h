// The name of a shared subscription group, that is of one ($share name, filter) pair of one mountpoint.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/ids.h"

namespace courier::routing {

// Never reused: a group that ended and is subscribed to again is another group. 0 is "none".
using GroupId = StrongId<struct GroupIdTag, uint64_t>;

// The group created by the index-th filter of the SUBSCRIBE at this position. Positions fit 47 bits, as
// they do in a SessionId.
constexpr GroupId group_id(Position subscribe, uint32_t index) {
  CHECK(subscribe.value < (uint64_t{1} << 47) && index < (1u << 16));
  return GroupId(subscribe.value << 16 | index);
}

}  // namespace courier::routing
