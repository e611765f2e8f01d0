#include "session/session.h"

#include <algorithm>

namespace courier::session {

bool TakenIds::contains(PacketId id) const {
  return std::binary_search(ids_.begin(), ids_.end(), id.value);
}

bool TakenIds::insert(PacketId id) {
  const auto it = std::lower_bound(ids_.begin(), ids_.end(), id.value);
  if (it != ids_.end() && *it == id.value) return false;
  ids_.insert(it, id.value);
  return true;
}

bool TakenIds::erase(PacketId id) {
  const auto it = std::lower_bound(ids_.begin(), ids_.end(), id.value);
  if (it == ids_.end() || *it != id.value) return false;
  ids_.erase(it);
  return true;
}

}  // namespace courier::session
