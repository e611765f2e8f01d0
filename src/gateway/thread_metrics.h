// The counters of one shard thread: its own instances, so that no two threads share a cache line.
#pragma once

#include "base/metrics.h"

namespace courier::gateway {

struct ThreadMetrics {
  explicit ThreadMetrics(Registry& registry);

  Counter& bytes_received;
  Counter& bytes_sent;
  // Before CONNECT was decoded. Afterwards the shard counts, in the same series.
  Counter& violations;
  Counter& refused;
  Counter& connect_timeouts;
  // Told so at their CONNECT: they came too fast, or their source has too many.
  Counter& refused_rate;
  Counter& refused_quota;
  // From the wake-up to the end of the Turn: what came meanwhile has waited as long.
  Histogram& loop_lag_seconds;
};

}  // namespace courier::gateway
