#include "program.h"

#include <stdlib.h>

#include <optional>

#include <fmt/core.h>

#include "admin/tokens.h"
#include "assembly.h"
#include "auth/acl/rules.h"
#include "command_line.h"
#include "config/credentials.h"
#include "config/load.h"
#include "exit_code.h"
#include "import/import.h"
#include "process.h"
#include "transports.h"

namespace courier::courierd {
namespace {

// What a start would refuse, without touching the store or a port.
Result<void> check(const config::Settings& settings) {
  if (auto listeners = listeners_of(settings); !listeners) return fail(std::move(listeners).error());
  if (auto limits = limit_rules_of(settings); !limits) return fail(std::move(limits).error());
  Transports transports;
  if (auto doors = transports.load(settings.listeners, system_clock().wall_ms()); !doors) {
    return fail(std::move(doors).error());
  }
  Registry registry;
  if (auto authenticators = authenticators_of(settings, registry); !authenticators) {
    return fail(std::move(authenticators).error());
  }
  if (auto rules = auth::acl::Rules::open(settings.auth.acl_file); !rules) {
    return fail(std::move(rules).error());
  }
  if (auto tokens = admin::Tokens::load(settings.admin.tokens, settings.admin.token_file); !tokens)
    return fail(std::move(tokens).error());
  return {};
}

}  // namespace

int main(int argc, const char* const* argv, const Adapters& adapters) {
  const Parsed parsed = parse_command_line(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  const CommandLine& line = parsed.command_line;
  const bool imports = line.import_from.has_value();
  if (!imports) take_signals();  // an import may be killed anywhere
  const auto file = line.config_file.empty() ? std::nullopt : std::optional(line.config_file);
  auto settings = config::load(file, line.overrides, config::environment());
  auto credentials =
      settings ? config::resolve_credentials(*settings, ::getenv("CREDENTIALS_DIRECTORY")) : Result<void>();
  if (!settings || !credentials) {
    fmt::print(stderr, "{}\n", settings ? credentials.error().message : settings.error().message);
    return kUsage;
  }
  if (imports) return run_import(*line.import_from, *settings);
  if (!line.check_config) return run(line, *settings, adapters);
  if (auto checked = check(*settings); !checked) {
    fmt::print(stderr, "courierd: {}\n", checked.error().message);
    return kUsage;
  }
  fmt::print("{}: good\n", line.config_file.empty() ? "settings" : line.config_file);
  return kStopped;
}

}  // namespace courier::courierd
