// What must hold for a run to pass: "orders: delivery.e2e p99 < 250ms". Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "load/scenario.h"

namespace courier::load {

// Reads "METRIC [STATISTIC] COMPARISON LIMIT" into metric, statistic, comparison, limit and text; the rest of
// the threshold stays. errc::invalid_scenario says what is wrong.
Result<void> parse_condition(std::string_view text, Threshold& into);

bool holds(Comparison comparison, double value, double limit);
// The limit, or a measured value, as a person writes it: "250ms", "99.9%", "0".
std::string format_measure(const Threshold& threshold, double value);
// Of a latency: p50, p99.9, max, mean. nullopt: there is no such statistic. max is 1.
struct Statistic {
  bool mean = false;
  double quantile = 0;
};
std::optional<Statistic> statistic_named(std::string_view name);

}  // namespace courier::load
