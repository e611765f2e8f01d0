// The beginning of something that has not come whole, kept until the rest comes. A string that grows by
// itself ends at up to twice what is in it; strangers' bytes are held in no more than they may have.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace courier::net {

// Appends `more`. The room doubles as it does, but beyond `bytes_max` nothing is taken that is not needed.
inline void append_kept(std::string& kept, std::string_view more, size_t bytes_max) {
  const size_t needed = kept.size() + more.size();
  if (needed > kept.capacity()) {
    std::string room;
    room.reserve(std::max(needed, std::min(bytes_max, 2 * kept.capacity())));
    kept = std::move(room.append(kept));
  }
  kept.append(more);
}

}  // namespace courier::net
