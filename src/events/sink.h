// Port: something outside that is told of events. Adapters: file/, kafka/, webhook/.
#pragma once

#include <span>

#include "base/result.h"
#include "events/catalogue/catalogue.h"
#include "events/outbox.h"

namespace courier::events {

class Sink {
 public:
  virtual ~Sink() = default;

  // Tells of all of them, those of one client in this order, and returns when they are safe there, or given
  // up by the sink's own rules (and counted, and kept, as those say). Error: some are not; all of them come
  // again, after a while, so some may be told twice. BLOCKS. One thread, one call at a time.
  virtual Result<void> tell(std::span<const EventPtr> events) = 0;
  // From another thread: the call under way, and each later one, comes back soon, with an error if it must.
  virtual void stop() = 0;
};

}  // namespace courier::events
