// courier test: what an MQTT server offers, and whether it does as it says. (Files that end in _test are
// tests, hence this one's name.)
#include <cstdio>
#include <memory>

#include "courier/connection_flags.h"
#include "courier/probe/probe.h"

namespace courier::cli {
namespace {

struct ProbeFlags {
  ConnectionFlags connection{"test"};
  std::string target, topic;
  int seconds = 60;
  uint32_t packet_kilobytes = probe::kPacketBytesMax / 1024;
  bool json = false;
};

int test(ProbeFlags& flags) {
  if (!flags.target.empty()) flags.connection.aim_at(flags.target);
  auto setup = flags.connection.setup();
  if (!setup) {
    flags.connection.say(setup.error().message);
    return exit_of(setup.error().code);
  }
  probe::ProbeOptions options;
  options.setup = *std::move(setup);
  options.server = flags.connection.url();
  options.topic = flags.topic;
  while (options.topic.ends_with('/')) options.topic.pop_back();
  options.time_ms = int64_t{flags.seconds} * 1000;
  options.packet_bytes_max = flags.packet_kilobytes * 1024;
  options.sentence = [&](const client::Ending& ending) { return flags.connection.sentence(ending); };
  const probe::Outcome outcome = probe::Probe(std::move(options)).run();
  const std::string text = flags.json ? report_json(outcome.report) : report_text(outcome.report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (outcome.ending) return exit_of(*outcome.ending);
  return outcome.report.broken() ? kFailure : kOk;
}

}  // namespace

Run set_up_probe(CLI::App& app) {
  auto flags = std::make_shared<ProbeFlags>();
  app.add_option("SERVER", flags->target, "HOST, HOST:PORT or a URL, as of -L; without it, -h and -p");
  app.add_option("-W,--timeout", flags->seconds, "End after so many seconds (60)")
      ->type_name("SECONDS")
      ->check(between(1, 3600));
  app.add_option("--topic", flags->topic, "Keep below this topic, where access rules want it")
      ->type_name("TOPIC");
  app.add_option("--packet-max", flags->packet_kilobytes, "Largest packet that is tried, in KB (1024)")
      ->type_name("KB")
      ->check(between(1, 256 * 1024));
  app.add_flag("--json", flags->json, "As a JSON object");
  flags->connection.add_to(app);
  app.footer(
      "Connects with each version of MQTT, asks for the limits, and tries QoS, retained messages, "
      "wildcards,\n"
      "shared subscriptions, wills, sessions and so on with the highest version, then how large packets may\n"
      "be and how long messages take. \"no\": not offered. \"BROKEN\": offered, but it does not work.\n\n"
      "What it costs the server: some 40 connections, 800 messages, 3 MB with the flags left as they are,\n"
      "within -W seconds; each answer is awaited for 5 s. All topics lie below a random one; the session "
      "and\n"
      "the retained message that it makes are deleted.\n\n"
      "Exit codes: 0 it works, 1 something is broken, 3 no connection, 4 refused, 5 no answer in time.\n\n"
      "Examples:\n"
      "  courier test broker.example.com\n"
      "  courier test mqtts://broker.example.com -u phone-1 -P secret\n"
      "  courier test wss://broker.example.com/mqtt --json | jq -r .verdict");
  return [flags] { return test(*flags); };
}

}  // namespace courier::cli
