#include "load/thresholds.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "config/quantity.h"
#include "load/errc.h"
#include "load/limits.h"
#include "load/metrics.h"
#include "load/scenario_sections.h"

namespace courier::load {

namespace {

using YAML::Node;

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (size_t i = 0; i < kLatencies; ++i) names.emplace_back(info(static_cast<Latency>(i)).name);
  for (size_t i = 0; i < kCounts; ++i) names.emplace_back(info(static_cast<Count>(i)).name);
  for (size_t i = 0; i < kRatios; ++i) names.emplace_back(info(static_cast<Ratio>(i)).name);
  return names;
}

std::optional<double> plain_number(std::string_view text) {
  double value = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (bad != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string_view word(std::string_view& rest) {
  const size_t begin = rest.find_first_not_of(' ');
  if (begin == std::string_view::npos) return rest = {};
  const size_t end = std::min(rest.find(' ', begin), rest.size());
  const std::string_view found = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return found;
}

std::optional<Comparison> comparison_named(std::string_view text) {
  if (text == "<") return Comparison::less;
  if (text == "<=") return Comparison::less_equal;
  if (text == ">") return Comparison::greater;
  if (text == ">=") return Comparison::greater_equal;
  if (text == "==") return Comparison::equal;
  return std::nullopt;
}

const Section<Threshold>& threshold_section() {
  static const Section<Threshold> section(
      "a threshold", "threshold",
      {{{"check", "the condition: delivery.e2e p99 < 250ms", &type::comparison, nullptr, false, true},
        [](YamlReader& r, const Node& n, Threshold& t) {
          const auto text = r.name(n, type::comparison);
          if (!text) return;
          if (auto parsed = parse_condition(*text, t); !parsed) r.error(n, parsed.error().message);
        }},
       {{"abort", "true: the run ends as soon as it is broken", &type::flag},
        [](YamlReader& r, const Node& n, Threshold& t) {
          if (const auto flag = r.flag(n)) t.abort = *flag;
        }},
       {{"grace", "but only once it was broken for so long", &type::duration},
        [](YamlReader& r, const Node& n, Threshold& t) {
          if (const auto ms = r.duration_ms(n)) t.grace_ms = *ms;
        }}});
  return section;
}

}  // namespace

Result<void> parse_condition(std::string_view text, Threshold& into) {
  std::string_view rest = text;
  const std::string_view metric = word(rest);
  const auto latency = latency_named(metric);
  const auto ratio = ratio_named(metric);
  if (!latency && !ratio && !count_named(metric)) {
    const std::string near = did_you_mean(metric, metric_names());
    return fail(errc::invalid_scenario,
                fmt::format("there is no metric \"{}\"{}", shown(metric, kShownWordMax),
                            near.empty() ? "; `courier load metrics` lists them" : near));
  }
  std::string_view statistic, comparison = word(rest);
  if (latency) {
    statistic = comparison;
    comparison = word(rest);
    if (!statistic_named(statistic)) {
      return fail(
          errc::invalid_scenario,
          fmt::format("{} is a latency: say which, p50, p99, p99.9, max or mean, as in \"{} p99 < 250ms\"",
                      metric, metric));
    }
  }
  const auto parsed = comparison_named(comparison);
  if (!parsed) {
    return fail(errc::invalid_scenario,
                fmt::format("expected <, <=, >, >= or == after \"{}\", and not \"{}\"",
                            text.substr(0, static_cast<size_t>(comparison.data() - text.data())),
                            shown(comparison, kShownWordMax)));
  }
  const std::string_view written = word(rest);
  if (!word(rest).empty()) {
    return fail(errc::invalid_scenario, fmt::format("nothing may follow \"{}\"", written));
  }
  std::optional<double> limit;
  if (latency) {
    // A bare number would be seconds to us and milliseconds to most people.
    if (!plain_number(written)) {
      if (const auto ms = config::parse_duration_ms(written)) limit = static_cast<double>(*ms) / 1e3;
    }
  } else if (ratio) {
    limit = parse_share(written);
    if (!limit) {
      limit = plain_number(written);
      if (limit && (*limit < 0 || *limit > 1)) limit.reset();
    }
  } else {
    limit = plain_number(written);
    if (limit && *limit < 0) limit.reset();
  }
  if (!limit) {
    return fail(errc::invalid_scenario, fmt::format("expected {} after \"{}\", and not \"{}\"",
                                                    latency ? "a duration such as 250ms"
                                                    : ratio ? "a share such as 99.9%"
                                                            : "a number",
                                                    comparison, shown(written, kShownWordMax)));
  }
  into.metric = metric;
  into.statistic = statistic;
  into.comparison = *parsed;
  into.limit = *limit;
  into.text = text;
  return {};
}

bool holds(Comparison comparison, double value, double limit) {
  switch (comparison) {
    case Comparison::less:
      return value < limit;
    case Comparison::less_equal:
      return value <= limit;
    case Comparison::greater:
      return value > limit;
    case Comparison::greater_equal:
      return value >= limit;
    case Comparison::equal:
      return value == limit;
  }
  return false;
}

std::string format_measure(const Threshold& threshold, double value) {
  if (latency_named(threshold.metric)) {
    if (value >= 10) return fmt::format("{:.1f}s", value);
    if (value >= 1) return fmt::format("{:.2f}s", value);
    if (value >= 0.01) return fmt::format("{:.0f}ms", value * 1e3);
    if (value >= 1e-4 || value == 0) return fmt::format("{:.2f}ms", value * 1e3);
    return fmt::format("{:.0f}µs", value * 1e6);
  }
  if (ratio_named(threshold.metric)) return fmt::format("{:.5g}%", value * 100);
  return fmt::format("{:.0f}", value);
}

std::optional<Statistic> statistic_named(std::string_view name) {
  if (name == "max") return Statistic{false, 1};
  if (name == "mean") return Statistic{true, 0};
  if (!name.starts_with('p')) return std::nullopt;
  const auto percent = plain_number(name.substr(1));
  if (!percent || *percent <= 0 || *percent > 100) return std::nullopt;
  return Statistic{false, *percent / 100};
}

const SectionInfo& threshold_info() {
  return threshold_section().info();
}

void read_thresholds(YamlReader& reader, const Node& node, Draft& draft) {
  reader.each(node, kThresholdsMax, [&](const Node& item) {
    if (!item.IsMap() || item.size() != 1) {
      return reader.error(item, "expected one condition: - orders: delivery.e2e p99 < 250ms");
    }
    const auto entry = *item.begin();
    const auto stage = reader.text(entry.first);
    if (!stage) return;
    Threshold threshold;
    threshold.place = YamlReader::place_of(entry.first);
    if (*stage != "all") {
      threshold.stage = draft.stage(*stage);
      if (!threshold.stage) {
        std::vector<std::string> known{"all"};
        for (const Stage& each : draft.scenario.stages) known.push_back(each.name);
        return reader.error(entry.first,
                            fmt::format("there is no stage \"{}\"{}", shown(*stage, kShownWordMax),
                                        did_you_mean(*stage, known)));
      }
    }
    if (entry.second.IsMap()) {
      threshold_section().read(reader, entry.second, threshold);
    } else {
      const auto text = reader.name(entry.second, type::comparison);
      if (!text) return;
      if (auto parsed = parse_condition(*text, threshold); !parsed) {
        return reader.error(entry.second, parsed.error().message);
      }
    }
    draft.scenario.thresholds.push_back(std::move(threshold));
  });
}

}  // namespace courier::load
