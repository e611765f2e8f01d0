#include "broker/shared.h"

namespace courier::broker {

void FullInboxes::set(SessionId session, bool full) {
  const std::lock_guard lock(mutex_);
  if (full) {
    sessions_.insert(session);
  } else {
    sessions_.erase(session);
  }
  count_.store(sessions_.size(), std::memory_order_relaxed);
}

bool FullInboxes::contains(SessionId session) const {
  const std::lock_guard lock(mutex_);
  return sessions_.contains(session);
}

}  // namespace courier::broker
