// courier doctor: looks at this machine and says what it lacks for many connections, and what mends it.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "config/load.h"
#include "courier/command.h"
#include "courier/doctor/disk_facts.h"
#include "courier/doctor/machine_facts.h"
#include "courier/doctor/report.h"

namespace courier::cli {
namespace {

constexpr const char* kUsualSettings = "/etc/courier/courierd.toml";

struct DoctorFlags {
  std::string config, data_dir, output = "table";
  std::vector<std::string> overrides;
  bool environment = false;
  std::optional<uint64_t> connections, sessions, pid;
  uint64_t filters = 1;
};

// The settings that are meant: a file's, or those of the place where packages put it, or the defaults.
void take_settings(const DoctorFlags& flags, doctor::Examined& examined) {
  std::optional<std::string> file;
  if (!flags.config.empty()) {
    file = flags.config;
  } else if (::access(kUsualSettings, R_OK) == 0) {
    file = kUsualSettings;
  }
  std::vector<std::string> overrides = flags.overrides;
  // Without a file nobody has said yet who may connect; that is not a matter of the machine.
  if (!file) overrides.insert(overrides.begin(), "auth.allow_anonymous=true");
  auto settings =
      config::load(file, overrides, flags.environment ? config::environment() : config::Environment{});
  examined.settings_from = file.value_or("");
  if (settings) {
    examined.settings = *std::move(settings);
  } else {
    examined.settings_problem = settings.error().message;
    examined.settings.listeners.emplace_back();
    examined.settings.listeners.back().bind = "0.0.0.0:1883";
  }
  if (!flags.data_dir.empty()) examined.settings.data_dir = flags.data_dir;
}

int examine(const DoctorFlags& flags) {
  doctor::Examined examined;
  take_settings(flags, examined);
  examined.machine = doctor::read_machine("");
  examined.machine.clock_synchronised = doctor::read_clock();
  examined.disk = doctor::read_disk(examined.settings.data_dir);
  if (flags.pid) examined.program_node = std::to_string(*flags.pid);
  const doctor::Diagnosis diagnosis =
      doctor::diagnose(examined, {flags.connections, flags.sessions, flags.filters});
  const std::string report = flags.output == "json" ? doctor::report_json(examined, diagnosis)
                                                    : doctor::report_text(examined, diagnosis);
  std::fwrite(report.data(), 1, report.size(), stdout);
  return diagnosis.fit() ? kOk : kFailure;
}

}  // namespace

Run set_up_doctor(CLI::App& app) {
  auto flags = std::make_shared<DoctorFlags>();
  app.set_help_flag("--help,-h", "Show this help and exit");
  app.add_option("-c,--config", flags->config,
                 fmt::format("courierd's settings; {} if not given and there", kUsualSettings))
      ->type_name("FILE");
  app.add_option("--set", flags->overrides, "KEY=VALUE on top, as courierd takes it; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_flag("--env", flags->environment,
               "Take COURIER__… of the environment into account, as courierd does");
  app.add_option("-n,--connections", flags->connections,
                 "For so many; if not given: what the listeners' limits allow, or what the memory\n"
                 "carries, at most 1,000,000")
      ->type_name("N")
      ->check(between(1, 100'000'000));
  app.add_option("--sessions", flags->sessions, "Stored sessions, connected or not; as many as connections")
      ->type_name("N")
      ->check(between(0, 1'000'000'000));
  app.add_option("--filters", flags->filters, "Subscriptions of each session")
      ->type_name("N")
      ->capture_default_str()
      ->check(between(0, 10'000));
  app.add_option("--data-dir", flags->data_dir, "Look at this folder instead of the settings' data_dir")
      ->type_name("PATH");
  app.add_option("--pid", flags->pid, "Which courierd is meant, if several run")
      ->type_name("PID")
      ->check(between(1, 1'000'000'000));
  app.add_option("-o,--output", flags->output, "table (the default) or json")
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json"}));
  app.footer(
      "Reads /proc, /sys, the systemd unit and the settings, and writes 200 blocks into data_dir (a file\n"
      "without a name) to time its syncs; changes nothing. Run it as the user of courierd or as root.\n\n"
      "Exit codes: 0 nothing will fail at this size, 1 something will. docs/operations/tuning.md has the\n"
      "whole picture.\n\n"
      "Examples:\n"
      "  courier doctor --connections 1000000\n"
      "  sudo courier doctor -c courierd.toml -n 200000 --sessions 1000000 --filters 3\n"
      "  courier doctor -o json | jq '.findings[] | select(.level == \"problem\")'");
  return [flags] { return examine(*flags); };
}

}  // namespace courier::cli
