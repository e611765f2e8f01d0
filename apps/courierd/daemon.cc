#include "daemon.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "admin/errc.h"
#include "admin/node_control.h"
#include "admission/bans.h"
#include "admission/flapping.h"
#include "assembly.h"
#include "auth/acl/rules.h"
#include "auth/replaceable.h"
#include "auth/replaceable_hooks.h"
#include "base/log.h"
#include "broker/node.h"
#include "cluster_node.h"
#include "config/credentials.h"
#include "config/load.h"
#include "config/machine.h"
#include "config/schema.h"
#include "exit_code.h"
#include "gateway/gateway.h"
#include "net/open_files.h"
#include "process.h"
#include "reload.h"
#include "reload_parts.h"
#include "sinks.h"
#include "store/errc.h"
#include "store/rocksdb/rocks_store.h"
#include "systemd.h"
#include "transports.h"

namespace courier::courierd {

namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kTick = 100ms;        // Node::housekeeping() wants about ten a second
constexpr auto kMemoryTrimmed = 1s;  // at most so often, while it is past its ceiling
constexpr auto kDrainStep = 20ms;
constexpr size_t kDrainAtOnce = 500;  // per shard and step, however long there is time
constexpr int kCopiesMax = 3;         // of other nodes' states in a row that the log left behind meanwhile
constexpr auto kStallMax = 1s;        // that a drain waits for a disk which takes no writes
constexpr auto kSinksWaitedFor = 2s;  // at a stop
constexpr auto kLastWordsMax = 1s;    // for peers to read the DISCONNECT and hang up

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  if (!(file >> pages >> resident)) return 0;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// A store that another attempt will find no better is told apart from one that is only out of reach.
ExitCode exit_code_of(const Error& error) {
  const std::error_code code = error.code;
  for (const store::errc passing : {store::errc::in_use, store::errc::disk_full, store::errc::io,
                                    store::errc::unavailable, store::errc::not_a_store}) {
    if (code == store::make_error_code(passing)) return kCannotUseStore;
  }
  return kStoreDamaged;
}

// Settings that do not fit the cluster's own need a person; all else may be better at the next attempt.
ExitCode exit_code_of_cluster(const Error& error) {
  using cluster::etcd::errc;
  for (const errc settings :
       {errc::bad_options, errc::other_cluster, errc::newer_format, errc::unsupported}) {
    if (error.code == make_error_code(settings)) return kUsage;
  }
  return kCannotJoin;
}

class Daemon {
 public:
  Daemon(const CommandLine& command_line, config::Settings settings, const Adapters& adapters)
      : command_line_(command_line),
        adapters_(adapters),
        settings_(std::move(settings)),
        limits_(limits_of(settings_)),
        systemd_(Systemd::from_environment()) {}

  int run();

 private:
  // Nothing, or the exit code after it was said why.
  std::optional<ExitCode> start();
  // Until it is told to stop; false when the cluster took this node for dead.
  bool serve();
  void stop();
  void abandon();
  void take_apart();
  store::OrderedLog& log() { return cluster_ ? cluster_->log() : store_->log(); }
  const Clock& clock() const {
    if (cluster_) return cluster_clock_;
    return system_clock();
  }
  ExitCode refuse(ExitCode code, const std::string& why) const;
  std::optional<ExitCode> find_cluster();
  std::optional<ExitCode> open_store();
  std::optional<ExitCode> join_cluster();
  std::function<bool()> while_not_stopped();
  std::optional<ExitCode> replace_store(const std::string& why);
  std::optional<ExitCode> start_admin();
  std::optional<ExitCode> recover();
  void tick();
  Result<admin::ReloadFacts> reload();
  void hang_up();
  void ask(std::function<void()> task);  // any thread; it runs on the main thread
  void do_what_was_asked();
  admin::DrainFacts drain(const std::optional<admin::DrainOrder>& order);
  std::vector<std::string> other_servers() const;
  void let_clients_go(Steady::time_point now);
  std::vector<admin::ListenerFacts> listeners() const;  // any thread
  void describe_listeners(const config::Settings& settings, const std::vector<Transports::Door>& doors);
  void tell(const config::Settings& settings, const std::vector<Transports::Door>& doors);
  void look_at_bans();
  void look_at_memory(Steady::time_point now);
  void drain_connections();
  // Whether `condition` became true in time; signals are heard meanwhile.
  template <typename Condition>
  bool wait(milliseconds limit, Condition condition);
  template <typename Condition>
  bool wait_for_disk(Condition condition);
  void tell_the_last();
  void say_what_is_left();

  const CommandLine& command_line_;
  const Adapters& adapters_;
  config::Settings settings_;
  broker::Limits limits_;
  Systemd systemd_;
  uint64_t open_files_ = 0;
  Registry registry_;
  Gauge* memory_ = nullptr;
  // In the order in which they are made; they go in the reverse order.
  std::unique_ptr<store::RocksStore> store_;
  cluster::ClusterClock cluster_clock_{system_clock()};
  std::unique_ptr<ClusterNode> cluster_;  // null: a node alone
  Transports transports_;
  std::map<std::string, Gauge*> certificate_ends_;  // by listener and file
  std::unique_ptr<admission::Bans> bans_;
  admission::Flapping flapping_;
  std::unique_ptr<auth::Replaceable> authenticator_;
  Authenticators authenticators_;
  std::unique_ptr<auth::ReplaceableHooks> hooks_;
  std::unique_ptr<auth::acl::Rules> rules_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<Sinks> sinks_;
  std::unique_ptr<broker::Node> node_;
  std::optional<Reload> reload_;
  std::unique_ptr<admin::NodeControl> control_;
  std::unique_ptr<admin::Server> admin_;              // none: [admin] bind is empty
  mutable std::mutex asked_mutex_;                    // what the REST side's thread asks of this one
  std::vector<std::function<void()>> asked_;          // guarded by asked_mutex_
  std::vector<admin::ListenerFacts> listener_facts_;  // guarded by asked_mutex_
  struct Drain {
    std::vector<std::string> servers;  // that the operator named
    double per_second = 0;
    double due = 0;  // connections that may be closed by now
    Steady::time_point at;
  };
  std::optional<Drain> drain_;  // told by the REST side
  broker::StartReport report_;
  milliseconds recovery_{};
  Steady::time_point memory_trimmed_{}, watchdog_fed_{};
  bool past_ceiling_ = false;
  std::atomic<bool> saving_bans_{false};
  bool hurry_ = false;  // a second SIGTERM
  std::optional<Deadline> deadline_;
};

ExitCode Daemon::refuse(ExitCode code, const std::string& why) const {
  fmt::print(stderr, "courierd: cannot start: {}\n", why);
  if (!settings_.log.file.empty()) log::error("cannot start", {{"error", why}, {"exit_code", int{code}}});
  return code;
}

int Daemon::run() {
  if (const auto code = start()) {
    if (cluster_) cluster_->stop_log();
    if (gateway_) gateway_->stop();
    if (cluster_) cluster_->stop_mesh();
    return *code;
  }
  if (!serve()) {
    abandon();
    return kLeftCluster;
  }
  stop();
  return kStopped;
}

std::optional<ExitCode> Daemon::start() {
  if (auto configured = log::configure(log_options_of(settings_)); !configured) {
    fmt::print(stderr, "courierd: cannot start: {}\n", configured.error().message);
    return kUsage;
  }
  auto listeners = listeners_of(settings_);
  if (!listeners) return refuse(kUsage, listeners.error().message);
  open_files_ = net::raise_open_files();
  // Before the recovery, which may take seconds: a taken port is a matter of a moment.
  for (const gateway::ListenerOptions& listener : *listeners) {
    if (auto free = gateway::Listener::probe(listener.bind); !free) {
      return refuse(kCannotListen, free.error().within("listener \"" + listener.name + "\"").message);
    }
  }
  auto doors = transports_.load(settings_.listeners, system_clock().wall_ms());
  if (!doors) return refuse(kUsage, doors.error().message);
  for (size_t i = 0; i < listeners->size(); ++i) (*listeners)[i].transport = (*doors)[i].transport;
  tell(settings_, *doors);
  if (const auto code = find_cluster()) return code;
  if (const auto code = open_store()) return code;
  if (const auto code = join_cluster()) return code;
  auto bans = admission::Bans::open(settings_.data_dir + "/bans", system_clock(), registry_);
  if (!bans) return refuse(kCannotUseStore, bans.error().message);
  bans_ = *std::move(bans);
  flapping_.use(flapping_of(settings_));
  auto authenticators = authenticators_of(settings_, registry_);
  if (!authenticators) return refuse(kUsage, authenticators.error().message);
  authenticators_ = *std::move(authenticators);
  authenticator_ = std::make_unique<auth::Replaceable>(std::move(authenticators_.chain));
  hooks_ = std::make_unique<auth::ReplaceableHooks>(authenticators_.webhooks);
  auto rules = auth::acl::Rules::open(settings_.auth.acl_file);
  if (!rules) return refuse(kUsage, rules.error().message);
  rules_ = *std::move(rules);
  gateway::GatewayOptions gateway_options = gateway_options_of(settings_);
  gateway_options.bans = bans_.get();
  auto gateway = gateway::Gateway::open(gateway_options, clock(), registry_);
  if (!gateway) return refuse(kFailed, gateway.error().message);
  gateway_ = *std::move(gateway);
  if (const auto code = recover()) return code;
  if (auto listening = gateway_->listen(*std::move(listeners)); !listening) {
    return refuse(kCannotListen, listening.error().message);
  }
  describe_listeners(settings_, *doors);
  reload_ = reload_of(
      {.registry = registry_,
       .transports = transports_,
       .gateway = *gateway_,
       .node = *node_,
       .authenticator = *authenticator_,
       .authenticators = authenticators_,
       .rules = *rules_,
       .hooks = *hooks_,
       .flapping = flapping_,
       .admin = admin_,
       .tell = [this](const config::Settings& settings, const std::vector<Transports::Door>& served) {
         tell(settings, served);
         describe_listeners(settings, served);
       }});

  registry_.gauge("courier_build_info", "Always 1; the labels say what runs.", {{"version", COURIER_VERSION}})
      .set(1);
  memory_ = &registry_.gauge("process_resident_memory_bytes", "Memory that is resident.");
  registry_.counter_callback(
      "process_cpu_seconds_total", "CPU time of all threads, user and system.", {}, [] {
        timespec spent{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
        return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
      });
  std::vector<std::string> addresses;
  for (size_t i = 0; i < settings_.listeners.size(); ++i) {
    addresses.push_back(settings_.listeners[i].name + "=" + gateway_->addresses()[i].to_string());
  }
  const std::string where = fmt::format("{}", fmt::join(addresses, " "));
  log::info("courierd is ready", {{"version", COURIER_VERSION},
                                  {"listeners", where},
                                  {"admin", admin_ ? admin_->address() : "off"},
                                  {"sessions", report_.sessions},
                                  {"subscriptions", report_.subscriptions},
                                  {"retained", report_.retained},
                                  {"records_replayed", report_.replayed_records},
                                  {"recovery_ms", recovery_.count()},
                                  {"threads", gateway_->threads()},
                                  {"memory_max", limits_.memory_bytes_max},
                                  {"open_files_max", open_files_},
                                  {"pid", ::getpid()}});
  systemd_.ready("listening on " + where);
  return std::nullopt;
}

std::optional<ExitCode> Daemon::find_cluster() {
  if (settings_.cluster.name.empty()) return std::nullopt;
  auto cluster = ClusterNode::open(settings_, cluster_clock_, registry_);
  if (!cluster) return refuse(exit_code_of_cluster(cluster.error()), cluster.error().message);
  cluster_ = *std::move(cluster);
  return std::nullopt;
}

// With the lease from here on: what follows must not take longer than others wait for this node.
std::optional<ExitCode> Daemon::join_cluster() {
  if (!cluster_) return std::nullopt;
  if (auto joined = cluster_->join(settings_, config::threads(settings_), while_not_stopped()); !joined) {
    if (hurry_) return kStopped;
    return refuse(exit_code_of_cluster(joined.error()), joined.error().message);
  }
  for (int copies = 0;; ++copies) {
    const auto opened = cluster_->open_log(settings_, store_->state());
    if (opened) return std::nullopt;
    const bool too_old = opened.error().code == make_error_code(cluster::etcd::errc::snapshot_needed);
    if (!too_old || copies == kCopiesMax)
      return refuse(exit_code_of_cluster(opened.error()), opened.error().message);
    if (const auto code = replace_store(opened.error().message)) return code;
  }
}

// For what waits for others: hears signals, and has systemd wait, too.
std::function<bool()> Daemon::while_not_stopped() {
  return [this, extended = Steady::time_point()]() mutable {
    if (Steady::now() - extended >= 1min) {
      extended = Steady::now();
      systemd_.extend_start(10min);
    }
    if (next_signal(0ms) == Signal::stop) hurry_ = true;
    return !hurry_;
  };
}

// Exchanges what the store holds for another node's copy.
std::optional<ExitCode> Daemon::replace_store(const std::string& why) {
  log::warn("the log does not reach back to this node's state: another node is asked for its own",
            {{"reason", why}});
  if (const auto fetched = cluster_->fetch_state(settings_, while_not_stopped()); !fetched) {
    if (hurry_) return kStopped;
    if (const auto lost = cluster_->lost()) return refuse(kCannotJoin, *lost);
    const bool disk = fetched.error().code.category() == store::category();
    return refuse(disk ? kCannotUseStore : kCannotJoin, fetched.error().message);
  }
  store_.reset();
  return open_store();
}

std::optional<ExitCode> Daemon::open_store() {
  store::RocksStore::Options options{.data_dir = settings_.data_dir,
                                     .cache_bytes = settings_.store.cache_bytes};
  if (cluster_) options.log_id = cluster_->log_id();
  if (adapters_.file_system) options.file_system = adapters_.file_system(settings_.data_dir);
  auto store = store::RocksStore::open(std::move(options));
  if (!store) return refuse(exit_code_of(store.error()), store.error().message);
  store_ = *std::move(store);
  for (const std::string& notice : store_->notices()) log::warn("store", {{"notice", notice}});
  return std::nullopt;
}

std::optional<ExitCode> Daemon::recover() {
  const Steady::time_point began = Steady::now();
  // Recovery of a large log may take longer than systemd's patience for a start.
  systemd_.extend_start(10min);
  std::random_device random;
  const uint64_t seed = (uint64_t{random()} << 32) | random();
  broker::NodeOptions options = node_options_of(settings_, seed);
  options.bans = bans_.get();
  options.flapping = &flapping_;
  if (cluster_) {
    options.cluster = &cluster_->roster();
    options.peers = cluster_.get();
    options.machine_clock = &system_clock();
    options.on_replayed = [this](WallMs newest) { cluster_->log_was_read(newest); };
  }
  auto sinks = Sinks::open(settings_, store_->state(), registry_);
  if (!sinks) return refuse(kUsage, sinks.error().message);
  sinks_ = *std::move(sinks);
  options.outbox = &sinks_->outbox();
  node_ = std::make_unique<broker::Node>(options, limits_, log(), store_->state(), clock(), *gateway_,
                                         *authenticator_, *rules_, registry_, hooks_.get());
  auto limits = limit_rules_of(settings_);
  if (!limits) return refuse(kUsage, limits.error().message);
  if (auto in_force = node_->quota().exchange(*std::move(limits)); !in_force) {
    return refuse(kUsage, in_force.error().message);
  }
  sinks_->use(*node_, rules_->labels());
  if (const auto code = start_admin()) return code;
  auto report = node_->start();
  if (!report) {
    const bool log = report.error().code.category() == cluster::etcd::category();
    return refuse(log ? exit_code_of_cluster(report.error()) : exit_code_of(report.error()),
                  report.error().message);
  }
  report_ = *report;
  gateway_->start([this](uint32_t i) -> broker::Shard& { return node_->shard(i); });
  if (cluster_) cluster_->start(*node_);
  sinks_->start();
  // The end of the previous run must be in the log before anybody new comes.
  while (!wait(1s, [this] { return node_->ready(); })) {
    if (hurry_) break;
    if (const auto lost = cluster_ ? cluster_->lost() : std::nullopt) return refuse(kCannotJoin, *lost);
    const store::LogState state = node_->log_state();
    log::warn("waiting for the log", {{"accepting", state.accepting}, {"reason", state.reason}});
  }
  if (cluster_) cluster_->give_state(store_->state(), settings_.data_dir);
  ::malloc_trim(0);  // what reading the tables took for a moment
  recovery_ = std::chrono::duration_cast<milliseconds>(Steady::now() - began);
  return std::nullopt;
}

// Before the recovery, so that /livez and /readyz can tell a node that recovers from one that is gone.
std::optional<ExitCode> Daemon::start_admin() {
  if (settings_.admin.bind.empty()) return std::nullopt;
  control_ = std::make_unique<admin::NodeControl>(admin::NodeControl::Parts{
      .node = *node_,
      .post = *gateway_,
      .log = log(),
      .state = store_->state(),
      .clock = clock(),
      .registry = registry_,
      .version = COURIER_VERSION,
      .bans = bans_.get(),
      .listeners = [this] { return listeners(); },
      .outbox = &sinks_->outbox(),
      .sinks = [this] { return sinks_->facts(); },
      .test_sink = [this](const auto& name, auto kind,
                          auto done) { sinks_->test(name, kind, std::move(done)); },
      .replay_sink = [this](const auto& name) { return sinks_->replay(name); },
      .cluster = cluster_ ? [this] { return cluster_->facts(); } : std::function<admin::ClusterFacts()>(),
      .reload = [this](auto done) { ask([this, done = std::move(done)] { done(reload()); }); },
      .drain =
          [this](auto order, auto done) {
            ask([this, order = std::move(order), done = std::move(done)] { done(drain(order)); });
          }});
  auto server = admin::Server::start(admin_options_of(settings_), *control_, registry_);
  if (!server) {
    const bool address = server.error().code == admin::make_error_code(admin::errc::listen);
    return refuse(address ? kCannotListen : kUsage, server.error().message);
  }
  admin_ = *std::move(server);
  return std::nullopt;
}

bool Daemon::serve() {
  while (!hurry_) {
    if (cluster_) cluster_->listen_for_etcd(system_clock().mono_ns());
    if (cluster_ && cluster_->lost()) return false;
    switch (next_signal(kTick)) {
      case Signal::stop:
        return true;
      case Signal::hang_up:
        hang_up();
        break;
      case Signal::none:
        tick();
        break;
    }
  }
  return true;
}

void Daemon::tick() {
  if (cluster_) cluster_clock_.follow();
  node_->housekeeping();
  sinks_->look(*node_);
  look_at_bans();
  authenticator_->sweep();
  hooks_->sweep();
  do_what_was_asked();
  const Steady::time_point now = Steady::now();
  let_clients_go(now);
  look_at_memory(now);
  if (systemd_.watchdog() && now - watchdog_fed_ >= *systemd_.watchdog() / 2) {
    watchdog_fed_ = now;
    // A thread that is stuck starves its phones: then systemd is to restart us.
    if (gateway_->all_alive()) systemd_.alive();
  }
}

Result<admin::ReloadFacts> Daemon::reload() {
  const auto file =
      command_line_.config_file.empty() ? std::nullopt : std::optional(command_line_.config_file);
  auto wanted = config::load(file, command_line_.overrides, config::environment());
  auto credentials = wanted ? config::resolve_credentials(*wanted, ::getenv("CREDENTIALS_DIRECTORY"))
                            : Result<void>(fail(std::move(wanted).error()));
  auto done = credentials ? reload_->run(settings_, *wanted) : fail(std::move(credentials).error());
  if (!done) {
    log::error("reload: nothing was taken over", {{"error", done.error().message}});
    return fail(admin::errc::settings, done.error().message);
  }
  limits_ = limits_of(settings_);
  log::info("settings read again",
            {{"applied", fmt::format("{}", fmt::join(done->applied, " "))},
             {"need_a_restart", fmt::format("{}", fmt::join(done->need_restart, " "))}});
  return admin::ReloadFacts{done->applied, done->need_restart, done->read};
}

void Daemon::hang_up() {
  if (auto reopened = log::reopen(); !reopened) log::error("SIGHUP", {{"error", reopened.error().message}});
  static_cast<void>(reload());  // it has said what is wrong
  log::info("SIGHUP: log file opened anew");
}

void Daemon::ask(std::function<void()> task) {
  const std::lock_guard lock(asked_mutex_);
  asked_.push_back(std::move(task));
}

void Daemon::do_what_was_asked() {
  std::vector<std::function<void()>> asked;
  {
    const std::lock_guard lock(asked_mutex_);
    asked.swap(asked_);
  }
  for (const auto& task : asked) task();
}

admin::DrainFacts Daemon::drain(const std::optional<admin::DrainOrder>& order) {
  if (cluster_) cluster_->set_draining(order.has_value());
  if (!order) {
    drain_.reset();
    node_->undrain();
    log::info("the node takes clients again", {});
    return {false, gateway_->connections(), {}};
  }
  drain_ = {.servers = order->servers,
            .per_second = static_cast<double>(order->connections_per_second),
            .at = Steady::now()};
  const admin::DrainFacts facts{true, gateway_->connections(), other_servers()};
  node_->drain(facts.servers);
  log::info("the node takes no clients and lets go of those it has",
            {{"connections", facts.connections},
             {"connections_per_second", order->connections_per_second},
             {"servers", fmt::format("{}", fmt::join(facts.servers, " "))}});
  return facts;
}

// Where clients may go: as the operator said, or to the nodes that are there now.
std::vector<std::string> Daemon::other_servers() const {
  if (drain_ && !drain_->servers.empty()) return drain_->servers;
  return cluster_ ? cluster_->others_for_clients() : std::vector<std::string>();
}

void Daemon::let_clients_go(Steady::time_point now) {
  if (!drain_) return;
  node_->drain(other_servers());
  drain_->due += drain_->per_second * std::chrono::duration<double>(now - drain_->at).count();
  drain_->at = now;
  const auto count = static_cast<int64_t>(drain_->due);
  if (count == 0) return;
  drain_->due -= static_cast<double>(count);
  std::atomic<int64_t> budget{count};
  gateway_->on_every_thread([&](broker::Shard& shard) {
    while (shard.drain(0) > 0 && budget.fetch_sub(1) > 0) shard.drain(1);
  });
}

std::vector<admin::ListenerFacts> Daemon::listeners() const {
  const std::lock_guard lock(asked_mutex_);
  std::vector<admin::ListenerFacts> facts = listener_facts_;
  for (size_t i = 0; i < facts.size(); ++i) facts[i].connections = gateway_->connections(i);
  return facts;
}

void Daemon::describe_listeners(const config::Settings& settings,
                                const std::vector<Transports::Door>& doors) {
  std::vector<admin::ListenerFacts> all;
  const config::Section& section = *config::find_section("listener");
  for (size_t i = 0; i < settings.listeners.size(); ++i) {
    const config::Listener& from = settings.listeners[i];
    admin::ListenerFacts facts;
    facts.name = from.name;
    facts.bind = gateway_->addresses()[i].to_string();
    facts.protocol = config::value_text(*section.find("protocol"), &from);
    facts.proxy_protocol = config::value_text(*section.find("proxy_protocol"), &from);
    facts.mountpoint = from.mountpoint;
    facts.connections_max = from.connections_max;
    for (const net::tls::CertificateDescription& one : doors[i].certificates) {
      facts.certificates.push_back({one.file, one.subject, one.names, one.not_after});
    }
    all.push_back(std::move(facts));
  }
  const std::lock_guard lock(asked_mutex_);
  listener_facts_ = std::move(all);
}

// The certificates that are served, in the log and as metrics.
void Daemon::tell(const config::Settings& settings, const std::vector<Transports::Door>& doors) {
  for (size_t i = 0; i < doors.size(); ++i) {
    const std::string& name = settings.listeners[i].name;
    for (const std::string& warning : doors[i].warnings) {
      log::warn("TLS", {{"listener", name}, {"warning", warning}});
    }
    for (const net::tls::CertificateDescription& certificate : doors[i].certificates) {
      Gauge*& ends = certificate_ends_[name + "\n" + certificate.file];
      if (!ends) {
        ends = &registry_.gauge("courier_tls_certificate_not_after_seconds",
                                "When a listener's certificate ends, in seconds since 1970.",
                                {{"listener", name}, {"file", certificate.file}});
      }
      ends->set(certificate.not_after / 1000);
      log::info("TLS certificate", {{"listener", name},
                                    {"file", certificate.file},
                                    {"subject", certificate.subject},
                                    {"names", fmt::format("{}", fmt::join(certificate.names, " "))},
                                    {"key", certificate.key},
                                    {"fingerprint", certificate.fingerprint},
                                    {"not_after_ms", certificate.not_after}});
    }
  }
}

template <typename Condition>
bool Daemon::wait(milliseconds limit, Condition condition) {
  const Steady::time_point until = Steady::now() + limit;
  while (!condition()) {
    if (Steady::now() >= until || hurry_) return false;
    if (next_signal(5ms) == Signal::stop) hurry_ = true;
  }
  return true;
}

// What the broker bans by itself is kept like what people ban, only not before they hear of it.
void Daemon::look_at_bans() {
  bans_->purge();
  if (!bans_->unsaved() || saving_bans_.exchange(true)) return;
  gateway_->run_on_worker([this] {
    if (const auto saved = bans_->save(); !saved) {
      static log::Limit limit{{.per_second = 1, .burst = 1}};
      log::error(limit, "bans are not on disk; a restart would forget them",
                 {{"error", saved.error().message}});
    }
    saving_bans_ = false;
  });
}

// What was freed is often still resident, kept by malloc for later: past the ceiling it is given back, or new
// work would be refused for ever.
void Daemon::look_at_memory(Steady::time_point now) {
  const auto ceiling = static_cast<int64_t>(limits_.memory_bytes_max);
  int64_t bytes = resident_bytes();
  if (ceiling != 0 && bytes > ceiling && now - memory_trimmed_ >= kMemoryTrimmed) {
    memory_trimmed_ = now;
    ::malloc_trim(0);
    bytes = resident_bytes();
  }
  node_->set_memory(bytes);
  memory_->set(bytes);
  const bool past = ceiling != 0 && bytes > ceiling;
  if (past == past_ceiling_) return;
  past_ceiling_ = past;
  static log::Limit limit{{.per_second = 1}};
  if (past) {
    log::warn(limit, "memory is past its ceiling; new work is refused",
              {{"bytes", bytes}, {"ceiling", ceiling}});
  } else {
    log::warn(limit, "memory is below its ceiling again", {{"bytes", bytes}, {"ceiling", ceiling}});
  }
}

// Paced, so that those who are sent away do not all knock at the next node in the same moment.
void Daemon::drain_connections() {
  const size_t connections = gateway_->connections();
  const auto steps = static_cast<size_t>(std::max<int64_t>(settings_.drain_timeout / 2 / kDrainStep, 1));
  const size_t at_once = std::max(connections / gateway_->threads() / steps + 1, kDrainAtOnce);
  size_t left = gateway_->drain(hurry_ ? SIZE_MAX : at_once);
  while (left > 0) {
    if (next_signal(kDrainStep) == Signal::stop) hurry_ = true;
    left = gateway_->drain(hurry_ ? SIZE_MAX : at_once);
  }
}

// Whether `condition` became true, for as long as the disk takes writes, or nearly: one that does not will
// not in the next seconds either, and the next start goes on from the log.
template <typename Condition>
bool Daemon::wait_for_disk(Condition condition) {
  Steady::time_point last_good = Steady::now();
  const auto stalled = [&] {
    const Steady::time_point now = Steady::now();
    if (node_->log_state().accepting && !node_->checkpoint_failed()) last_good = now;
    return now - last_good >= kStallMax;
  };
  bool done = false;
  wait(settings_.drain_timeout, [&] { return (done = condition()) || stalled(); });
  return done;
}

// So that the next run has nothing to tell twice. What a sink is not told now, it is told then.
void Daemon::tell_the_last() {
  wait(kSinksWaitedFor, [this] { return sinks_->quiet(); });
  sinks_->stop();
  node_->say_what_was_told();
}

void Daemon::say_what_is_left() {
  std::atomic<size_t> batches{0}, answers{0};
  gateway_->on_every_thread([&](broker::Shard& shard) {
    const broker::Shard::Unfinished unfinished = shard.unfinished();
    batches += unfinished.batches;
    answers += unfinished.answers;
  });
  const store::LogState state = node_->log_state();
  log::warn("stopped before all was written: the disk takes no writes; nothing acknowledged is lost",
            {{"reason", state.accepting ? "a checkpoint could not be written" : state.reason},
             {"batches_left", batches.load()},
             {"unacknowledged", answers.load()}});
}

void Daemon::stop() {
  deadline_.emplace(std::max<milliseconds>(settings_.drain_timeout, 500ms));
  systemd_.stopping();
  const Steady::time_point began = Steady::now();
  const size_t connections = gateway_->connections();
  log::info("courierd stops", {{"connections", connections}});
  if (cluster_) cluster_->set_draining(true);
  node_->drain(other_servers());
  gateway_->stop_listening();
  drain_connections();
  // What is on its way through the log comes back, then all of it becomes state: the next start has less to
  // read.
  const auto quiet = [this] {
    std::atomic<bool> all{true};
    gateway_->on_every_thread([&](broker::Shard& shard) {
      if (!shard.quiet()) all = false;
    });
    return all.load();
  };
  bool written = wait_for_disk(quiet);
  tell_the_last();
  written = written && wait_for_disk([this] { return !node_->checkpoint_running(); });
  if (written) node_->checkpoint();
  if (const auto saved = bans_->save(); !saved) log::error("bans", {{"error", saved.error().message}});
  wait(kLastWordsMax, [this] { return gateway_->connections() == 0; });
  if (!written && !hurry_) say_what_is_left();
  log().stop();
  if (written) wait_for_disk([this] { return !node_->checkpoint_running(); });
  take_apart();
  log::info("courierd has stopped",
            {{"drain_ms", std::chrono::duration_cast<milliseconds>(Steady::now() - began).count()},
             {"connections", connections}});
}

// The others serve its clients by now: what this node says counts no more, and whoever still talks to it must
// learn that. Nothing that it acknowledged is lost.
void Daemon::abandon() {
  deadline_.emplace(std::max<milliseconds>(settings_.drain_timeout, 500ms));
  log::error("this node is no member of the cluster any more: it closes its sockets and ends",
             {{"reason", *cluster_->lost()},
              {"connections", gateway_->connections()},
              {"exit_code", int{kLeftCluster}}});
  gateway_->stop_listening();
  log().stop();
  take_apart();
}

void Daemon::take_apart() {
  admin_.reset();
  control_.reset();
  if (sinks_) sinks_->stop();
  gateway_->stop();
  if (cluster_) cluster_->stop_mesh();
  node_.reset();
  // Their workers may still answer, by way of the gateway and of the chain: it goes last, and they with it.
  hooks_.reset();
  authenticators_ = {};
  authenticator_.reset();
  gateway_.reset();
  // What is lost cannot be given back: to try only keeps the next run waiting.
  if (cluster_ && !cluster_->lost()) cluster_->leave();
  cluster_.reset();
  store_.reset();
}

}  // namespace

int run(const CommandLine& command_line, const config::Settings& settings, const Adapters& adapters) {
  int code = 0;
  {
    Daemon daemon(command_line, settings, adapters);
    code = daemon.run();
  }
  log::shutdown();
  return code;
}

}  // namespace courier::courierd
