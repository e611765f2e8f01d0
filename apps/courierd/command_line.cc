#include "command_line.h"

#include <CLI/CLI.hpp>

#include "exit_code.h"

namespace courier::courierd {

namespace {

// As from a variable of a script that was never set. It must not be taken for no import: that would serve,
// and begin an empty cluster.
std::string named(const std::string& folder) {
  return folder.empty() ? "the folder to import has no name (is a variable not set?); nothing was started"
                        : "";
}

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv) {
  Parsed parsed;
  CommandLine& line = parsed.command_line;
  CLI::App app("courierd, a durable MQTT broker.", "courierd");
  app.add_option("-c,--config", line.config_file,
                 "The settings, a TOML file. Without one, every setting has its default.")
      ->type_name("FILE");
  app.add_option(
         "--set", line.overrides,
         "Overrides one setting, as limits.inflight_max=20 or listener.mobile.bind=127.0.0.1:1884. May be "
         "repeated; stronger than the environment (COURIER__LIMITS__INFLIGHT_MAX), which is stronger than "
         "the file.")
      ->type_name("KEY=VALUE")
      ->take_all();
  CLI::Option* const check = app.add_flag("--check-config", line.check_config,
                                          "Says whether it would start with these settings, and does not.");
  std::string import_from;
  CLI::Option* const imports =
      app.add_option(
             "--import", import_from,
             "Begins the settings' cluster with what is in DATA_DIR, of a stopped node alone, and ends. For "
             "`courier cluster import`, which tells more and whose exit codes these are then.")
          ->type_name("DATA_DIR")
          ->check(named)
          ->excludes(check);
  app.set_version_flag("--version", "courierd " COURIER_VERSION);
  app.footer(
      "Signals: SIGTERM and SIGINT drain and stop (a second one: at once), SIGHUP opens the log file anew "
      "and takes\n"
      "over settings that need no restart.\n\n"
      "Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line or settings, 3 cannot listen, 4 cannot "
      "use\n"
      "data_dir, 5 the store is damaged or of a newer version, "
      "6 cannot join the cluster, 75 the cluster took this node for dead (start it again).\n\n"
      "All settings with their meaning: courier config reference");
  try {
    app.parse(argc, argv);
    if (imports->count() > 0) line.import_from = import_from;
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    parsed.exit_code = code == 0 ? kStopped : kUsage;
  }
  return parsed;
}

}  // namespace courier::courierd
