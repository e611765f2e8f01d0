// courier relay: events from Kafka to an HTTP backend, until it is stopped.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "admin/server.h"
#include "base/log.h"
#include "courier/command.h"
#include "courier/load_command.h"
#include "relay/relay.h"

namespace courier::cli {
namespace {

struct RelayFlags {
  std::string file;
  bool check = false, example = false;
};

class RelayVitals final : public admin::Vitals {
 public:
  explicit RelayVitals(const relay::Relay& relay) : relay_(relay) {}
  admin::Health health() const override {
    std::string trouble = relay_.trouble();
    return {trouble.empty(), std::move(trouble)};
  }
  bool alive() const override { return relay_.alive(); }

 private:
  const relay::Relay& relay_;
};

int relay_events(const relay::Settings& settings) {
  watch_interrupts();
  ::signal(SIGPIPE, SIG_IGN);
  Registry metrics;
  auto relay = relay::Relay::open(settings, metrics);
  if (!relay) return failure("relay", relay.error());
  const RelayVitals vitals(**relay);
  std::unique_ptr<admin::Server> server;
  if (!settings.admin_bind.empty()) {
    auto started = admin::Server::start(settings.admin_bind, vitals, metrics);
    if (!started) return failure("relay", started.error());
    server = *std::move(started);
  }
  log::info("the relay starts", {{"brokers", settings.kafka.connection.brokers},
                                 {"group", settings.kafka.group},
                                 {"url", http::without_secrets(settings.http.url)},
                                 {"admin", server ? server->address() : "off"}});
  (*relay)->run(interrupted);
  return kOk;
}

int run(const RelayFlags& flags) {
  if (flags.example) {
    const std::string text = relay::example();
    std::fwrite(text.data(), 1, text.size(), stdout);
    return kOk;
  }
  if (flags.file.empty()) {
    note("relay", "name a file of settings; --example prints one");
    return kUsage;
  }
  auto settings = relay::load(flags.file);
  if (!settings) return failure("relay", settings.error());
  if (flags.check) {
    fmt::print("{}: good\n", flags.file);
    return kOk;
  }
  if (auto done = relay::resolve_credentials(*settings, std::getenv("CREDENTIALS_DIRECTORY")); !done)
    return failure("relay", done.error());
  return relay_events(*settings);
}

}  // namespace

Run set_up_relay(CLI::App& app) {
  auto flags = std::make_shared<RelayFlags>();
  app.add_option("FILE", flags->file, "Settings, TOML");
  app.add_flag("--check", flags->check, "Only say whether the file is good");
  app.add_flag("--example", flags->example, "Print a file with every key, its meaning and its default");
  app.footer(
      "Reads events that courierd has told Kafka ([[sink]] kind = \"kafka\") and sends each to an HTTP "
      "backend, at\n"
      "least once, a client's in order. SIGTERM and SIGINT end it: requests under way may finish, and how "
      "far all\n"
      "is done is committed. It logs to stderr.\n\n"
      "Examples:\n"
      "  courier relay --example > relay.toml\n"
      "  courier relay --check relay.toml\n"
      "  courier relay relay.toml");
  return [flags] { return run(*flags); };
}

}  // namespace courier::cli
