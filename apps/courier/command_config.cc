// courier config: check, show and reference, from the same schema that courierd reads; and reload, which asks
// a running node to read it again.
#include <cstdio>
#include <memory>
#include <optional>

#include "config/load.h"
#include "config/reference.h"
#include "config/show.h"
#include "courier/admin_client.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ConfigFlags {
  std::string file;
  std::vector<std::string> overrides;
  bool environment = false, markdown = false;
  config::ShowOptions show;
  AdminFlags admin;
  std::string output = "table";
};

Result<config::Loaded> load(const ConfigFlags& flags) {
  return config::load_with_origins(flags.file.empty() ? std::nullopt : std::optional(flags.file),
                                   flags.overrides,
                                   flags.environment ? config::environment() : config::Environment{});
}

int check(const ConfigFlags& flags) {
  if (const auto loaded = load(flags); !loaded) return failure("config", loaded.error());
  fmt::print("{}: ok\n", flags.file);
  return kOk;
}

int show(const ConfigFlags& flags) {
  const auto loaded = load(flags);
  if (!loaded) return failure("config", loaded.error());
  const std::string text = config::show(*loaded, flags.show);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kOk;
}

int reference(const ConfigFlags& flags) {
  const std::string text = flags.markdown ? config::manual_markdown() : config::sample_toml();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kOk;
}

int reload(const ConfigFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "config reload");
  if (!admin) return admin.error();
  const auto done = admin->ask_json("POST", "/v1/config/reload");
  if (!done) return done.error();
  if (flags.output != "table") {
    fmt::print("{}\n",
               done->dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace));
    return kOk;
  }
  const auto line = [&](const char* title, const char* name, const char* none) {
    std::string text;
    for (const Json& one : done->value(name, Json::array())) {
      text += (text.empty() ? "" : ", ") + (one.is_string() ? one.get<std::string>() : one.dump());
    }
    fmt::print("{:<18}{}\n", title, text.empty() ? none : one_line(text));
  };
  line("read again", "read", "nothing");
  line("changed", "applied", "no setting");
  line("needs a restart", "need_restart", "nothing");
  return kOk;
}

void add_sources(CLI::App& command, ConfigFlags& flags) {
  command.add_option("--set", flags.overrides, "KEY=VALUE on top, as courierd takes it; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--env", flags.environment,
                   "Take COURIER__… of the environment into account, as courierd does");
}

}  // namespace

Run set_up_config(CLI::App& app) {
  auto flags = std::make_shared<ConfigFlags>();
  app.require_subcommand(1);

  CLI::App* checking = app.add_subcommand("check", "Say what is wrong with a configuration file");
  checking->add_option("FILE", flags->file, "The file")->required();
  add_sources(*checking, *flags);
  checking->footer(
      "Every problem is shown at once, with its line. Exit code 0 if there is none, else 1.\n\n"
      "Example:\n  courier config check /etc/courier/courierd.toml --set threads=4");

  CLI::App* showing = app.add_subcommand("show", "Print every setting's value, and where it came from");
  showing->add_option("FILE", flags->file, "The file; without one, the defaults");
  add_sources(*showing, *flags);
  showing->add_flag("--origin", flags->show.origin,
                    "Behind each value: file and line, environment variable, override or default");
  showing->add_flag("--changed", flags->show.changed, "Only what is set somewhere");
  showing->footer(
      "As a TOML file that says everything; secrets are left out.\n\n"
      "Examples:\n"
      "  courier config show /etc/courier/courierd.toml --env --origin\n"
      "  courier config show courierd.toml --changed --origin --set log.level=debug");

  CLI::App* reloading = app.add_subcommand("reload", "Make a running node take over what changed");
  reloading->set_help_flag("--help,-h", "Show this help and exit");
  add_output(*reloading, flags->output, kOneLine);
  flags->admin.add_to(*reloading);
  reloading->footer(fmt::format(
      "As SIGHUP: the settings and all files that they name (certificates, passwords, keys, access\n"
      "rules…) are read again. All or nothing: if one of them is no good, nothing changes, what is\n"
      "wrong is said, and the exit code is 1. No connection is dropped.\n\n{}\n\n"
      "Example:\n  courier config reload",
      kAdminHelp));

  CLI::App* referring = app.add_subcommand("reference", "Print every setting with its help and default");
  referring->add_flag("--markdown", flags->markdown, "As the page of the manual instead of TOML");
  referring->footer("Example: a file to begin with\n  courier config reference > courierd.toml");

  app.footer(
      "Examples:\n"
      "  courier config reference > courierd.toml\n"
      "  courier config check courierd.toml\n"
      "  courier config show courierd.toml --origin\n"
      "  courier config reload");
  return [flags, checking, showing, reloading] {
    if (checking->parsed()) return check(*flags);
    if (showing->parsed()) return show(*flags);
    if (reloading->parsed()) return reload(*flags);
    return reference(*flags);
  };
}

}  // namespace courier::cli
