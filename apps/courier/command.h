// What a command of `courier` is. The table of all of them is in commands.cc: one line a command.
//
// Data go to stdout, notes to stderr. A command returns one of these exit codes; scripts depend on them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/result.h"

namespace courier::cli {

enum Exit : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kNoConnection = 3,
  kRefused = 4,
  kTimeout = 5,
  kUnhealthy = 10,
};

// Does the work, once the flags have been parsed.
using Run = std::function<int()>;

struct Command {
  std::string_view name;
  std::string_view group;        // heading in `courier --help`
  std::string_view summary;      // one line there
  Run (*set_up)(CLI::App& app);  // declares the flags, the description and the examples
};

std::span<const Command> commands();

// "courier pub: …" on stderr.
void note(std::string_view command, std::string_view text);
// Notes what went wrong; kFailure.
int failure(std::string_view command, const Error& error);

// -o: what is said as a table, json or ndjson; `ndjson`: what that is, of a command that shows one thing or a
// list of them.
inline constexpr const char* kOneLine = "one line";
inline constexpr const char* kLineEach = "an object a line";
CLI::Option* add_output(CLI::App& command, std::string& kind, const char* ndjson);

// Checks a flag's number.
CLI::Validator between(int least, int most);
CLI::Validator positive();
CLI::Validator not_negative();

// The whole command line: parses, runs, returns the exit code.
int run(int argc, const char* const* argv);

// One for each command: command_<name>.cc.
Run set_up_pub(CLI::App& app);
Run set_up_sub(CLI::App& app);
Run set_up_client(CLI::App& app);
Run set_up_ban(CLI::App& app);
Run set_up_node(CLI::App& app);
Run set_up_cluster(CLI::App& app);
Run set_up_listener(CLI::App& app);
Run set_up_backup(CLI::App& app);
Run set_up_restore(CLI::App& app);
Run set_up_inspect(CLI::App& app);
Run set_up_load(CLI::App& app);
Run set_up_probe(CLI::App& app);
Run set_up_passwd(CLI::App& app);
Run set_up_acl(CLI::App& app);
Run set_up_why(CLI::App& app);
Run set_up_jwt(CLI::App& app);
Run set_up_config(CLI::App& app);
Run set_up_events(CLI::App& app);
Run set_up_hook(CLI::App& app);
Run set_up_relay(CLI::App& app);
Run set_up_doctor(CLI::App& app);
Run set_up_demo(CLI::App& app);
Run set_up_completion(CLI::App& app);

}  // namespace courier::cli
