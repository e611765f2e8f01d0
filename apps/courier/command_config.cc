// courier config: check and reference, from the same schema that courierd reads.
#include <cstdio>
#include <memory>

#include "config/load.h"
#include "config/reference.h"
#include "courier/command.h"

namespace courier::cli {
namespace {

struct ConfigFlags {
  std::string file;
  std::vector<std::string> overrides;
  bool environment = false, markdown = false;
};

int check(const ConfigFlags& flags) {
  const auto settings = config::load(flags.file, flags.overrides,
                                     flags.environment ? config::environment() : config::Environment{});
  if (!settings) {
    note("config", settings.error().message);
    return kFailure;
  }
  fmt::print("{}: ok\n", flags.file);
  return kOk;
}

int reference(const ConfigFlags& flags) {
  const std::string text = flags.markdown ? config::manual_markdown() : config::sample_toml();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kOk;
}

}  // namespace

Run set_up_config(CLI::App& app) {
  auto flags = std::make_shared<ConfigFlags>();
  app.require_subcommand(1);

  CLI::App* checking = app.add_subcommand("check", "Say what is wrong with a configuration file");
  checking->add_option("FILE", flags->file, "The file")->required();
  checking->add_option("--set", flags->overrides, "KEY=VALUE on top, as courierd takes it; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  checking->add_flag("--env", flags->environment,
                     "Take COURIER__… of the environment into account, as courierd does");
  checking->footer(
      "Every problem is shown at once, with its line. Exit code 0 if there is none, else 1.\n\n"
      "Example:\n  courier config check /etc/courier/courierd.toml --set threads=4");

  CLI::App* referring = app.add_subcommand("reference", "Print every setting with its help and default");
  referring->add_flag("--markdown", flags->markdown, "As the page of the manual instead of TOML");
  referring->footer("Example: a file to begin with\n  courier config reference > courierd.toml");

  app.footer(
      "Examples:\n"
      "  courier config reference > courierd.toml\n"
      "  courier config check courierd.toml");
  return [flags, checking] { return checking->parsed() ? check(*flags) : reference(*flags); };
}

}  // namespace courier::cli
