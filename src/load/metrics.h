// What a load test measures: the names that thresholds, summary, JSON and HTML report use. One table.
//
// Latencies count from the time that something was due, not from when the generator got round to it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace courier::load {

// In seconds; kept as histograms.
enum class Latency : uint8_t {
  connect_tcp,
  connect_connack,
  subscribe_suback,
  publish_ack,
  delivery_e2e,
  delivery_catch_up,
  reply_rtt,
  generator_lag,
};
inline constexpr size_t kLatencies = 8;

enum class Count : uint8_t {
  connect_attempts,
  connect_ok,
  connect_failed,
  connect_refused,
  disconnect_unexpected,
  subscribe_refused,
  publish_sent,
  publish_sent_qos0,
  publish_acked,
  publish_refused,
  publish_unsent,
  publish_unanswered,
  delivery_expected,
  delivery_excused,
  delivery_received,
  delivery_lost,
  delivery_duplicates,
  delivery_out_of_order,
  delivery_damaged,
  delivery_unexpected,
  delivery_foreign,
  reply_expected,
  reply_received,
  reply_missing,
};
inline constexpr size_t kCounts = 24;

// Of two counts.
enum class Ratio : uint8_t { connect_ok_ratio, publish_ack_ratio, delivery_ratio, reply_ratio };
inline constexpr size_t kRatios = 4;

struct MetricInfo {
  std::string_view name, help;
};
const MetricInfo& info(Latency metric);
struct CountInfo {
  std::string_view name, help;
  // What must have happened for a count of none to mean anything: that nothing was lost says nothing where
  // nothing was owed. Itself: it always does.
  Count of;
};
const CountInfo& info(Count metric);
struct RatioInfo {
  std::string_view name, help;
  Count part, whole;
  std::optional<Count> less;  // taken from the whole
};
const RatioInfo& info(Ratio metric);

std::optional<Latency> latency_named(std::string_view name);
std::optional<Count> count_named(std::string_view name);
std::optional<Ratio> ratio_named(std::string_view name);

}  // namespace courier::load
