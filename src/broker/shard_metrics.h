// The counters of one shard: its own instances, so that no two threads share a cache line.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <vector>

#include "auth/acl/labels.h"
#include "base/metrics.h"
#include "broker/end_cause.h"
#include "mqtt/protocol.h"
#include "session/inbox.h"

namespace courier::broker {

// One series for each label of an access rule, made when first needed: labels are few, but rarely used all.
template <typename Series>
class ByLabel {
 public:
  using Make = std::function<Series&(const std::string& label)>;
  // `labels` outlives it.
  ByLabel(const auth::acl::Labels& labels, Make make) : labels_(&labels), make_(std::move(make)) {}

  Series& operator[](auth::acl::LabelId label) {
    if (label < made_.size() && made_[label]) return *made_[label];
    if (made_.size() <= label) made_.resize(label + size_t{1});
    made_[label] = &make_(std::string(labels_->name(label)));
    return *made_[label];
  }

 private:
  const auth::acl::Labels* labels_;
  Make make_;
  std::vector<Series*> made_;  // index: label; null: not yet
};

// The caller's own counters of what was dropped for this reason.
ByLabel<Counter> dropped_because(Registry& registry, const auth::acl::Labels& labels,
                                 const std::string& reason);

struct ShardMetrics {
  // `labels` outlive it.
  ShardMetrics(Registry& registry, const auth::acl::Labels& labels);

  Gauge& connections;
  Gauge& sessions_connected;
  Gauge& sessions_offline;
  Counter& connects_accepted;
  Counter& connects_refused(mqtt::ReasonCode reason);
  std::array<ByLabel<Counter>, 3> received;  // PUBLISH from clients, by QoS
  std::array<Counter*, 3> delivered;         // to clients: QoS 0 written, QoS 1 and 2 acknowledged
  Counter& transmitted_again;
  struct Dropped {
    ByLabel<Counter> inbox_full, expired, too_large, output_full, not_connected, refused, unreadable,
        not_allowed;
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
  Gauge& commits_waiting;
  // Of messages with a label only: those without pay nothing for it.
  ByLabel<Histogram> delivery_seconds;

 private:
  Registry& registry_;
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
