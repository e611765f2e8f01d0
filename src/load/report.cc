#include "load/report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "load/report_page.h"

namespace courier::load {

namespace {

using Json = nlohmann::ordered_json;

// What the curves of percentiles are drawn through.
constexpr double kCurve[] = {0,     0.1,    0.2,   0.3,    0.4,    0.5,     0.6,    0.7,  0.8,
                             0.85,  0.9,    0.925, 0.95,   0.97,   0.98,    0.985,  0.99, 0.9925,
                             0.995, 0.9975, 0.999, 0.9995, 0.9999, 0.99995, 0.99999};
constexpr Latency kCurves[] = {Latency::delivery_e2e, Latency::publish_ack, Latency::connect_connack,
                               Latency::reply_rtt, Latency::generator_lag};
constexpr size_t kPointsMax = 1'000;

Json quantiles(const Histogram& histogram) {
  if (histogram.count() == 0) return nullptr;
  return {{"p50", histogram.quantile(0.5)},  {"p90", histogram.quantile(0.9)},
          {"p99", histogram.quantile(0.99)}, {"p999", histogram.quantile(0.999)},
          {"max", histogram.max()},          {"mean", histogram.mean()},
          {"count", histogram.count()}};
}

Json point_of(const Second& second, double seconds) {
  const Tally& t = second.tally;
  const auto per_second = [&](Count count) { return static_cast<double>(t[count]) / seconds; };
  return {{"at", second.at},
          {"connected", second.connected},
          {"ready", second.ready},
          {"awaited", second.awaited},
          {"overdue", second.overdue},
          {"connects", per_second(Count::connect_ok)},
          {"connects_failed", per_second(Count::connect_refused) + per_second(Count::connect_failed)},
          {"sent", per_second(Count::publish_sent)},
          {"acked", per_second(Count::publish_acked)},
          {"arrived", per_second(Count::delivery_received)},
          {"replies", per_second(Count::reply_received)},
          {"duplicates", t[Count::delivery_duplicates]},
          {"out_of_order", t[Count::delivery_out_of_order]},
          {"damaged", t[Count::delivery_damaged]},
          {"generator_cpu", second.generator_cpu_seconds / seconds},
          {"delivery", quantiles(t[Latency::delivery_e2e])},
          {"catch_up", quantiles(t[Latency::delivery_catch_up])},
          {"ack", quantiles(t[Latency::publish_ack])},
          {"connack", quantiles(t[Latency::connect_connack])},
          {"lag", quantiles(t[Latency::generator_lag])}};
}

// A long run has more seconds than a plot has room: some in a row become one point.
Json series_of(const RunResult& result) {
  Json series = Json::array();
  const size_t together = (result.series.size() + kPointsMax - 1) / kPointsMax;
  double began = 0;
  for (size_t i = 0; i < result.series.size(); i += together) {
    const size_t end = std::min(i + together, result.series.size());
    Second all = result.series[end - 1];
    for (size_t j = i; j + 1 < end; ++j) {
      all.tally.merge(result.series[j].tally);
      all.generator_cpu_seconds += result.series[j].generator_cpu_seconds;
    }
    // The last one may be a fraction of a second: its rates would be noise.
    const double seconds = all.at - began;
    began = all.at;
    if (seconds < 0.5 && !series.empty()) continue;
    series.push_back(point_of(all, std::max(seconds, 0.001)));
  }
  return series;
}

}  // namespace

std::string to_html(const RunResult& result) {
  Json verdicts = Json::array(), latencies = Json::array(), counts = Json::array(), curves = Json::array(),
       stages = Json::array(), scraped = Json::array();
  for (const Verdict& v : result.verdicts) {
    verdicts.push_back(
        {{"stage", v.stage}, {"condition", v.condition}, {"held", v.held}, {"shown", v.shown}});
  }
  for (size_t i = 0; i < kLatencies; ++i) {
    const auto metric = static_cast<Latency>(i);
    if (result.total[metric].count() == 0) continue;
    Json row = quantiles(result.total[metric]);
    row["name"] = info(metric).name;
    row["help"] = info(metric).help;
    latencies.push_back(std::move(row));
  }
  for (size_t i = 0; i < kCounts; ++i) {
    const auto metric = static_cast<Count>(i);
    if (result.total[metric] == 0) continue;
    Json by_stage = Json::array();
    for (const StageResult& stage : result.stages) by_stage.push_back(stage.tally[metric]);
    counts.push_back({{"name", info(metric).name},
                      {"help", info(metric).help},
                      {"total", result.total[metric]},
                      {"stages", std::move(by_stage)}});
  }
  for (const Latency metric : kCurves) {
    const Histogram& histogram = result.total[metric];
    if (histogram.count() == 0) continue;
    Json points = Json::array();
    for (const double part : kCurve) {
      // No more nines than there were events.
      if (part > 0.5 && (1 - part) * static_cast<double>(histogram.count()) < 0.99) break;
      points.push_back({part, std::max(histogram.quantile(part), 1e-6)});
    }
    curves.push_back({{"name", info(metric).name}, {"points", std::move(points)}});
  }
  for (const StageResult& stage : result.stages) {
    stages.push_back(
        {{"name", stage.name}, {"began", stage.began}, {"ended", stage.ended}, {"trouble", stage.trouble}});
  }
  for (const Scraped& each : result.scraped) {
    const std::string title = each.source.empty() ? each.title : each.title + " (" + each.source + ")";
    scraped.push_back({{"title", title}, {"name", each.name}, {"unit", each.unit}, {"points", each.points}});
  }
  std::vector<std::pair<std::string, uint64_t>> reasons(result.total.reasons.begin(),
                                                        result.total.reasons.end());
  std::stable_sort(reasons.begin(), reasons.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Json vars = Json::array();
  for (const auto& [name, value] : result.vars) vars.push_back({name, value});
  const Json data{{"scenario", result.scenario},
                  {"version", result.version},
                  {"seed", result.seed},
                  {"clients", result.clients},
                  {"workers", result.workers},
                  {"vars", std::move(vars)},
                  {"started_at_ms", result.started_at_ms},
                  {"seconds", result.seconds},
                  {"outcome", name(result.outcome)},
                  {"trouble", result.trouble},
                  {"verdicts", std::move(verdicts)},
                  {"latencies", std::move(latencies)},
                  {"counts", std::move(counts)},
                  {"curves", std::move(curves)},
                  {"stages", std::move(stages)},
                  {"scraped", std::move(scraped)},
                  {"reasons", reasons},
                  {"missing", result.missing},
                  {"lost_unknown", result.lost_unknown},
                  {"series", series_of(result)}};
  std::string text = data.dump(-1, ' ', true, Json::error_handler_t::replace);
  // What brokers and scenarios say must not end the element that it stands in.
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at))
    text.replace(at, 1, "\\u003c");
  std::string page(kReportPage);
  constexpr std::string_view kPlace = "@DATA@";
  page.replace(page.find(kPlace), kPlace.size(), text);
  return page;
}

}  // namespace courier::load
