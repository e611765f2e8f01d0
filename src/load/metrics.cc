#include "load/metrics.h"

namespace courier::load {

namespace {

constexpr std::array<MetricInfo, kLatencies> kLatencyInfo = {{
    {"connect.tcp", "until the connection stood"},
    {"connect.connack", "until CONNACK"},
    {"subscribe.suback", "from SUBSCRIBE until SUBACK"},
    {"publish.ack", "until PUBACK (QoS 1) or PUBCOMP (QoS 2)"},
    {"delivery.e2e", "until the subscriber, which was there, had the message"},
    {"delivery.catch_up", "from a subscriber's return until it had a message that was due while it was away"},
    {"reply.rtt", "until the publisher's side had the reply"},
    {"generator.lag", "how much later than due the generator sent"},
}};

constexpr std::array<MetricInfo, kCounts> kCountInfo = {{
    {"connect.attempts", "connections begun"},
    {"connect.ok", "CONNACK with success"},
    {"connect.failed", "attempts that ended without a CONNACK"},
    {"connect.refused", "CONNACK with another code"},
    {"disconnect.unexpected", "connections that ended and were not meant to"},
    {"subscribe.refused", "filters refused in SUBACK"},
    {"publish.sent", "messages sent"},
    {"publish.acked", "messages acknowledged to their publisher"},
    {"publish.refused", "messages that the broker refused"},
    {"publish.unsent",
     "messages that were due while no publisher was connected, or whose publisher had too many unanswered, "
     "or that the generator did not get round to"},
    {"publish.unanswered", "messages with QoS 1 and 2 that the broker had not acknowledged at the end"},
    {"delivery.expected", "messages owed to subscribers"},
    {"delivery.received", "messages that arrived, each once per subscriber"},
    {"delivery.lost", "messages owed and not arrived by the end of the drain, or given up before"},
    {"delivery.duplicates", "arrivals of what had arrived before"},
    {"delivery.out_of_order", "arrivals after a later message of the same publisher and topic"},
    {"delivery.damaged", "arrivals whose checksum is wrong"},
    {"delivery.unexpected", "arrivals that were not owed to this subscriber"},
    {"delivery.foreign", "messages of another run or another sender"},
    {"reply.expected", "replies waited for"},
    {"reply.received", "replies that came in time"},
    {"reply.missing", "replies that did not come in time"},
}};

constexpr std::array<RatioInfo, kRatios> kRatioInfo = {{
    {"connect.ok_ratio", "of the connections begun", Count::connect_ok, Count::connect_attempts},
    {"publish.ack_ratio", "of the messages sent with QoS 1 and 2", Count::publish_acked, Count::publish_sent},
    {"delivery.ratio", "of the messages owed", Count::delivery_received, Count::delivery_expected},
    {"reply.ratio", "of the replies waited for", Count::reply_received, Count::reply_expected},
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
const MetricInfo& info(Count metric) {
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
