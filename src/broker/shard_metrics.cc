#include "broker/shard_metrics.h"

namespace courier::broker {

namespace {

// Those without a label are there from the start.
template <typename Series>
ByLabel<Series> from_the_start(ByLabel<Series> series) {
  (void)series[auth::acl::kNoLabel];
  return series;
}

ByLabel<Counter> received_by_label(Registry& registry, const auth::acl::Labels& labels, mqtt::Qos qos) {
  return from_the_start(ByLabel<Counter>(labels, [&registry, qos](const std::string& label) -> Counter& {
    return registry.counter("courier_messages_received_total", "PUBLISH packets from clients.",
                            {{"qos", std::to_string(static_cast<int>(qos))}, {"label", label}});
  }));
}

std::array<Counter*, 3> by_qos(Registry& registry, std::string_view name, std::string_view help) {
  std::array<Counter*, 3> counters{};
  for (size_t qos = 0; qos < 3; ++qos)
    counters[qos] = &registry.counter(name, help, {{"qos", std::to_string(qos)}});
  return counters;
}

}  // namespace

ByLabel<Counter> dropped_because(Registry& registry, const auth::acl::Labels& labels,
                                 const std::string& reason) {
  return from_the_start(ByLabel<Counter>(labels, [&registry, reason](const std::string& label) -> Counter& {
    return registry.counter(
        "courier_messages_dropped_total",
        "Messages that one receiver will not get, by reason and label of the access rule.",
        {{"reason", reason}, {"label", label}});
  }));
}

ShardMetrics::ShardMetrics(Registry& r, const auth::acl::Labels& labels)
    : connections(
          r.gauge("courier_clients_connected", "Clients whose CONNECT was accepted and who are here.")),
      sessions_connected(r.gauge("courier_sessions", "Sessions, by whether their client is connected.",
                                 {{"state", "connected"}})),
      sessions_offline(r.gauge("courier_sessions", "Sessions, by whether their client is connected.",
                               {{"state", "offline"}})),
      connects_accepted(r.counter("courier_connects_total", "CONNECTs by result.",
                                  {{"result", "accepted"}, {"reason", "success"}})),
      received{received_by_label(r, labels, mqtt::Qos::at_most_once),
               received_by_label(r, labels, mqtt::Qos::at_least_once),
               received_by_label(r, labels, mqtt::Qos::exactly_once)},
      delivered(by_qos(r, "courier_messages_delivered_total",
                       "Messages delivered to clients: QoS 0 when written, QoS 1 and 2 when acknowledged.")),
      transmitted_again(r.counter("courier_messages_retransmitted_total", "PUBLISH packets sent with DUP.")),
      dropped{dropped_because(r, labels, "inbox_full"),    dropped_because(r, labels, "expired"),
              dropped_because(r, labels, "too_large"),     dropped_because(r, labels, "output_full"),
              dropped_because(r, labels, "not_connected"), dropped_because(r, labels, "refused"),
              dropped_because(r, labels, "unreadable"),    dropped_because(r, labels, "not_allowed")},
      violations(r.counter("courier_protocol_violations_total", "Connections closed for what they sent.")),
      inbox_read_failures(r.counter("courier_inbox_read_failures_total",
                                    "Reads of a session's stored messages that failed or found damage.")),
      queue_messages(r.gauge("courier_queue_messages", "QoS 1 and 2 messages that sessions still owe.")),
      queue_bytes(r.gauge("courier_queue_bytes", "Bytes of the messages that sessions still owe.")),
      wills_published(r.counter("courier_wills_published_total", "Wills that were published.")),
      sessions_expired(r.counter("courier_sessions_expired_total", "Sessions that ended by their expiry.")),
      connack_seconds(r.histogram("courier_connack_seconds", "From CONNECT to CONNACK.")),
      commit_seconds(r.histogram("courier_commit_seconds",
                                 "From handing a batch of records to the log until they are safe and back.")),
      commits_waiting(
          r.gauge("courier_commits_waiting", "Batches of records handed to the log and not yet back.")),
      delivery_seconds(
          labels,
          [&r](const std::string& label) -> Histogram& {
            return r.histogram(
                "courier_delivery_seconds",
                "From a PUBLISH until a client has it: QoS 0 written, QoS 1 and 2 acknowledged. Of "
                "messages whose access rule has a label.",
                {{"label", label}});
          }),
      registry_(r) {
  (void)delivery_seconds[auth::acl::kOtherLabel];
  for (size_t cause = 0; cause < kEndCauseCount; ++cause) {
    ended[cause] = &r.counter("courier_disconnects_total", "Connections that ended, by cause.",
                              {{"reason", std::string(name(static_cast<EndCause>(cause)))}});
  }
}

Counter& ShardMetrics::connects_refused(mqtt::ReasonCode reason) {
  Counter*& counter = refused_[reason];
  if (!counter) {
    counter = &registry_.counter("courier_connects_total", "CONNECTs by result.",
                                 {{"result", "refused"}, {"reason", std::string(mqtt::name(reason))}});
  }
  return *counter;
}

}  // namespace courier::broker
