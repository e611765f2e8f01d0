#include "sim.h"

#include <cstdio>

#include "base/sabotage.h"
#include "sim_client.h"

namespace courier::sim {

namespace {

using mqtt::Qos;
using mqtt::Version;

class Simulation {
 public:
  Simulation(uint64_t seed, bool verbose) : random_(seed), verbose_(verbose), world_(options(seed)) {
    cast();
  }

  Verdict run() {
    ledger_.verbose = verbose_;
    ledger_.drops = tight_ || stalls_;
    start();
    const int steps = 1500 + static_cast<int>(random_() % 1500);
    for (int i = 0; i < steps && verdict_.faults.empty(); ++i) turn();
    if (verdict_.faults.empty()) finish();
    return std::move(verdict_);
  }

 private:
  World::Options options(uint64_t seed) {
    World::Options options;
    options.seed = seed;
    options.shards = 1 + static_cast<uint32_t>(random_() % 3);
    tight_ = random_() % 4 == 0;
    stalls_ = random_() % 3 == 0;
    if (tight_) {
      options.limits.inbox_messages_max = 3 + static_cast<uint32_t>(random_() % 20);
      options.limits.inflight_max = 1 + static_cast<uint16_t>(random_() % 4);
    }
    return options;
  }

  void cast() {
    const Version versions[] = {Version::v3_1_1, Version::v5, Version::v5};
    const auto version = [&] { return versions[random_() % 3]; };
    const size_t publishers = 1 + random_() % 3;
    for (size_t i = 0; i < publishers; ++i) {
      SimClient::Role role;
      role.id = "pub" + std::to_string(i);
      role.version = version();
      role.stored = random_() % 4 != 0;
      role.will = random_() % 2 == 0;
      for (int t = 0; t < 2; ++t) role.topics.push_back("t/" + role.id + "/" + std::to_string(t));
      clients_.emplace_back(world_, ledger_, role);
    }
    const std::string filters[] = {"t/#", "t/pub0/+", "t/+/0", "t/pub0/1"};
    for (size_t i = 0; i < 3; ++i) {
      SimClient::Role role;
      role.id = "sub" + std::to_string(i);
      role.version = version();
      role.stored = i == 0 || random_() % 4 != 0;
      role.filters[i == 0 ? "t/#" : filters[random_() % 4]] = static_cast<Qos>(1 + random_() % 2);
      if (i == 0) role.filters["will/#"] = Qos::at_least_once;
      role.receive_maximum = 1 + static_cast<uint16_t>(random_() % 20);
      clients_.emplace_back(world_, ledger_, role);
    }
    if (random_() % 2 == 0) {
      const auto qos = static_cast<Qos>(1 + random_() % 2);
      for (int i = 0; i < 2; ++i) {
        SimClient::Role role;
        role.id = "share" + std::to_string(i);
        role.version = version();
        role.filters["$share/g/t/#"] = qos;
        clients_.emplace_back(world_, ledger_, role);
      }
    }
  }

  void start() {
    const auto report = world_.start();
    if (!report) verdict_.faults.push_back("the node did not start: " + report.error().message);
    while (report && !world_.node().ready()) world_.log().pump();
  }

  void crash() {
    ++verdict_.crashes;
    if (verbose_) std::printf("--- crash ---\n");
    dropped_ += drops();
    // What had been given to the log and was not known to be safe may be there after all, or not.
    const size_t waiting = world_.log().waiting();
    size_t kept = waiting == 0 ? 0 : random_() % (waiting + 1);
    for (SimClient& client : clients_) client.machine_stopped();
    world_.crash(kept, kept == 0 ? lost_state_writes() : 0);
    start();
  }

  size_t lost_state_writes() { return random_() % (world_.unsafe_state_writes() + 1); }

  uint64_t drops() {
    return static_cast<uint64_t>(
        world_.metrics().value("courier_messages_dropped_total", {{"reason", "inbox_full"}}).value_or(0));
  }

  void turn() {
    const auto chance = [&](uint64_t in) { return random_() % in == 0; };
    SimClient& client = clients_[random_() % clients_.size()];
    if (chance(400)) return crash();
    if (chance(150)) return world_.node().checkpoint();
    if (chance(200)) return world_.clock().advance(static_cast<int64_t>(random_() % 400));
    if (stalls_ && chance(world_.log().state().accepting ? 400 : 20)) return stall();
    if (client.may_connect() && chance(12)) {
      client.reset();
      return client.connect();
    }
    if (chance(300)) return client.reset();
    if (chance(400)) return client.disconnect();
    if (chance(6)) return client.publish(random_);
    if (chance(2)) {
      client.act(random_);
      return;
    }
    world_.step(random_);
  }

  void stall() {
    if (world_.log().state().accepting) {
      world_.log().stall("the simulated disk is full");
    } else {
      world_.log().unstall();
    }
  }

  // Everybody comes back and answers everything; then nothing may be missing.
  void finish() {
    if (!world_.log().state().accepting) world_.log().unstall();
    for (int round = 0; round < 3000 && verdict_.faults.empty(); ++round) {
      bool busy = false;
      for (SimClient& client : clients_) {
        if (client.may_connect() && round % 40 == 0) {
          client.reset();
          client.connect();
        }
        while (client.act(random_)) busy = true;
        busy |= !client.idle();
      }
      world_.settle();
      world_.clock().advance(100);
      if (round % 10 == 0) world_.node().checkpoint();
      world_.settle();
      for (SimClient& client : clients_) busy |= client.act(random_);
      if (!busy && round > 20) break;
      if (round == 2999) verdict_.faults.push_back("the node never came to rest");
    }
    check_retained();
    const double owed = world_.metrics().total("courier_queue_messages");
    if (owed != 0 && verdict_.faults.empty()) {
      verdict_.faults.push_back(std::to_string(owed) + " messages are owed though every client answered all");
    }
    for (std::string& fault : ledger_.judge(dropped_ + drops())) verdict_.faults.push_back(std::move(fault));
    verdict_.accepted = ledger_.accepted_count();
    verdict_.delivered = ledger_.delivered_count();
    if (verbose_) {
      std::printf("crashes %d, accepted %zu, delivered %zu\n", verdict_.crashes, verdict_.accepted,
                  verdict_.delivered);
    }
  }

  void check_retained() {
    const auto wire = world_.open(Version::v3_1_1);
    mqtt::Connect connect;
    connect.client_id = "judge";
    wire->send(connect);
    mqtt::Subscribe subscribe;
    subscribe.packet_id = PacketId(1);
    subscribe.entries.push_back({"t/#", {}});
    wire->send(subscribe);
    world_.settle();
    std::set<std::string> seen;
    while (const auto packet = wire->receive()) {
      const auto* publish = std::get_if<mqtt::Publish>(&*packet);
      if (!publish) continue;
      const std::string topic(publish->topic), payload(publish->payload);
      seen.insert(topic);
      if (!ledger_.may_be_retained(topic, payload)) {
        verdict_.faults.push_back("the retained message of " + topic + " is " + payload +
                                  ", an outdated one");
      }
    }
    for (const SimClient& client : clients_) {
      for (const std::string& topic : client.role().topics) {
        if (ledger_.must_have_retained(topic) && !seen.contains(topic)) {
          verdict_.faults.push_back("the retained message of " + topic + " is gone");
        }
      }
    }
  }

  std::mt19937_64 random_;
  const bool verbose_;
  bool tight_ = false, stalls_ = false;
  World world_;
  Ledger ledger_;
  std::deque<SimClient> clients_;
  Verdict verdict_;
  uint64_t dropped_ = 0;
};

}  // namespace

Verdict simulate(uint64_t seed, bool verbose) {
  return Simulation(seed, verbose).run();
}

}  // namespace courier::sim
