// courier demo: the main job on real input. A node is killed midway: a courierd of its own, or one of a
// cluster. Its parts are in demo/.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "courier/command.h"
#include "courier/demo/broker_process.h"
#include "courier/demo/main_job.h"
#include "courier/demo/orders.h"
#include "courier/demo/report.h"
#include "courier/demo/running_cluster.h"

namespace courier::cli {
namespace {

constexpr size_t kLostShown = 10;
// Descriptors beyond those of the phones.
constexpr rlim_t kDescriptorsSpare = 256;

struct DemoFlags {
  std::string orders, courierd;
  int phones = 200;
  int rate = 250;
  uint64_t seed = 1;
  bool keep = false;
  std::vector<std::string> nodes;
  std::string kill;
};

std::filesystem::path own_folder() {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? std::filesystem::path(".") : self.parent_path();
}

// Those of an installation, or else of the tree that this was built from.
std::string shipped_orders() {
  const auto folder = own_folder();
  std::error_code failed;
  for (const auto& place : {folder / "orders.jsonl", folder / "../share/courier/demo/orders.jsonl"}) {
    if (std::filesystem::exists(place, failed)) return place.lexically_normal().string();
  }
  return COURIER_DEMO_ORDERS;
}

// One descriptor a phone here, and one in courierd, which inherits the limit.
bool enough_descriptors(int phones) {
  rlimit limit{};
  const rlim_t needed = static_cast<rlim_t>(phones) + kDescriptorsSpare;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return true;
  limit.rlim_cur = std::min(limit.rlim_max, std::max(needed, limit.rlim_max));
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed;
}

// What there is to complain about the connections of a cluster's nodes, once one of them has been killed.
std::vector<std::string> faults_of_nodes(const demo::Connections& connections, const demo::Broker& broker) {
  std::vector<std::string> faults;
  const std::string& victim = broker.nodes()[broker.victim()].name;
  if (connections.nodes()[broker.victim()].at_kill == 0) {
    faults.push_back(fmt::format("{} had no phone when it was killed; this proves nothing", victim));
  }
  if (connections.awaited() > 0) {
    faults.push_back(fmt::format("{} phones of {} did not come back", connections.awaited(), victim));
  }
  for (size_t i = 0; i < broker.nodes().size(); ++i) {
    const uint64_t dropped = connections.nodes()[i].dropped;
    if (dropped == 0) continue;
    faults.push_back(fmt::format("{} lost {} connections of phones, though it was {} that was killed",
                                 broker.nodes()[i].name, demo::grouped(dropped), victim));
  }
  return faults;
}

// The last word: "Nothing was lost.", or what was. True when all is well.
bool judge(const demo::MainJob& job, const demo::Broker& broker, const std::optional<std::string>& failure,
           bool stopped_well) {
  bool well = true;
  const auto complain = [&](const std::string& text) {
    note("demo", text);
    well = false;
  };
  const demo::Ledger& ledger = job.ledger();
  const bool cluster = broker.nodes().size() > 1;
  if (failure) complain(*failure);
  if (cluster && job.crash()) {
    for (const std::string& fault : faults_of_nodes(job.connections(), broker)) complain(fault);
  }
  if (const uint64_t lost = ledger.lost(); lost > 0) {
    complain(fmt::format("{} lost or still missing:", demo::grouped(lost)));
    for (const std::string& id : ledger.lost_ids(kLostShown)) fmt::print(stderr, "  {}\n", id);
    if (lost > kLostShown) fmt::print(stderr, "  … and {} more\n", demo::grouped(lost - kLostShown));
  }
  if (ledger.counts().strays > 0) complain("messages came to phones that they were not for");
  if (!failure && !job.crash()) complain("courierd was not killed; this proves nothing");
  if (!failure && !stopped_well) complain("courierd did not stop in good order when it was asked to");
  if (!well) return false;
  fmt::print("\n  Nothing was lost.\n");
  if (cluster) {
    fmt::print(
        "  Only the phones of {} had to connect again, and all were back at other nodes within {} ms.\n",
        broker.nodes()[broker.victim()].name, job.connections().last_came_back() / kNsPerMs + 1);
  }
  return true;
}

enum class Outcome : uint8_t { well, failed, interrupted };

// `stop` ends the broker when all is done; false when it did not go in good order.
Outcome play(const DemoFlags& flags, const demo::Orders& orders, demo::Broker& broker,
             const std::function<bool()>& stop) {
  auto loop = client::ClientLoop::open(flags.seed);
  if (!loop) {
    note("demo", loop.error().message);
    return Outcome::failed;
  }
  demo::LiveLine line(STDERR_FILENO);
  line.event(fmt::format("{} orders for {} merchants, {} phones, {} orders a second",
                         demo::grouped(orders.orders.size()), demo::grouped(orders.merchants.size()),
                         demo::grouped(static_cast<uint64_t>(flags.phones)),
                         demo::grouped(static_cast<uint64_t>(flags.rate))));
  const demo::JobSettings settings{.phones = static_cast<size_t>(flags.phones),
                                   .rate = static_cast<double>(flags.rate),
                                   .seed = flags.seed};
  demo::MainJob job(**loop, settings, orders, broker, line);
  const auto failure = job.run();
  line.clear();
  if (job.interrupted()) return Outcome::interrupted;
  const bool stopped_well = !failure && stop();
  if (job.ledger().counts().published > 0) {
    fmt::print("{}", broker.nodes().size() > 1
                         ? demo::cluster_table(job.ledger(), job.crash(), job.flaps(), job.connections(),
                                               broker.nodes(), broker.victim())
                         : demo::table(job.ledger(), job.crash(), job.flaps()));
  }
  std::fflush(stdout);
  const bool well = judge(job, broker, failure, stopped_well);
  std::fflush(stdout);
  return well ? Outcome::well : Outcome::failed;
}

int play_alone(const DemoFlags& flags, const demo::Orders& orders) {
  auto broker = demo::BrokerProcess::prepare(flags.courierd.empty() ? (own_folder() / "courierd").string()
                                                                    : flags.courierd);
  if (!broker) return failure("demo", broker.error());
  if (flags.keep) broker->keep();
  const Outcome outcome = play(flags, orders, *broker, [&] { return broker->stop(); });
  if (outcome == Outcome::interrupted) {
    note("demo", flags.keep ? "interrupted; data and log are kept in " + broker->directory()
                            : "interrupted; courierd is stopped and its data are removed");
    return kFailure;
  }
  if (outcome == Outcome::failed) {
    broker->keep();
    if (const std::string words = broker->last_words(); !words.empty()) {
      fmt::print(stderr, "courierd's last words:\n{}", words);
    }
  }
  if (outcome == Outcome::failed || flags.keep)
    note("demo", "data and log are kept in " + broker->directory());
  return outcome == Outcome::well ? kOk : kFailure;
}

int play_in_cluster(const DemoFlags& flags, const demo::Orders& orders) {
  auto cluster = demo::RunningCluster::of(flags.nodes, flags.kill);
  if (!cluster) {
    note("demo", cluster.error().message);
    return kUsage;
  }
  const Outcome outcome = play(flags, orders, *cluster, [] { return true; });
  if (outcome == Outcome::interrupted) note("demo", "interrupted");
  return outcome == Outcome::well ? kOk : kFailure;
}

int demonstrate(const DemoFlags& flags) {
  const auto orders = demo::read_orders(flags.orders.empty() ? shipped_orders() : flags.orders);
  if (!orders) {
    note("demo", orders.error().message);
    return kUsage;
  }
  if (!enough_descriptors(flags.phones)) {
    note("demo",
         fmt::format("{} phones need more open files than this system allows (ulimit -n)", flags.phones));
    return kFailure;
  }
  return flags.nodes.empty() ? play_alone(flags, *orders) : play_in_cluster(flags, *orders);
}

}  // namespace

Run set_up_demo(CLI::App& app) {
  auto flags = std::make_shared<DemoFlags>();
  app.set_help_flag("--help,-h", "Show this help and exit");
  app.add_option(
         "--orders", flags->orders,
         "JSON lines, an order each, with an \"id\" and a \"merchant\" that has an \"id\" (default: 4,000 "
         "that come with the demo)")
      ->type_name("FILE");
  app.add_option("--phones", flags->phones, "How many phones, 1 to 10000 (default 200)")
      ->check(between(1, 10'000))
      ->type_name("N");
  app.add_option("--rate", flags->rate, "Orders a second, 1 to 100000 (default 250)")
      ->check(between(1, 100'000))
      ->type_name("N");
  app.add_option("--seed", flags->seed, "Of when phones come and go (default 1)")->type_name("N");
  auto* courierd = app.add_option("--courierd", flags->courierd,
                                  "The broker's program (default: the one beside this program)")
                       ->type_name("PATH");
  auto* keep = app.add_flag("--keep", flags->keep, "Keep the temporary directory: configuration, data, log");
  auto* nodes =
      app.add_option("--node", flags->nodes, "A node of a cluster that runs; once for each, two or more")
          ->type_name("NAME=HOST:PORT")
          ->excludes(courierd)
          ->excludes(keep);
  auto* kill =
      app.add_option("--kill", flags->kill, "The --node that is killed, and the id of its process here")
          ->type_name("NAME=PID")
          ->needs(nodes);
  nodes->needs(kill);
  app.footer(
      "A backend publishes orders with QoS 1, phones that come and go show them and answer, and midway\n"
      "courierd is killed with SIGKILL and started again on its data. It uses a courierd of its own, ports\n"
      "that are free, and a temporary directory.\n\n"
      "With --node it uses a cluster that runs: phones are spread over the nodes, one node is killed, and\n"
      "its phones go to the others. `tools/demo --cluster` starts such a cluster, plays this on it, and\n"
      "takes it away.\n\n"
      "The live line counts orders that courierd acknowledged to the backend (sent), that phones showed\n"
      "(delivered), and whose answers reached the backend (acked). The table at the end goes to stdout.\n\n"
      "Examples:\n"
      "  courier demo\n"
      "  courier demo --orders mine.jsonl --phones 500 --rate 1000\n"
      "  courier demo --node n1=127.0.0.1:18811 --node n2=127.0.0.1:18821 --kill n2=4711\n\n"
      "Exit codes: 0 nothing was lost, and no node dropped connections but the one that was killed;\n"
      "1 it was not so, or the demo could not run; 2 usage or a bad orders file.");
  return [flags] { return demonstrate(*flags); };
}

}  // namespace courier::cli
