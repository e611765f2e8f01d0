// courier load quick: usual tests by a few flags, which are emqtt-bench's where it has them.
#include <memory>

#include <fmt/format.h>

#include "courier/load_command.h"
#include "load/quick.h"
#include "net/socket_address.h"

namespace courier::cli {
namespace {

struct QuickFlags {
  load::QuickOptions options;
  Play play;
  std::string host = "127.0.0.1";
  uint16_t port = 1883;
  double connect_interval_ms = 0, rate = 0;
  std::string topic;
  uint64_t limit = 0, lag_ms_max = 0;
  bool print = false;
};

int quick(const QuickFlags& flags) {
  load::QuickOptions options = flags.options;
  const bool ipv6 = flags.host.find(':') != std::string::npos && !flags.host.starts_with('[');
  options.broker = fmt::format("mqtt://{}{}{}:{}", ipv6 ? "[" : "", flags.host, ipv6 ? "]" : "", flags.port);
  if (flags.connect_interval_ms > 0) options.connect_rate = 1e3 / flags.connect_interval_ms;
  if (flags.rate > 0) options.rate = flags.rate;
  if (!flags.topic.empty()) options.topic = flags.topic;
  if (flags.limit > 0) options.limit = flags.limit;
  if (flags.lag_ms_max > 0) options.lag_ms_max = flags.lag_ms_max;
  const std::string text = load::quick_scenario(options);
  if (flags.print) {
    fmt::print("{}", text);
    return kOk;
  }
  return play("quick", text, flags.play);
}

}  // namespace

Run set_up_load_quick(CLI::App& app) {
  app.require_subcommand(1);
  app.footer("Example:\n  courier load quick p2p --count 1000 --rate 2000 --duration 30");
  auto chosen = std::make_shared<QuickFlags>();
  for (const load::QuickInfo& info : load::kQuickKinds) {
    CLI::App* command = app.add_subcommand(std::string(info.name), std::string(info.help));
    command->set_help_flag("--help", "Show this help and exit");
    auto& flags = *chosen;
    load::QuickOptions& o = flags.options;
    const bool publishes = info.kind != load::QuickKind::conn && info.kind != load::QuickKind::sub;
    command->parse_complete_callback([chosen, kind = info.kind] { chosen->options.kind = kind; });
    command->add_option("-h,--host", flags.host, "The broker's name or address")->capture_default_str();
    command->add_option("-p,--port", flags.port, "Its port")
        ->capture_default_str()
        ->check(between(1, 65'535));
    command->add_option("-c,--count", o.count, "How many clients")
        ->capture_default_str()
        ->check(between(1, 10'000'000));
    command->add_option("-R,--connrate", o.connect_rate, "Connections per second")
        ->capture_default_str()
        ->check(positive());
    command
        ->add_option("-i,--interval", flags.connect_interval_ms,
                     "Milliseconds from one connect to the next; instead of -R")
        ->check(positive());
    command->add_option("-d,--duration", o.duration_s, "How long, in seconds")
        ->capture_default_str()
        ->check(between(1, 31'000'000));
    command->add_option("-V,--version", o.version, "Of MQTT: 3.1, 3.1.1 or 5")
        ->capture_default_str()
        ->check(CLI::IsMember({"3.1", "3.1.1", "5"}));
    command->add_option("-k,--keepalive", o.keep_alive_s, "Seconds; 0: none")->capture_default_str();
    command->add_option("-u,--username", o.username, "%i stands for the client's number");
    command->add_option("-P,--password", o.password, "%i stands for the client's number");
    command->add_option("--prefix", o.prefix, "What client ids and topics begin with")->capture_default_str();
    command->add_option("--proxy-protocol", o.proxy_protocol, "Play the load balancer: none, v1 or v2")
        ->capture_default_str()
        ->check(CLI::IsMember({"none", "v1", "v2"}));
    command->add_option("--sources", o.sources, "Addresses to connect from: 127.0.0.2-127.0.0.40");
    command->add_option("--seed", o.seed, "Same seed, same run")->capture_default_str();
    command
        ->add_option("--lag-max", flags.lag_ms_max,
                     "Milliseconds that the generator itself may be late (p99) for a valid result; 100")
        ->check(positive());
    if (info.kind != load::QuickKind::conn) {
      command->add_option("-t,--topic", flags.topic, "%i stands for the client's number");
      command->add_option("-q,--qos", o.qos, "0, 1 or 2")->capture_default_str()->check(between(0, 2));
    }
    if (publishes) {
      command
          ->add_option("-I,--interval_of_msg", o.interval_ms,
                       "Milliseconds between two messages of one client")
          ->capture_default_str()
          ->check(positive());
      command->add_option("-r,--rate", flags.rate, "Messages per second of all together; instead of -I")
          ->check(positive());
      command->add_option("-s,--size", o.size_bytes, "Of a message, in bytes")
          ->capture_default_str()
          ->check(between(0, 16 * 1024 * 1024));
      command->add_option("-L,--limit", flags.limit, "Messages in all; then it ends")->check(positive());
    }
    if (info.kind == load::QuickKind::fanin) {
      command->add_option("--receivers", o.receivers, "Members of the shared group")
          ->capture_default_str()
          ->check(between(1, 1'000'000));
    }
    command->add_flag("--print", flags.print, "Print the scenario instead of playing it");
    add_play_flags(*command, flags.play);
    command->footer(fmt::format("{}\nExample:\n  courier load quick {} -c 500{} --html quick.html",
                                kLoadExitCodes, info.name, publishes ? " -r 1000" : ""));
  }
  return [chosen] { return quick(*chosen); };
}

}  // namespace courier::cli
