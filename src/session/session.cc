#include "session/session.h"

#include <algorithm>

namespace courier::session {

bool TakenIds::contains(PacketId id) const {
  return std::binary_search(ids_->begin(), ids_->end(), id.value);
}

bool TakenIds::insert(PacketId id) {
  std::vector<uint16_t>& ids = ids_.make();
  const auto it = std::lower_bound(ids.begin(), ids.end(), id.value);
  if (it != ids.end() && *it == id.value) return false;
  ids.insert(it, id.value);
  return true;
}

bool TakenIds::erase(PacketId id) {
  if (!ids_) return false;
  std::vector<uint16_t>& ids = ids_.make();
  const auto it = std::lower_bound(ids.begin(), ids.end(), id.value);
  if (it == ids.end() || *it != id.value) return false;
  ids.erase(it);
  return true;
}

}  // namespace courier::session
