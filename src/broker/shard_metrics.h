// The counters of one shard: its own instances, so that no two threads share a cache line.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "auth/acl/labels.h"
#include "base/metrics.h"
#include "broker/end_cause.h"
#include "mqtt/protocol.h"
#include "session/inbox.h"

namespace courier::broker {

// The caller's own instance of the counter of what was dropped for this reason.
Counter& dropped_because(Registry& registry, std::string_view reason);

struct ShardMetrics {
  // `labels` outlive it.
  ShardMetrics(Registry& registry, const auth::acl::Labels& labels);

  Gauge& connections;
  Gauge& sessions_connected;
  Gauge& sessions_offline;
  Counter& connects_accepted;
  Counter& connects_refused(mqtt::ReasonCode reason);
  // PUBLISH from clients, by QoS and the label of the access rule.
  Counter& received(auth::acl::LabelId label, mqtt::Qos qos) {
    const auto index = size_t{3} * label + static_cast<size_t>(qos);
    if (index < received_.size() && received_[index]) return *received_[index];
    return make_received(label, qos);
  }
  std::array<Counter*, 3> delivered;  // to clients: QoS 0 written, QoS 1 and 2 acknowledged
  Counter& transmitted_again;
  struct Dropped {
    Counter& inbox_full;
    Counter& expired;
    Counter& too_large;
    Counter& output_full;
    Counter& not_connected;
    Counter& refused;
    Counter& unreadable;
  } dropped;
  std::array<Counter*, kEndCauseCount> ended;
  Counter& violations;
  Counter& inbox_read_failures;
  Gauge& queue_messages;
  Gauge& queue_bytes;
  Counter& wills_published;
  Counter& sessions_expired;
  Histogram& connack_seconds;
  Histogram& commit_seconds;

 private:
  Counter& make_received(auth::acl::LabelId label, mqtt::Qos qos);

  Registry& registry_;
  const auth::acl::Labels& labels_;
  std::vector<Counter*> received_;                // made when first needed, but for those without a label
  std::map<mqtt::ReasonCode, Counter*> refused_;  // made when first needed
};

// Keeps the two queue gauges true over whatever happens to an inbox.
class QueueCount {
 public:
  QueueCount(ShardMetrics& metrics, const session::Inbox& inbox)
      : metrics_(metrics), inbox_(inbox), count_(inbox.count()), bytes_(inbox.bytes()) {}
  ~QueueCount() {
    metrics_.queue_messages.add(static_cast<int64_t>(inbox_.count() - count_));
    metrics_.queue_bytes.add(static_cast<int64_t>(inbox_.bytes() - bytes_));
  }

 private:
  ShardMetrics& metrics_;
  const session::Inbox& inbox_;
  const uint64_t count_, bytes_;
};

}  // namespace courier::broker
