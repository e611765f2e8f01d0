#include "load/result.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "load/errc.h"
#include "load/thresholds.h"

namespace courier::load {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kResultFormat = 1;
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

bool read(const Json& json, Histogram& into) {
  std::vector<Histogram::Bucket> buckets;
  for (const Json& each : json.at("buckets")) {
    buckets.push_back({each.at(0).get<uint32_t>(), each.at(1).get<uint64_t>()});
  }
  return into.restore(buckets, json.at("max_ns").get<int64_t>(), json.at("sum_ns").get<double>());
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

bool read(const Json& json, Tally& into) {
  for (const auto& [name, value] : json.at("latencies").items()) {
    const auto metric = latency_named(name);
    if (!metric || !read(value, into[*metric])) return false;
  }
  for (const auto& [name, value] : json.at("counts").items()) {
    const auto metric = count_named(name);
    if (!metric) return false;
    into[*metric] = value.get<uint64_t>();
  }
  for (const auto& [words, times] : json.at("reasons").items()) into.add_reason(words, times.get<uint64_t>());
  return true;
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

Result<RunResult> from_json(std::string_view text) {
  const auto wrong = [](std::string why) {
    return fail(errc::bad_report, "this is not a result of courier load: " + std::move(why));
  };
  // A json library that throws: everything it may say ends here.
  try {
    const Json json = Json::parse(text);
    if (json.at("courier_load_result").get<int>() != kResultFormat) {
      return wrong(fmt::format("its format is {}, and this program reads {}",
                               json.at("courier_load_result").get<int>(), kResultFormat));
    }
    RunResult result;
    json.at("scenario").get_to(result.scenario);
    json.at("version").get_to(result.version);
    json.at("seed").get_to(result.seed);
    json.at("clients").get_to(result.clients);
    json.at("workers").get_to(result.workers);
    for (const auto& [name, value] : json.at("vars").items())
      result.vars.emplace_back(name, value.get<std::string>());
    json.at("started_at_ms").get_to(result.started_at_ms);
    json.at("seconds").get_to(result.seconds);
    json.at("trouble").get_to(result.trouble);
    json.at("notes").get_to(result.notes);
    json.at("missing").get_to(result.missing);
    json.at("lost_unknown").get_to(result.lost_unknown);
    const auto outcome = json.at("outcome").get<std::string>();
    const auto known =
        std::find_if(kOutcomes.begin(), kOutcomes.end(), [&](Outcome o) { return name(o) == outcome; });
    if (known == kOutcomes.end()) return wrong(fmt::format("there is no outcome \"{}\"", outcome));
    result.outcome = *known;
    for (const Json& each : json.at("stages")) {
      StageResult stage{.name = each.at("name").get<std::string>(),
                        .began = each.at("began").get<double>(),
                        .ended = each.at("ended").get<double>(),
                        .tally = {},
                        .trouble = each.at("trouble").get<std::string>()};
      if (!read(each.at("tally"), stage.tally)) return wrong("a stage's figures cannot be");
      result.stages.push_back(std::move(stage));
    }
    for (const Json& each : json.at("series")) {
      Second second{.at = each.at("at").get<double>(),
                    .stage = each.at("stage").get<size_t>(),
                    .connected = each.at("connected").get<uint64_t>(),
                    .ready = each.at("ready").get<uint64_t>(),
                    .awaited = each.at("awaited").get<uint64_t>(),
                    .overdue = each.at("overdue").get<uint64_t>(),
                    .generator_cpu_seconds = each.at("generator_cpu_seconds").get<double>(),
                    .tally = {}};
      if (!read(each.at("tally"), second.tally)) return wrong("a second's figures cannot be");
      result.series.push_back(std::move(second));
    }
    for (const Json& each : json.at("verdicts")) {
      result.verdicts.push_back({.stage = each.at("stage").get<std::string>(),
                                 .condition = each.at("condition").get<std::string>(),
                                 .held = each.at("held").get<bool>(),
                                 .judged = each.at("judged").get<bool>(),
                                 .value = each.at("value").get<double>(),
                                 .shown = each.at("shown").get<std::string>()});
    }
    for (const Json& each : json.at("scraped")) {
      Scraped scraped;
      each.at("source").get_to(scraped.source);
      each.at("name").get_to(scraped.name);
      each.at("title").get_to(scraped.title);
      each.at("unit").get_to(scraped.unit);
      each.at("points").get_to(scraped.points);
      result.scraped.push_back(std::move(scraped));
    }
    if (!read(json.at("total"), result.total)) return wrong("its figures cannot be");
    return result;
  } catch (const Json::exception& bad) {
    return wrong(bad.what());
  }
}

std::string summary(const RunResult& result) {
  std::string out;
  const auto line = [&](const std::string& text) { out += text + "\n"; };
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
    std::string text = fmt::format("{:<12}", title);
    bool any = false;
    for (const auto& [words, value] : all) {
      any = any || value > 0;
      text += fmt::format("{}{} {}", text.size() > 12 ? ", " : "", words, value);
    }
    if (any) line(text);
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
  counts("delivered", {{"owed", total[Count::delivery_expected]},
                       {"arrived", total[Count::delivery_received]},
                       {"lost", total[Count::delivery_lost]},
                       {"duplicates", total[Count::delivery_duplicates]},
                       {"out of order", total[Count::delivery_out_of_order]},
                       {"damaged", total[Count::delivery_damaged]},
                       {"not owed", total[Count::delivery_unexpected]}});
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
