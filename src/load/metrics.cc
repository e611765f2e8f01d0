#include "load/metrics.h"

namespace courier::load {

namespace {

constexpr std::array<MetricInfo, kLatencies> kLatencyInfo = {{
    {"connect.tcp", "until the connection stood, with TLS and WebSocket if there are"},
    {"connect.connack", "until CONNACK"},
    {"subscribe.suback", "from SUBSCRIBE until SUBACK"},
    {"publish.ack", "until PUBACK (QoS 1) or PUBCOMP (QoS 2)"},
    {"delivery.e2e", "until the subscriber, which was there, had the message"},
    {"delivery.catch_up", "from a subscriber's return until it had a message that was due while it was away"},
    {"reply.rtt", "until the publisher's side had the reply"},
    {"generator.lag", "how much later than due the generator sent"},
}};

constexpr std::array<CountInfo, kCounts> kCountInfo = {{
    {"connect.attempts", "connections begun", Count::connect_attempts},
    {"connect.ok", "CONNACK with success", Count::connect_attempts},
    {"connect.failed", "attempts that ended without a CONNACK", Count::connect_attempts},
    {"connect.refused", "CONNACK with another code", Count::connect_attempts},
    {"disconnect.unexpected", "connections that ended and were not meant to", Count::disconnect_unexpected},
    {"subscribe.refused", "filters refused in SUBACK", Count::subscribe_refused},
    {"publish.sent", "messages sent", Count::publish_sent},
    {"publish.sent_qos0", "of these, those with QoS 0, which nobody acknowledges", Count::publish_sent},
    {"publish.acked", "messages acknowledged to their publisher", Count::publish_sent},
    {"publish.refused", "messages that the broker refused", Count::publish_sent},
    {"publish.unsent",
     "messages that were due while no publisher was connected, or whose publisher had too many unanswered, "
     "or that the generator did not get round to",
     Count::publish_sent},
    {"publish.unanswered", "messages with QoS 1 and 2 that the broker never acknowledged",
     Count::publish_sent},
    {"delivery.expected", "messages owed to subscribers", Count::publish_sent},
    {"delivery.excused",
     "of these, owed no longer: to a connection that ended, with QoS 0 or without a stored session, or to a "
     "session that has expired",
     Count::delivery_expected},
    {"delivery.received", "messages owed that arrived, each once per subscriber", Count::delivery_expected},
    {"delivery.lost", "messages owed and not arrived by the end of the drain, or given up before",
     Count::delivery_expected},
    {"delivery.duplicates", "arrivals of what had arrived before", Count::delivery_expected},
    {"delivery.out_of_order", "arrivals after a later message of the same publisher and topic",
     Count::delivery_expected},
    {"delivery.damaged", "arrivals whose checksum is wrong", Count::delivery_expected},
    {"delivery.unexpected", "arrivals that were not owed to this subscriber", Count::delivery_unexpected},
    {"delivery.foreign", "messages of another run or another sender", Count::delivery_foreign},
    {"reply.expected", "replies waited for", Count::reply_expected},
    {"reply.received", "replies that came in time", Count::reply_expected},
    {"reply.missing", "replies that did not come in time", Count::reply_expected},
}};

constexpr std::array<RatioInfo, kRatios> kRatioInfo = {{
    {"connect.ok_ratio", "of the connections begun", Count::connect_ok, Count::connect_attempts, {}},
    {"publish.ack_ratio", "of the messages sent with QoS 1 and 2", Count::publish_acked, Count::publish_sent,
     Count::publish_sent_qos0},
    {"delivery.ratio", "of the messages owed", Count::delivery_received, Count::delivery_expected,
     Count::delivery_excused},
    {"reply.ratio", "of the replies waited for", Count::reply_received, Count::reply_expected, {}},
}};

template <typename Metric, typename Table>
std::optional<Metric> named(const Table& table, std::string_view name) {
  for (size_t i = 0; i < table.size(); ++i) {
    if (table[i].name == name) return static_cast<Metric>(i);
  }
  return std::nullopt;
}

}  // namespace

const MetricInfo& info(Latency metric) {
  return kLatencyInfo[static_cast<size_t>(metric)];
}
const CountInfo& info(Count metric) {
  return kCountInfo[static_cast<size_t>(metric)];
}
const RatioInfo& info(Ratio metric) {
  return kRatioInfo[static_cast<size_t>(metric)];
}

std::optional<Latency> latency_named(std::string_view name) {
  // The acknowledgement of QoS 1, by the packet's name.
  if (name == "publish.puback") return Latency::publish_ack;
  return named<Latency>(kLatencyInfo, name);
}
std::optional<Count> count_named(std::string_view name) {
  return named<Count>(kCountInfo, name);
}
std::optional<Ratio> ratio_named(std::string_view name) {
  return named<Ratio>(kRatioInfo, name);
}

}  // namespace courier::load
