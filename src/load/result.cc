#include "load/result.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/shown_text.h"
#include "load/errc.h"
#include "load/json_field.h"
#include "load/limits.h"
#include "load/thresholds.h"

namespace courier::load {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kResultFormat = 1;
constexpr double kShownQuantiles[] = {0.5, 0.9, 0.99, 0.999};

constexpr std::array<Outcome, 5> kOutcomes = {Outcome::passed, Outcome::failed, Outcome::invalid,
                                              Outcome::unreachable, Outcome::interrupted};

Json json_of(const Histogram& histogram) {
  Json buckets = Json::array();
  for (const Histogram::Bucket& bucket : histogram.buckets()) buckets.push_back({bucket.index, bucket.times});
  Json out{{"count", histogram.count()}, {"max", histogram.max()}, {"mean", histogram.mean()}};
  for (const double part : kShownQuantiles) out[fmt::format("p{:g}", part * 100)] = histogram.quantile(part);
  out["max_ns"] = histogram.max_ns();
  out["sum_ns"] = histogram.sum_ns();
  out["buckets"] = std::move(buckets);
  return out;
}

// What no run can come to: more than these is refused, so that sums of them do not overflow.
constexpr uint64_t kTimesMax = 1'000'000'000'000'000;
constexpr double kSecondsMax = 1e11;
constexpr size_t kColumns = 80;  // of a summary
constexpr size_t kSeriesMax = 40'000'000;
constexpr size_t kLinesMax = 10'000;
constexpr size_t kBucketsMax = 10'000;
constexpr size_t kPlotsMax = 100'000;

void read(const JsonField& field, Histogram& into) {
  std::vector<Histogram::Bucket> buckets;
  field.at("buckets").each(kBucketsMax, [&](const JsonField& each) {
    uint64_t pair[2]{};
    size_t read = 0;
    each.each(2, [&](const JsonField& number) { pair[read++] = number.count(0, kTimesMax); });
    if (read != 2 || pair[0] > kBucketsMax) return each.wrong("no bucket and how often");
    buckets.push_back({static_cast<uint32_t>(pair[0]), pair[1]});
  });
  const auto max_ns = static_cast<int64_t>(field.at("max_ns").count(0, INT64_MAX));
  const double sum_ns = field.at("sum_ns").number(0, 1e30);
  if (field.ok() && !into.restore(buckets, max_ns, sum_ns)) field.wrong("times that cannot be");
}

Json json_of(const Tally& tally) {
  Json latencies = Json::object(), counts = Json::object(), reasons = Json::object();
  for (size_t i = 0; i < kLatencies; ++i) {
    const Histogram& histogram = tally.latencies[i];
    if (histogram.count() > 0)
      latencies[std::string(info(static_cast<Latency>(i)).name)] = json_of(histogram);
  }
  for (size_t i = 0; i < kCounts; ++i) {
    if (tally.counts[i] > 0) counts[std::string(info(static_cast<Count>(i)).name)] = tally.counts[i];
  }
  for (const auto& [words, times] : tally.reasons) reasons[words] = times;
  return {
      {"latencies", std::move(latencies)}, {"counts", std::move(counts)}, {"reasons", std::move(reasons)}};
}

void read(const JsonField& field, Tally& into) {
  field.at("latencies").entries(kLatencies, [&](const std::string& name, const JsonField& value) {
    const auto metric = latency_named(name);
    metric ? read(value, into[*metric]) : value.wrong("there is no such latency");
  });
  field.at("counts").entries(kCounts, [&](const std::string& name, const JsonField& value) {
    const auto metric = count_named(name);
    if (!metric) return value.wrong("there is no such count");
    into[*metric] = value.count(0, kTimesMax);
  });
  field.at("reasons").entries(kReasonsMax + 1, [&](const std::string& words, const JsonField& value) {
    into.add_reason(words, value.count(0, kTimesMax));
  });
}

std::string duration(double seconds) {
  if (seconds >= 120)
    return fmt::format("{:.0f} min {:.0f} s", std::floor(seconds / 60), std::fmod(seconds, 60));
  return fmt::format("{:.1f} s", seconds);
}

std::string latency(double seconds) {
  Threshold as;
  as.metric = "delivery.e2e";
  return format_measure(as, seconds);
}

}  // namespace

int exit_code(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return 0;
    case Outcome::failed:
      return 99;
    case Outcome::invalid:
      return 4;
    case Outcome::unreachable:
      return 3;
    case Outcome::interrupted:
      return 130;
  }
  return 1;
}

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "passed";
    case Outcome::failed:
      return "failed";
    case Outcome::invalid:
      return "invalid";
    case Outcome::unreachable:
      return "unreachable";
    case Outcome::interrupted:
      return "interrupted";
  }
  return "?";
}

std::string to_json(const RunResult& result) {
  Json vars = Json::object(), stages = Json::array(), series = Json::array(), verdicts = Json::array(),
       scraped = Json::array();
  for (const auto& [name, value] : result.vars) vars[name] = value;
  for (const StageResult& stage : result.stages) {
    stages.push_back({{"name", stage.name},
                      {"began", stage.began},
                      {"ended", stage.ended},
                      {"trouble", stage.trouble},
                      {"tally", json_of(stage.tally)}});
  }
  for (const Second& second : result.series) {
    series.push_back({{"at", second.at},
                      {"stage", second.stage},
                      {"connected", second.connected},
                      {"ready", second.ready},
                      {"awaited", second.awaited},
                      {"overdue", second.overdue},
                      {"generator_cpu_seconds", second.generator_cpu_seconds},
                      {"tally", json_of(second.tally)}});
  }
  for (const Verdict& verdict : result.verdicts) {
    verdicts.push_back({{"stage", verdict.stage},
                        {"condition", verdict.condition},
                        {"held", verdict.held},
                        {"judged", verdict.judged},
                        {"value", verdict.value},
                        {"shown", verdict.shown}});
  }
  for (const Scraped& each : result.scraped) {
    scraped.push_back({{"source", each.source},
                       {"name", each.name},
                       {"title", each.title},
                       {"unit", each.unit},
                       {"points", each.points}});
  }
  const Json out{{"courier_load_result", kResultFormat},
                 {"scenario", result.scenario},
                 {"version", result.version},
                 {"seed", result.seed},
                 {"clients", result.clients},
                 {"workers", result.workers},
                 {"vars", vars},
                 {"started_at_ms", result.started_at_ms},
                 {"seconds", result.seconds},
                 {"outcome", name(result.outcome)},
                 {"trouble", result.trouble},
                 {"verdicts", verdicts},
                 {"stages", stages},
                 {"total", json_of(result.total)},
                 {"notes", result.notes},
                 {"missing", result.missing},
                 {"lost_unknown", result.lost_unknown},
                 {"scraped", scraped},
                 {"series", series}};
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

Outcome outcome_of(const JsonField& field) {
  const std::string text = field.text();
  const auto known =
      std::find_if(kOutcomes.begin(), kOutcomes.end(), [&](Outcome o) { return name(o) == text; });
  if (known != kOutcomes.end()) return *known;
  field.wrong(fmt::format("there is no outcome \"{}\"", shown(text, kShownWordMax)));
  return {};
}

// In the order in which to_json() writes them.
RunResult result_of(const JsonField& json) {
  RunResult result;
  result.scenario = json.at("scenario").text();
  result.version = json.at("version").text();
  result.seed = json.at("seed").count(0, UINT64_MAX);
  result.clients = json.at("clients").count(0, kClientsMax * kGroupsMax);
  result.workers = json.at("workers").count(1, kWorkersMax);
  json.at("vars").entries(kVarsMax, [&](const std::string& name, const JsonField& value) {
    result.vars.emplace_back(name, value.text());
  });
  result.started_at_ms = static_cast<int64_t>(json.at("started_at_ms").count(0, kTimesMax));
  result.seconds = json.at("seconds").number(0, kSecondsMax);
  result.outcome = outcome_of(json.at("outcome"));
  result.trouble = json.at("trouble").text();
  json.at("verdicts").each(kThresholdsMax, [&](const JsonField& each) {
    result.verdicts.push_back({.stage = each.at("stage").text(),
                               .condition = each.at("condition").text(),
                               .held = each.at("held").flag(),
                               .judged = each.at("judged").flag(),
                               .value = each.at("value").number(0, 1e30),
                               .shown = each.at("shown").text()});
  });
  json.at("stages").each(kStagesMax, [&](const JsonField& each) {
    StageResult& stage = result.stages.emplace_back();
    stage.name = each.at("name").text();
    stage.began = each.at("began").number(0, kSecondsMax);
    stage.ended = each.at("ended").number(0, kSecondsMax);
    stage.trouble = each.at("trouble").text();
    read(each.at("tally"), stage.tally);
  });
  read(json.at("total"), result.total);
  const auto lines = [&](std::string_view key, std::vector<std::string>& into) {
    json.at(key).each(kLinesMax, [&](const JsonField& each) { into.push_back(each.text()); });
  };
  lines("notes", result.notes);
  lines("missing", result.missing);
  result.lost_unknown = json.at("lost_unknown").count(0, kTimesMax);
  json.at("scraped").each(kPlotsMax, [&](const JsonField& each) {
    Scraped& scraped = result.scraped.emplace_back();
    scraped.source = each.at("source").text();
    scraped.name = each.at("name").text();
    scraped.title = each.at("title").text();
    scraped.unit = each.at("unit").text();
    each.at("points").each(kSeriesMax, [&](const JsonField& point) {
      double pair[2]{};
      size_t read = 0;
      point.each(2, [&](const JsonField& number) { pair[read++] = number.number(-1e300, 1e300); });
      if (read != 2) return point.wrong("no time and value");
      scraped.points.emplace_back(pair[0], pair[1]);
    });
  });
  json.at("series").each(kSeriesMax, [&](const JsonField& each) {
    Second& second = result.series.emplace_back();
    second.at = each.at("at").number(0, kSecondsMax);
    second.stage = each.at("stage").count(0, result.stages.size());  // that many: the end
    second.connected = each.at("connected").count(0, kTimesMax);
    second.ready = each.at("ready").count(0, kTimesMax);
    second.awaited = each.at("awaited").count(0, kTimesMax);
    second.overdue = each.at("overdue").count(0, kTimesMax);
    second.generator_cpu_seconds = each.at("generator_cpu_seconds").number(0, kSecondsMax);
    read(each.at("tally"), second.tally);
  });
  return result;
}

}  // namespace

Result<RunResult> from_json(std::string_view text) {
  std::string trouble;
  // A json library that throws: everything it may say ends here.
  try {
    const Json document = Json::parse(text);
    const JsonField json(document, trouble);
    const uint64_t format = json.at("courier_load_result").count(0, UINT32_MAX);
    if (json.ok() && format != kResultFormat) {
      trouble = fmt::format("its format is {}, and this program reads {}", format, kResultFormat);
    }
    if (json.ok()) {
      RunResult result = result_of(json);
      if (json.ok()) return result;
    }
  } catch (const Json::exception& bad) {
    trouble = shown(bad.what(), kShownMessageMax);
  }
  return fail(errc::bad_report, "this is not a result of courier load: " + trouble);
}

std::string summary(const RunResult& result) {
  std::string out;
  const auto line = [&](const std::string& text) { out += shown(text) + "\n"; };
  const Tally& total = result.total;
  line(fmt::format("{}: {} clients, {}", result.scenario, result.clients, duration(result.seconds)));
  line("");
  line(fmt::format("{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "count", "p50", "p99", "p99.9", "max"));
  for (size_t i = 0; i < kLatencies; ++i) {
    const Histogram& histogram = total.latencies[i];
    if (histogram.count() == 0) continue;
    line(fmt::format("{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}", info(static_cast<Latency>(i)).name,
                     histogram.count(), latency(histogram.quantile(0.5)), latency(histogram.quantile(0.99)),
                     latency(histogram.quantile(0.999)), latency(histogram.max())));
  }
  line("");
  const auto counts = [&](std::string_view title,
                          std::initializer_list<std::pair<std::string_view, uint64_t>> all) {
    if (std::all_of(all.begin(), all.end(), [](const auto& each) { return each.second == 0; })) return;
    std::string text = fmt::format("{:<11}", title);
    for (auto each = all.begin(); each != all.end(); ++each) {
      const std::string piece =
          fmt::format(" {} {}{}", each->first, each->second, each + 1 == all.end() ? "" : ",");
      if (text.size() + piece.size() > kColumns) line(std::exchange(text, std::string(11, ' ')));
      text += piece;
    }
    line(text);
  };
  counts("connections", {{"made", total[Count::connect_ok]},
                         {"refused", total[Count::connect_refused]},
                         {"failed", total[Count::connect_failed]},
                         {"lost", total[Count::disconnect_unexpected]}});
  counts("published", {{"sent", total[Count::publish_sent]},
                       {"acknowledged", total[Count::publish_acked]},
                       {"refused", total[Count::publish_refused]},
                       {"not sent", total[Count::publish_unsent]},
                       {"unanswered", total[Count::publish_unanswered]}});
  counts("delivered", {{"owed", total.whole(Ratio::delivery_ratio)},
                       {"arrived", total[Count::delivery_received]},
                       {"lost", total[Count::delivery_lost]},
                       {"owed no longer", total[Count::delivery_excused]},
                       {"duplicates", total[Count::delivery_duplicates]},
                       {"out of order", total[Count::delivery_out_of_order]},
                       {"damaged", total[Count::delivery_damaged]},
                       {"not owed", total[Count::delivery_unexpected]},
                       {"of others", total[Count::delivery_foreign]}});
  counts("replies", {{"awaited", total[Count::reply_expected]},
                     {"in time", total[Count::reply_received]},
                     {"missing", total[Count::reply_missing]}});
  if (result.lost_unknown > 0) {
    line(fmt::format("            {} more are owed to clients that were away at the end",
                     result.lost_unknown));
  }
  if (!total.reasons.empty()) {
    std::vector<std::pair<uint64_t, std::string>> most;
    for (const auto& [words, times] : total.reasons) most.emplace_back(times, words);
    std::sort(most.rbegin(), most.rend());
    line("");
    for (size_t i = 0; i < std::min<size_t>(most.size(), 8); ++i) {
      line(fmt::format("{:>8} × {}", most[i].first, most[i].second));
    }
  }
  for (const std::string& each : result.missing) line("  lost: " + each);
  for (const std::string& each : result.notes) line("  note: " + each);
  if (!result.verdicts.empty()) {
    line("");
    for (const Verdict& verdict : result.verdicts) {
      line(fmt::format("{} {}: {}   ({})", verdict.held ? "ok  " : "FAIL", verdict.stage, verdict.condition,
                       verdict.shown));
    }
  }
  line("");
  line(result.trouble.empty() ? std::string(name(result.outcome))
                              : fmt::format("{}: {}", name(result.outcome), result.trouble));
  return out;
}

}  // namespace courier::load
