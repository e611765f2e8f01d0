// courier load: plays a scenario against a broker and says what came of it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "courier/command.h"
#include "load/errc.h"
#include "load/metrics.h"
#include "load/run.h"
#include "load/scenario_file.h"

namespace courier::cli {
namespace {

constexpr int kInvalid = 2, kUnreachable = 3;

struct LoadFlags {
  std::string file, json;
  std::vector<std::string> set;
  bool quiet = false;
};

volatile std::sig_atomic_t interrupts = 0;

std::optional<std::string> read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    note("load", fmt::format("{} cannot be read", name));
    return std::nullopt;
  }
  return text.str();
}

// The scenario, when it makes sense; findings go to stderr.
std::optional<load::Scenario> scenario_of(const LoadFlags& flags) {
  const auto text = read_file(flags.file);
  if (!text) return std::nullopt;
  load::Overrides set;
  for (const std::string& each : flags.set) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos) {
      note("load", fmt::format("--set {}: expected NAME=VALUE", each));
      return std::nullopt;
    }
    set.emplace_back(each.substr(0, equals), each.substr(equals + 1));
  }
  load::Findings findings(flags.file, *text);
  auto scenario = load::read_scenario(*text, set, findings);
  if (scenario) load::check_sense(*scenario, findings);
  std::fputs(findings.describe().c_str(), stderr);
  if (findings.has_errors()) return std::nullopt;
  return scenario;
}

std::string progress(const load::Second& second, const load::Conductor& conductor) {
  const auto& stages = conductor.scenario().stages;
  const bool playing =
      conductor.phase() == load::Conductor::Phase::playing && conductor.stage() < stages.size();
  const load::Tally& tally = second.tally;
  return fmt::format("{:>5.0f} s  {:<14.14}  {:>7} connected  {:>7}/s sent  {:>7}/s arrived  p99 {:>6.1f} ms",
                     second.at, playing ? stages[conductor.stage()].name : "the end", second.connected,
                     tally[load::Count::publish_sent], tally[load::Count::delivery_received],
                     tally[load::Latency::delivery_e2e].quantile(0.99) * 1e3);
}

int run(const LoadFlags& flags) {
  const auto scenario = scenario_of(flags);
  if (!scenario) return kInvalid;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  load::RunOptions options;
  if (!flags.quiet) {
    options.on_second = [&](const load::Second& second, const load::Conductor& conductor) {
      fmt::print(stderr, terminal ? "\r\x1b[K{}" : "{}\n", progress(second, conductor));
      std::fflush(stderr);
    };
    options.on_stage = [&](const load::StageResult& stage) {
      fmt::print(stderr, "{}stage {}: {}\n", terminal ? "\r\x1b[K" : "", stage.name,
                 stage.trouble.empty() ? fmt::format("{:.1f} s", stage.ended - stage.began) : stage.trouble);
    };
  }
  std::signal(SIGINT, [](int) { interrupts = interrupts + 1; });
  std::signal(SIGTERM, [](int) { interrupts = interrupts + 1; });
  options.interrupted = [] { return interrupts > 0; };
  auto result = load::run(*scenario, options);
  if (terminal && !flags.quiet) fmt::print(stderr, "\r\x1b[K");
  if (!result) {
    note("load", result.error().message);
    return result.error().code == load::make_error_code(load::errc::invalid_scenario) ? kInvalid
                                                                                      : kUnreachable;
  }
  fmt::print("{}", load::summary(*result));
  const std::string json = flags.json.empty() ? scenario->output.json : flags.json;
  if (!json.empty()) {
    std::ofstream file(json, std::ios::binary);
    file << load::to_json(*result);
    if (!file.flush()) {
      note("load", fmt::format("{} cannot be written", json));
      return kFailure;
    }
    fmt::print(stderr, "figures: {}\n", json);
  }
  return load::exit_code(result->outcome);
}

int check(const LoadFlags& flags) {
  const auto scenario = scenario_of(flags);
  if (!scenario) return kInvalid;
  fmt::print("{}: {} clients in {} groups, {} stages, {} thresholds\n", flags.file, scenario->clients(),
             scenario->groups.size(), scenario->stages.size(), scenario->thresholds.size());
  return kOk;
}

int metrics() {
  fmt::print("Latencies (p50, p99, p99.9, max, mean; durations):\n");
  for (size_t i = 0; i < load::kLatencies; ++i) {
    const auto& info = load::info(static_cast<load::Latency>(i));
    fmt::print("  {:<24} {}\n", info.name, info.help);
  }
  fmt::print("\nCounts:\n");
  for (size_t i = 0; i < load::kCounts; ++i) {
    const auto& info = load::info(static_cast<load::Count>(i));
    fmt::print("  {:<24} {}\n", info.name, info.help);
  }
  fmt::print("\nRatios (shares, 99.9%):\n");
  for (size_t i = 0; i < load::kRatios; ++i) {
    const auto& info = load::info(static_cast<load::Ratio>(i));
    fmt::print("  {:<24} {}\n", info.name, info.help);
  }
  return kOk;
}

}  // namespace

Run set_up_load(CLI::App& app) {
  auto flags = std::make_shared<LoadFlags>();
  app.require_subcommand(1);
  app.footer("Example:\n  courier load run scenarios/steady.yaml --set phones=500");
  const auto scenario_flags = [&](CLI::App* command) {
    command->set_help_flag("--help,-h", "Show this help and exit");
    command->add_option("FILE", flags->file, "The scenario")->required();
    command->add_option("--set", flags->set, "Change a variable of the scenario's")->type_name("NAME=VALUE");
  };
  CLI::App* run_command = app.add_subcommand("run", "Play a scenario");
  scenario_flags(run_command);
  run_command->add_option("--json", flags->json, "Write everything that was measured")->type_name("FILE");
  run_command->add_flag("-q,--quiet", flags->quiet, "Show no progress");
  run_command->footer(
      "Exit codes: 0 everything held, 99 a threshold did not, 2 the scenario makes no sense,\n"
      "3 the broker cannot be reached, 4 this machine was too slow, 130 interrupted.\n\n"
      "Example:\n  courier load run storm.yaml --set drivers=2000");
  CLI::App* check_command =
      app.add_subcommand("check", "Say whether a scenario makes sense; connects nowhere");
  scenario_flags(check_command);
  check_command->footer("Example:\n  courier load check storm.yaml");
  CLI::App* schema_command =
      app.add_subcommand("schema", "Print the JSON Schema of scenarios, for completion in editors");
  schema_command->set_help_flag("--help,-h", "Show this help and exit");
  schema_command->footer("Example:\n  courier load schema > scenario.schema.json");
  CLI::App* metrics_command = app.add_subcommand("metrics", "List what thresholds can look at");
  metrics_command->set_help_flag("--help,-h", "Show this help and exit");
  metrics_command->footer("Example:\n  courier load metrics");
  return [=] {
    if (run_command->parsed()) return run(*flags);
    if (check_command->parsed()) return check(*flags);
    if (metrics_command->parsed()) return metrics();
    fmt::print("{}", load::scenario_schema());
    return static_cast<int>(kOk);
  };
}

}  // namespace courier::cli
