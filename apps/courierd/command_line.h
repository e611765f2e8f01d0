// courierd's arguments. Everything else is a setting (src/config), which --set can override.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace courier::courierd {

struct CommandLine {
  std::string config_file;             // "": only defaults, environment and overrides
  std::vector<std::string> overrides;  // key=value
  bool check_config = false;
  std::optional<std::string> import_from;  // a node's data directory, to begin the cluster with
};

// What to do, or (help, version, a mistake) what to exit with after it has been printed.
struct Parsed {
  CommandLine command_line;
  std::optional<int> exit_code;
};
Parsed parse_command_line(int argc, const char* const* argv);

}  // namespace courier::courierd
