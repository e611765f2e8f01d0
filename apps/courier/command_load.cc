// courier load: plays a scenario against a broker and says what came of it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <fmt/format.h>

#include "courier/command.h"
#include "courier/load_command.h"
#include "load/agent.h"
#include "load/errc.h"
#include "load/estimate.h"
#include "load/limits.h"
#include "load/metrics.h"
#include "load/worker_session.h"

namespace courier::cli {
namespace {

struct LoadFlags {
  Play play;
  std::string file;
  std::string listen = "127.0.0.1:7070";
};

int run(const LoadFlags& flags) {
  const auto text = read_text_file("load", flags.file, load::kScenarioBytesMax);
  if (!text) return kScenarioInvalid;
  return play(flags.file, *text, flags.play);
}

int check(const LoadFlags& flags) {
  const auto text = read_text_file("load", flags.file, load::kScenarioBytesMax);
  if (!text) return kScenarioInvalid;
  const auto read = read_scenario(flags.file, *text, flags.play.set);
  if (!read) return kScenarioInvalid;
  fmt::print("{}: {} clients in {} groups, {} stages, {} thresholds\n\n{}", flags.file,
             read->scenario.clients(), read->scenario.groups.size(), read->scenario.stages.size(),
             read->scenario.thresholds.size(), load::estimate(read->scenario));
  std::set<std::string> said;
  for (const load::Group& group : read->scenario.groups) {
    if (!group.jwt || std::getenv(group.jwt->key_env.c_str()) != nullptr) continue;
    if (!said.insert(group.jwt->key_env).second) continue;
    // It may be set where the scenario will run.
    note(
        "load",
        fmt::format("to run it, set the environment variable {}, the key of group \"{}\"; here it is not set",
                    group.jwt->key_env, group.name));
  }
  return kOk;
}

int agent(const LoadFlags& flags) {
  const auto address = net::SocketAddress::parse(flags.listen);
  if (!address) {
    note("load", fmt::format("--listen {}: {}", flags.listen, address.error().message));
    return kUsage;
  }
  if (load_token().empty() && !address->is_loopback()) {
    note("load", fmt::format("an agent connects to wherever it is told to: give it a token that leaders must "
                             "know, in the environment variable {}",
                             kLoadTokenVariable));
    return kUsage;
  }
  watch_interrupts();
  const auto ended = load::run_agent({.listen = *address,
                                      .program = "/proc/self/exe",
                                      .stopped = interrupted,
                                      .say = [](const std::string& line) { note("load agent", line); }});
  if (ended) return kOk;
  note("load agent", ended.error().message);
  return kFailure;
}

// What `run` and agents start; the leader is on standard input.
int worker() {
  const auto served =
      load::serve_leader(net::Fd(STDIN_FILENO),
                         {.token = load_token(), .version = COURIER_VERSION, .transports = load_transport});
  if (served) return kOk;
  note("load worker", served.error().message);
  return kFailure;
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
  app.footer(
      "Examples:\n  courier load quick p2p --count 1000 --rate 5000\n"
      "  courier load run scenarios/morning-storm.yaml --set drivers=2000\n\n"
      "docs/load-testing.md teaches the format of scenarios.");
  const auto with_help = [](CLI::App* command) {
    command->set_help_flag("--help,-h", "Show this help and exit");
    return command;
  };
  const auto scenario_flags = [&](CLI::App* command) {
    command->add_option("FILE", flags->file, "The scenario")->required();
    command->add_option("--set", flags->play.set, "Change a variable of the scenario's")
        ->type_name("NAME=VALUE");
  };
  CLI::App* run_command = with_help(app.add_subcommand("run", "Play a scenario"));
  scenario_flags(run_command);
  add_play_flags(*run_command, flags->play);
  run_command->footer(std::string(kLoadExitCodes) +
                      "\nExample:\n  courier load run storm.yaml --set drivers=2000 --html storm.html");
  CLI::App* check_command = with_help(app.add_subcommand(
      "check", "Say whether a scenario makes sense and what it will cost; connects nowhere"));
  scenario_flags(check_command);
  check_command->footer("Example:\n  courier load check storm.yaml");
  const Run quick = set_up_load_quick(
      *with_help(app.add_subcommand("quick", "Usual tests by a few flags, without a file")));
  CLI::App* compare_command = with_help(app.add_subcommand("compare", "Show two results beside each other"));
  const Run compare = set_up_load_compare(*compare_command);
  CLI::App* report_command = with_help(app.add_subcommand("report", "Make the HTML report of a result"));
  const Run report = set_up_load_report(*report_command);
  CLI::App* agent_command =
      with_help(app.add_subcommand("agent", "Lend this machine to load tests that are led from elsewhere"));
  agent_command->add_option("--listen", flags->listen, "Where leaders come to")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  agent_command->footer(
      "Leaders must know the token in the environment variable COURIER_LOAD_TOKEN.\n\n"
      "Example:\n  COURIER_LOAD_TOKEN=... courier load agent --listen 0.0.0.0:7070\n"
      "  COURIER_LOAD_TOKEN=... courier load run storm.yaml --agent 10.0.0.7:7070 --agent 10.0.0.8:7070");
  CLI::App* schema_command = with_help(
      app.add_subcommand("schema", "Print the JSON Schema of scenarios, for completion in editors"));
  schema_command->footer("Example:\n  courier load schema > scenario.schema.json");
  CLI::App* metrics_command = with_help(app.add_subcommand("metrics", "List what thresholds can look at"));
  metrics_command->footer("Example:\n  courier load metrics");
  CLI::App* worker_command =
      with_help(app.add_subcommand("worker", "What run and agents start; not for people"))->group("");
  CLI::App* quick_command = app.get_subcommand("quick");
  return [=] {
    if (run_command->parsed()) return run(*flags);
    if (check_command->parsed()) return check(*flags);
    if (quick_command->parsed()) return quick();
    if (compare_command->parsed()) return compare();
    if (report_command->parsed()) return report();
    if (agent_command->parsed()) return agent(*flags);
    if (worker_command->parsed()) return worker();
    if (metrics_command->parsed()) return metrics();
    fmt::print("{}", load::scenario_schema());
    return static_cast<int>(kOk);
  };
}

}  // namespace courier::cli
