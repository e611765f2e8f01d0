#include "gateway/thread_metrics.h"

namespace courier::gateway {

ThreadMetrics::ThreadMetrics(Registry& r)
    : bytes_received(r.counter("courier_bytes_received_total", "Bytes read from clients.")),
      bytes_sent(r.counter("courier_bytes_sent_total", "Bytes that clients' sockets took.")),
      violations(r.counter("courier_protocol_violations_total", "Connections closed for what they sent.")),
      refused(r.counter("courier_connects_total", "CONNECTs by result.",
                        {{"result", "refused"}, {"reason", "malformed"}})),
      connect_timeouts(r.counter("courier_disconnects_total", "Connections that ended, by cause.",
                                 {{"reason", "connect_timeout"}})),
      refused_rate(r.counter("courier_connects_total", "CONNECTs by result.",
                             {{"result", "refused"}, {"reason", "connection_rate_exceeded"}})),
      refused_quota(r.counter("courier_connects_total", "CONNECTs by result.",
                              {{"result", "refused"}, {"reason", "quota_exceeded"}})),
      loop_lag_seconds(r.histogram("courier_loop_lag_seconds",
                                   "How long a shard thread was busy from one wait to the next.")) {}

}  // namespace courier::gateway
