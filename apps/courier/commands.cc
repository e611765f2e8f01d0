#include <unistd.h>

#include <cstdio>

#include <cmath>

#include <fmt/ranges.h>

#include "config/suggest.h"
#include "courier/command.h"
#include "courier/mosquitto_arguments.h"

namespace courier::cli {
namespace {

// The registration table: a new command is one line here, one declaration in command.h and one file.
constexpr Command kCommands[] = {
    {"pub", "Messages", "Publish messages", set_up_pub},
    {"sub", "Messages", "Subscribe and print what arrives", set_up_sub},
    {"load", "Messages", "Play a load scenario against any broker", set_up_load},
    {"test", "Messages", "Try out what any broker offers", set_up_probe},
    {"client", "Server", "List, show, disconnect and trace clients", set_up_client},
    {"ban", "Server", "Say who may not come in, and for how long", set_up_ban},
    {"node", "Server", "Say how a running node is, send its clients elsewhere", set_up_node},
    {"cluster", "Server", "Say who is in a cluster and whether it is well; begin one with a node's data",
     set_up_cluster},
    {"listener", "Server", "List where clients come in", set_up_listener},
    {"backup", "Server", "Copy a running node's data", set_up_backup},
    {"restore", "Server", "Put a backup back", set_up_restore},
    {"inspect", "Server", "Look into a stopped node's data", set_up_inspect},
    {"passwd", "Server", "Add, change or remove a user of a password file", set_up_passwd},
    {"why", "Server", "Say why a client may publish or subscribe, or may not", set_up_why},
    {"acl", "Server", "Check an ACL file, or say why it allows something", set_up_acl},
    {"jwt", "Server", "Make, show and check signed tokens", set_up_jwt},
    {"config", "Server", "Check and show settings, print the reference, make a node reload", set_up_config},
    {"events", "Server", "Follow what happens, say who is told of it, print the schema", set_up_events},
    {"hook", "Server", "Say how webhooks are told of events, try one out, replay dead letters", set_up_hook},
    {"relay", "Server", "Send events from Kafka to an HTTP backend", set_up_relay},
    {"doctor", "Server", "Say what this machine lacks for many connections", set_up_doctor},
    {"demo", "Server", "Show the main job: orders, phones, a kill -9, and what was lost", set_up_demo},
    {"completion", "Shell", "Print the completion script for your shell", set_up_completion},
};

constexpr const char* kDescription =
    "courier: the command line of the Courier MQTT broker.\n\n"
    "Data go to stdout, notes to stderr. Exit codes: 0 ok, 1 failure, 2 usage,\n"
    "3 no connection, 4 refused, 5 timeout, 10 unhealthy.";

constexpr const char* kFooter =
    "Examples:\n"
    "  courier sub -t 'orders/#' -v                  everything below orders/\n"
    "  courier pub -t orders/42 -m '{\"id\":42}' -q 1   one message, acknowledged\n"
    "  courier config check /etc/courier/courierd.toml\n\n"
    "`courier COMMAND --help` says more about each.";

// CLI11's own say a range as "0.000000 to 1797693134862315708145…".
CLI::Validator numbers(std::function<bool(double)> good, std::string what) {
  const auto check = [good = std::move(good), what = std::move(what)](const std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && good(value)) return std::string();
    return fmt::format("\"{}\" is not {}", text, what);
  };
  return CLI::Validator(check, "");  // the help says it in words
}

// What was meant by `word`, which is no command of `app`.
std::string unknown_command(const CLI::App& app, const std::string& word) {
  if (word.starts_with('-')) return fmt::format("there is no flag {} here; a command comes first", word);
  std::vector<std::string> known;
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(one->get_name());
  }
  const auto near = config::suggest(word, known);
  return fmt::format("there is no command \"{}\"{}", word,
                     near ? fmt::format("; did you mean \"{}\"?", *near)
                          : fmt::format("; there are {}", fmt::join(known, ", ")));
}

// `courier help pub` is `courier pub --help`.
std::vector<std::string> without_help_command(std::vector<std::string> arguments) {
  if (!arguments.empty() && arguments.front() == "help") {
    arguments.erase(arguments.begin());
    arguments.emplace_back("--help");
  }
  return arguments;
}

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

void note(std::string_view command, std::string_view text) {
  const std::string line = fmt::format("courier {}: {}\n", command, text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int failure(std::string_view command, const Error& error) {
  note(command, error.message);
  return kFailure;
}

CLI::Validator between(int least, int most) {
  return numbers([=](double value) { return value >= least && value <= most && value == std::floor(value); },
                 fmt::format("a whole number from {} to {}", least, most));
}

CLI::Validator positive() {
  return numbers([](double value) { return value > 0; }, "a number above 0");
}

CLI::Option* add_output(CLI::App& command, std::string& kind, const char* ndjson) {
  return command
      .add_option("-o,--output", kind, fmt::format("table (the default), json, or ndjson ({})", ndjson))
      ->type_name("KIND")
      ->check(CLI::IsMember({"table", "json", "ndjson"}));
}

CLI::Validator not_negative() {
  return numbers([](double value) { return value >= 0; }, "a number, 0 or more");
}

int run(int argc, const char* const* argv) {
  CLI::App app(kDescription, "courier");
  app.footer(kFooter);
  app.set_help_flag("--help,-h", "Show this help and exit");
  app.set_version_flag("--version", "courier " COURIER_VERSION, "Show the version and exit");
  app.require_subcommand(1);
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    std::string name = failed->get_name();
    for (const CLI::App* parent = failed->get_parent(); parent != nullptr; parent = parent->get_parent()) {
      name = parent->get_name() + " " + name;
    }
    std::string what = error.what();
    if (failed->get_require_subcommand_min() > 0 && failed->get_subcommands().empty()) {
      const std::vector<std::string> words = failed->remaining();
      what = words.empty() ? "a command is missing" : unknown_command(*failed, words.front());
    }
    return fmt::format("courier: {}\nSee `{} --help`.\n", what, name);
  });

  std::vector<std::pair<CLI::App*, Run>> runs;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    sub->footer("");  // not the one above
    runs.emplace_back(sub, command.set_up(*sub));
    sub->group(std::string(command.group));
  }

  std::vector<std::string> arguments = without_help_command(join_arguments({argv + 1, argv + argc}));
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    const std::string help = app.help();  // of the command that was named
    std::fwrite(help.data(), 1, help.size(), stdout);
    return kOk;
  } catch (const CLI::ParseError& error) {
    // The innermost command that was named says what was wrong, or the version.
    const CLI::App* named = &app;
    for (auto chosen = named->get_subcommands(); !chosen.empty(); chosen = named->get_subcommands()) {
      named = chosen.back();
    }
    return named->exit(error) == 0 ? kOk : kUsage;
  }
  for (const auto& [sub, run] : runs) {
    if (!sub->parsed()) continue;
    const int code = run();
    // A full disk behind the pipe must not look like success.
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    if (!written && code == kOk) note(sub->get_name(), "cannot write to stdout");
    return written || code != kOk ? code : kFailure;
  }
  return kUsage;
}

}  // namespace courier::cli
