#include "load/run.h"

#include <sys/socket.h>

#include <algorithm>

#include <fmt/format.h>

#include "load/errc.h"
#include "load/greeting.h"
#include "load/limits.h"
#include "load/local_hand.h"
#include "load/remote_hand.h"
#include "load/worker_process.h"
#include "net/open_files.h"

namespace courier::load {

namespace {

constexpr int64_t kTickMs = 100;
constexpr int64_t kGoodbyeMs = 2'000;
constexpr uint64_t kDescriptorsOfOurOwn = 64;

// The shortest grace that a threshold gives to lost messages.
int64_t overdue_ms(const Scenario& scenario) {
  int64_t least = 30'000;
  for (const Threshold& threshold : scenario.thresholds) {
    if (threshold.metric == "delivery.lost" && threshold.grace_ms > 0)
      least = std::min(least, threshold.grace_ms);
  }
  return least;
}

// "host:port".
Result<net::Fd> connect_to_agent(const std::string& agent) {
  auto address = net::SocketAddress::parse(agent);
  if (!address) {
    // A name, then; its port is read by the same rules.
    const size_t colon = std::min(agent.rfind(':'), agent.size());
    address = net::SocketAddress::parse("0.0.0.0" + agent.substr(colon));
    if (address && address->port() != 0 && colon > 0) {
      auto found = net::resolve(agent.substr(0, colon), address->port());
      if (!found) return fail(errc::unreachable, found.error().message);
      address = found->front();
    }
  }
  if (!address || address->port() == 0) {
    return fail(errc::invalid_scenario, fmt::format("--agent {}: expected HOST:PORT", agent));
  }
  auto socket = net::connect_start(*address);
  if (!socket) return fail(errc::unreachable, fmt::format("agent {}: {}", agent, socket.error().message));
  net::set_no_delay(socket->get());
  return std::move(*socket);
}

Result<net::Fd> start_worker(const std::string& program, std::vector<WorkerProcess>& processes) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return fail(errc::unreachable, "there are no descriptors left for a worker");
  }
  net::Fd ours(ends[0]), theirs(ends[1]);
  auto process = WorkerProcess::start(program, std::move(theirs));
  if (!process) return fail(std::move(process.error()));
  processes.push_back(std::move(*process));
  return ours;
}

// Starts workers and waits until each has its part.
Result<std::vector<std::unique_ptr<Hand>>> prepare_workers(const RunOptions& options,
                                                           const Worker::Part& part, client::ClientLoop& loop,
                                                           std::vector<WorkerProcess>& processes) {
  std::vector<RemoteHand*> remote;
  std::vector<std::unique_ptr<Hand>> hands;
  for (uint32_t i = 0; i < part.count; ++i) {
    const bool here = options.agents.empty();
    const std::string agent = here ? "" : options.agents[i % options.agents.size()];
    auto socket = here ? start_worker(options.program, processes) : connect_to_agent(agent);
    if (!socket) return fail(std::move(socket.error()));
    RemoteHand::Peer peer{.name = here ? fmt::format("worker {}", i + 1) : "agent " + agent,
                          .token = options.token,
                          .version = options.version,
                          .same_clock = here};
    Preparation preparation{.file = options.file, .text = options.text, .set = options.set, .part = part};
    preparation.part.index = i;
    auto hand =
        std::make_unique<RemoteHand>(std::move(*socket), std::move(peer), std::move(preparation), loop);
    if (auto started = hand->start(); !started) return fail(std::move(started.error()));
    remote.push_back(hand.get());
    hands.push_back(std::move(hand));
  }
  bool late = false;
  client::Timer deadline([&] { late = true; });
  loop.arm(deadline, kPrepareMsMax);
  const auto interrupted = [&] { return options.interrupted && options.interrupted(); };
  client::Timer awake([&] { loop.arm(awake, kTickMs); });
  loop.arm(awake, kTickMs);
  const auto all_ready = [&] {
    return std::all_of(remote.begin(), remote.end(), [](const RemoteHand* hand) { return hand->ready(); });
  };
  std::optional<Error> trouble;
  while (!trouble && !all_ready()) {
    loop.run_once();
    for (const RemoteHand* hand : remote) {
      if (hand->trouble().empty()) continue;
      trouble = Error(make_error_code(hand->scenario_refused() ? errc::invalid_scenario : errc::unreachable),
                      hand->trouble());
    }
    if (!trouble && interrupted()) {
      trouble = Error(make_error_code(errc::unreachable), "interrupted before all workers were ready");
    }
    if (!trouble && late) {
      trouble = Error(make_error_code(errc::unreachable),
                      fmt::format("not all workers were ready within {} s", kPrepareMsMax / 1000));
    }
  }
  loop.cancel(deadline);
  loop.cancel(awake);
  if (trouble) return fail(std::move(*trouble));
  return hands;
}

// The reasons why connects failed, the most frequent first: "48 × the server broke the protocol".
std::string why_connects_failed(const Tally& tally) {
  constexpr std::string_view kPrefix = "connect: ";
  std::vector<std::pair<uint64_t, std::string>> most;
  for (const auto& [words, times] : tally.reasons) {
    if (words.starts_with(kPrefix)) most.emplace_back(times, words.substr(kPrefix.size()));
  }
  std::sort(most.rbegin(), most.rend());
  std::string out;
  for (size_t i = 0; i < std::min(most.size(), kShownReasonsMax); ++i) {
    out += fmt::format("{}{} × {}", out.empty() ? "" : ", ", most[i].first, most[i].second);
  }
  return out;
}

// What the first of the brokers says when one more client comes, from here. Nothing when that is not asked in
// the clear: why TLS or WebSocket failed is among the reasons.
std::string ask_again(const Scenario& scenario) {
  const Broker& broker = scenario.target.brokers.front();
  if (broker.scheme != client::Scheme::mqtt) return {};
  const Broker::Address& first = broker.addresses.front();
  const auto endpoint = client::Endpoint::resolve(first.host, first.port);
  if (!endpoint || (*endpoint)->addresses.empty()) return {};
  std::string preamble;
  if (scenario.target.proxy_protocol != ProxyProtocol::none) {
    preamble = client::proxy_preamble(static_cast<int>(scenario.target.proxy_protocol),
                                      net::SocketAddress::ipv4({198, 18, 0, 0}, 1024),
                                      (*endpoint)->addresses.front());
  }
  return describe_greeting(**endpoint, scenario.groups.front().mqtt.version, preamble);
}

// A target that takes connections and then speaks no MQTT, or not at all, was never reached: whatever the
// thresholds say, nothing was measured of a broker. Attempts that are still waiting for a CONNACK at the end
// have not failed yet; a target that lets the next one wait too has not answered.
void say_when_nothing_connected(const Scenario& scenario, bool ask, RunResult& result) {
  const bool ended = result.outcome == Outcome::passed || result.outcome == Outcome::failed ||
                     result.outcome == Outcome::unreachable;
  if (!ended || result.total[Count::connect_ok] + result.total[Count::connect_refused] > 0) return;
  const auto connects = [](const Step& step) { return std::holds_alternative<ConnectStep>(step.what); };
  bool asked = false;
  for (size_t s = 0; s < std::min(result.stages.size(), scenario.stages.size()); ++s) {
    const std::vector<Step>& steps = scenario.stages[s].steps;
    asked = asked || std::any_of(steps.begin(), steps.end(), connects);
  }
  if (!asked) return;
  const std::string greeting = ask ? ask_again(scenario) : "";
  if (result.outcome != Outcome::unreachable && greeting.empty()) return;
  result.outcome = Outcome::unreachable;
  result.trouble = fmt::format("no connection to {} could be made", scenario.target.brokers.front().text);
  const std::string failed = why_connects_failed(result.total);
  for (const std::string& each : {failed, greeting}) {
    if (!each.empty()) result.trouble += "; " + each;
  }
  for (const StageResult& stage : result.stages) {
    if (!stage.trouble.empty()) result.trouble += fmt::format("; stage {}: {}", stage.name, stage.trouble);
  }
}

}  // namespace

uint32_t workers_needed(const Scenario& scenario) {
  const uint64_t descriptors = net::raise_open_files();
  const uint64_t each =
      descriptors > 2 * kDescriptorsOfOurOwn ? descriptors - kDescriptorsOfOurOwn : kDescriptorsOfOurOwn;
  return static_cast<uint32_t>(std::clamp<uint64_t>((scenario.clients() + each - 1) / each, 1, kWorkersMax));
}

Result<RunResult> run(const Scenario& scenario, const RunOptions& options) {
  auto loop = client::ClientLoop::open(derived(scenario.seed, 1, 3));
  if (!loop) return fail(std::move(loop.error()));
  Worker::Part part;
  part.run = static_cast<uint32_t>(derived(static_cast<uint64_t>(system_clock().wall_ms()), 4));
  part.overdue_ms = overdue_ms(scenario);
  part.count = std::max<uint32_t>(options.workers, workers_needed(scenario));
  if (options.workers == 0) part.count = std::max(part.count, static_cast<uint32_t>(options.agents.size()));
  if (part.count > kWorkersMax) {
    return fail(errc::invalid_scenario, fmt::format("at most {} workers can be led", kWorkersMax));
  }

  // Before the hands: they speak to the processes until they are gone.
  std::vector<WorkerProcess> processes;
  std::vector<std::unique_ptr<Hand>> hands;
  if (part.count == 1 && options.agents.empty()) {
    auto worker = Worker::make(scenario, part, **loop, options.transports);
    if (!worker) return fail(std::move(worker.error()));
    hands.push_back(std::make_unique<LocalHand>(std::move(*worker)));
  } else {
    auto prepared = prepare_workers(options, part, **loop, processes);
    if (!prepared) return fail(std::move(prepared.error()));
    hands = std::move(*prepared);
  }

  RunResult result;
  Scraper scraper(scenario.target.scrape, scenario.target.scrape_metrics);
  {
    Conductor conductor(scenario, std::move(hands), system_clock());
    conductor.on_second = options.on_second;
    conductor.on_stage = options.on_stage;
    client::Timer timer([&] {
      if (options.interrupted && options.interrupted()) conductor.interrupt();
      conductor.tick();
      if (!conductor.over()) (*loop)->arm(timer, kTickMs);
    });
    conductor.start();
    scraper.start(conductor.started_ns());
    (*loop)->arm(timer, kTickMs);
    while (!conductor.over()) (*loop)->run_once();
    (*loop)->cancel(timer);
    result = conductor.result();
    result.version = options.version;
    result.workers = part.count;
  }
  say_when_nothing_connected(scenario, options.agents.empty(), result);
  scraper.stop();
  result.scraped = scraper.plots();
  result.notes.insert(result.notes.end(), scraper.troubles().begin(), scraper.troubles().end());
  for (WorkerProcess& process : processes) process.wait(kGoodbyeMs);
  return result;
}

}  // namespace courier::load
