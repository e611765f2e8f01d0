#include "load/compare.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "load/limits.h"
#include "load/thresholds.h"

namespace courier::load {

namespace {

constexpr double kNoise = 0.001;  // seconds: a difference of less says nothing

constexpr Count kBad[] = {Count::connect_failed,   Count::connect_refused,     Count::disconnect_unexpected,
                          Count::publish_refused,  Count::publish_unsent,      Count::publish_unanswered,
                          Count::delivery_lost,    Count::delivery_duplicates, Count::delivery_out_of_order,
                          Count::delivery_damaged, Count::delivery_unexpected, Count::reply_missing};
// Of these none is ever right.
constexpr Count kFaults[] = {Count::delivery_lost, Count::delivery_out_of_order, Count::delivery_damaged};

std::string latency(double seconds) {
  Threshold as;
  as.metric = "delivery.e2e";
  return format_measure(as, seconds);
}

std::string times(double before, double after) {
  if (before <= 0) return after <= 0 ? "same" : "–";
  return fmt::format("×{:.2f}", after / before);
}

}  // namespace

ResultComparison compare(const RunResult& before, const RunResult& after, double tolerance) {
  ResultComparison out;
  const auto line = [&](const std::string& text) { out.text += shown(text, kShownMessageMax) + "\n"; };
  const auto differs = [&](std::string_view what, const std::string& a, const std::string& b) {
    if (a != b) line(fmt::format("note: {} differs: {} and {}", what, a, b));
  };
  differs("the scenario", before.scenario, after.scenario);
  differs("the seed", std::to_string(before.seed), std::to_string(after.seed));
  differs("the number of clients", std::to_string(before.clients), std::to_string(after.clients));
  differs("the version of courier load", before.version, after.version);
  for (const auto& [name, value] : before.vars) {
    const auto other = std::find_if(after.vars.begin(), after.vars.end(),
                                    [&, &name = name](const auto& v) { return v.first == name; });
    differs("the variable " + name, value, other == after.vars.end() ? "not there" : other->second);
  }
  for (const RunResult* each : {&before, &after}) {
    if (each->outcome == Outcome::invalid || each->outcome == Outcome::interrupted ||
        each->outcome == Outcome::unreachable) {
      line(fmt::format("note: the {} result is {}: {}", each == &before ? "first" : "second",
                       name(each->outcome), each->trouble));
    }
  }
  if (!out.text.empty()) line("");

  line(fmt::format("{:<22}{:>6}{:>12}{:>12}{:>10}", "", "", "before", "after", ""));
  for (size_t i = 0; i < kLatencies; ++i) {
    const auto metric = static_cast<Latency>(i);
    const Histogram &a = before.total[metric], &b = after.total[metric];
    if (a.count() == 0 && b.count() == 0) continue;
    for (const auto& [label, part] : {std::pair{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}}) {
      const double was = a.quantile(part), is = b.quantile(part);
      const bool measured = a.count() > 0 && b.count() > 0;
      // Our own lag is no merit or fault of the broker's.
      const bool worse = measured && part == 0.99 && metric != Latency::generator_lag &&
                         is > was * (1 + tolerance) && is - was > kNoise;
      out.worse = out.worse || worse;
      line(fmt::format("{:<22}{:>6}{:>12}{:>12}{:>10}{}", part == 0.5 ? info(metric).name : "", label,
                       a.count() > 0 ? latency(was) : "–", b.count() > 0 ? latency(is) : "–",
                       measured ? times(was, is) : "–", worse ? "  worse" : ""));
    }
  }
  line("");
  const auto rate = [](const RunResult& run, Count count) {
    return run.seconds > 0 ? static_cast<double>(run.total[count]) / run.seconds : 0;
  };
  for (const Count count :
       {Count::connect_ok, Count::publish_sent, Count::publish_acked, Count::delivery_received}) {
    const double was = rate(before, count), is = rate(after, count);
    if (was > 0 || is > 0) {
      line(fmt::format("{:<22}{:>6}{:>12.1f}{:>12.1f}{:>10}", info(count).name, "/s", was, is,
                       times(was, is)));
    }
  }
  for (const Count count : kBad) {
    const uint64_t was = before.total[count], is = after.total[count];
    if (was == 0 && is == 0) continue;
    const bool worse =
        is > was && std::find(std::begin(kFaults), std::end(kFaults), count) != std::end(kFaults);
    out.worse = out.worse || worse;
    line(fmt::format("{:<28}{:>12}{:>12}{:>10}{}", info(count).name, was, is, "", worse ? "  worse" : ""));
  }
  return out;
}

}  // namespace courier::load
