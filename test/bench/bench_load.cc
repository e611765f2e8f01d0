// bench_load MODE --port=N [--pid=BROKER] [options]: one run of load on a broker; prints one line of JSON.
//
// Modes: pairs (publisher i to subscriber i), all (every publisher to every subscriber: fan-out and fan-in),
// shared (every publisher to a shared subscription of all subscribers), offline, broadcast (to sessions that
// are away), idle, storm. Options are those of load_options.h; tools/bench is the usual caller. A message
// that is lost, comes twice or out of order ends the run with "valid": false and no figures.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "load_connections.h"
#include "load_flow.h"

namespace {

using courier::bench::LoadOptions;

// True if the argument is this option; its number then stands in `value`.
template <typename Number>
bool number(std::string_view argument, std::string_view name, Number& value) {
  if (!argument.starts_with(name) || argument.size() <= name.size() || argument[name.size()] != '=')
    return false;
  value = static_cast<Number>(std::strtod(argument.data() + name.size() + 1, nullptr));
  return true;
}

bool parse(std::string_view argument, LoadOptions& options) {
  if (argument == "--persistent") {
    options.persistent = true;
    return true;
  }
  return number(argument, "--port", options.port) || number(argument, "--pid", options.broker_pid) ||
         number(argument, "--publishers", options.publishers) ||
         number(argument, "--subscribers", options.subscribers) || number(argument, "--qos", options.qos) ||
         number(argument, "--window", options.window) || number(argument, "--rate", options.rate) ||
         number(argument, "--payload", options.payload_bytes) ||
         number(argument, "--seconds", options.seconds) || number(argument, "--warmup", options.warmup_s) ||
         number(argument, "--messages", options.messages) || number(argument, "--wait", options.wait_s) ||
         number(argument, "--connections", options.connections);
}

int usage() {
  std::fputs(
      "usage: bench_load pairs|all|shared|offline|broadcast|idle|storm --port=N [--pid=BROKER] "
      "[--publishers=N]\n"
      "       [--subscribers=N] [--qos=0|1|2] [--window=N | --rate=PER_SECOND] [--persistent] "
      "[--payload=BYTES]\n"
      "       [--seconds=S] [--warmup=S] [--wait=S] [--messages=N] [--connections=N]\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace courier::bench;
  LoadOptions options;
  if (argc > 1) options.mode = argv[1];
  for (int i = 2; i < argc; ++i) {
    if (!parse(argv[i], options)) return usage();
  }
  if (options.port == 0 || options.qos > 2 || options.window == 0) return usage();
  if (options.mode == "pairs" || options.mode == "offline") {
    options.subscribers = options.publishers;
    Flow flow(options, Shape::pairs);
    if (options.mode == "pairs") {
      flow.run();
    } else {
      flow.run_offline();
    }
  } else if (options.mode == "broadcast") {
    options.subscribers = 0;
    Flow(options, Shape::all).run_broadcast();
  } else if (options.mode == "all") {
    Flow(options, Shape::all).run();
  } else if (options.mode == "shared") {
    Flow(options, Shape::shared).run();
  } else if (options.mode == "idle") {
    Idle(options).run();
  } else if (options.mode == "storm") {
    Storm(options).run();
  } else {
    return usage();
  }
}
