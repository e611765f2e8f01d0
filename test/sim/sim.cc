#include "sim.h"

#include <cstdio>

#include "audit.h"
#include "base/check.h"
#include "base/sabotage.h"
#include "cast.h"
#include "judge.h"
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
    ledger_.drops = tight_ || stalls_ || old_;
    start();
    const int steps = (deep_ ? 8000 : 1500) + static_cast<int>(random_() % 1500);
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
      options.limits.shared_inbox_messages_max = options.limits.inbox_messages_max;
      options.limits.inflight_max = 1 + static_cast<uint16_t>(random_() % 4);
      if (random_() % 4 == 0) options.limits.inbox_policy = broker::InboxPolicy::refuse;
    }
    mean_ = random_() % 2 == 0;
    deep_ = random_() % 24 == 0;
    timed_ = random_() % 3 == 0;
    jumps_ = !timed_ && random_() % 3 == 0;
    old_ = random_() % 4 == 0;
    failing_store_ = random_() % 4 == 0;
    disorderly_ = random_() % 4 == 0;
    options.limits.inflight_max = deep_ ? 3 : options.limits.inflight_max;
    narrow_ = random_() % 4 == 0;
    if (narrow_) options.limits.output_bytes_max = 100 + random_() % 400;
    if (random_() % 8 == 0) options.limits.uncommitted_bytes_max = 200 + random_() % 2000;
    limited_ = random_() % 4 == 0;
    options.hooks = seed % 4 == 1;
    options_ = options;
    return options;
  }

  void cast() {
    for (SimClient::Role& role : sim::cast(random_, {deep_, timed_, old_, disorderly_}))
      clients_.emplace_back(world_, ledger_, std::move(role));
  }

  void start() {
    world_.be_mean_if(mean_ ? &random_ : nullptr);
    const auto report = world_.start();
    if (!report) verdict_.faults.push_back("the node did not start: " + report.error().message);
    while (report && !world_.node().ready()) world_.log().pump();
    if (limited_) limit();
  }

  // Other limits, or none. They delay and refuse nothing: what is missing at the end is missing.
  void limit() {
    std::vector<quota::Rule> rules;
    for (uint64_t n = random_() % 3; n > 0; --n) {
      quota::Rule rule;
      rule.name = "limit" + std::to_string(n);
      rule.per = random_() % 2 == 0 ? quota::Per::all : quota::Per::identity;
      rule.messages = {1 + random_() % 20, 1 + random_() % 5};
      rule.connects = {1 + random_() % 5, 1 + random_() % 3};
      rule.connections_max = 1000;
      rule.inflight_max = 1 + static_cast<uint32_t>(random_() % 10);
      rule.delay_max_ns = 3600 * kNsPerSecond;
      rules.push_back(std::move(rule));
    }
    CHECK(world_.node().quota().exchange(std::move(rules)));
  }

  void crash() {
    ++verdict_.crashes;
    if (verbose_) std::printf("--- crash ---\n");
    dropped_ += drops();
    expired_ += expired();
    // What had been given to the log and was not known to be safe may be there after all, or not.
    const size_t waiting = world_.log().waiting();
    size_t kept = waiting == 0 ? 0 : random_() % (waiting + 1);
    for (SimClient& client : clients_) client.machine_stopped();
    world_.crash(kept, kept == 0 ? lost_state_writes() : 0);
    if (random_() % 8 == 0) check_state();
    start();
  }

  size_t lost_state_writes() { return random_() % (world_.unsafe_state_writes() + 1); }

  uint64_t drops() { return dropped("inbox_full"); }
  uint64_t expired() { return dropped("expired") + dropped("group_ended"); }
  uint64_t dropped(const std::string& reason) {
    return static_cast<uint64_t>(
        world_.metrics()
            .value("courier_messages_dropped_total", {{"reason", reason}, {"label", ""}})
            .value_or(0));
  }

  // Whatever was stored when, and however much of the log was replayed for it: the state is one.
  void check_state() {
    for (std::string& fault : audit(world_.image(), world_.whole_log(), options_)) {
      verdict_.faults.push_back(std::move(fault));
    }
  }

  void turn() {
    const auto chance = [&](uint64_t in) { return random_() % in == 0; };
    SimClient& client = clients_[random_() % clients_.size()];
    if (chance(400)) return crash();
    if (chance(150)) return world_.node().checkpoint();
    if (chance(200)) return world_.clock().advance(static_cast<int64_t>(random_() % 400));
    if (chance(100)) return world_.node().housekeeping();
    if (limited_ && chance(200)) return limit();
    if (limited_ && chance(50)) return world_.clock().advance(static_cast<int64_t>(random_() % 1'000));
    if (timed_ && chance(300)) return world_.clock().advance(static_cast<int64_t>(random_() % 60'000));
    if (old_ && chance(100)) return world_.clock().advance(static_cast<int64_t>(random_() % 5'000));
    if (jumps_ && chance(300)) {
      return world_.clock().jump(static_cast<int64_t>(random_() % 7'200'000) - 3'600'000);
    }
    if (failing_store_ && chance(200)) return fail_or_mend_store();
    if (chance(150)) return client.unsubscribe(random_);
    if (stalls_ && chance(world_.log().state().accepting ? 400 : 20)) return stall();
    if (client.may_connect() && chance(deep_ && client.role().topics.empty() ? 600 : 12)) {
      client.reset();
      return client.connect(random_);
    }
    if (chance(300)) return client.reset();
    if (chance(400)) return client.disconnect();
    if (chance(deep_ ? 3 : 6)) return client.publish(random_);
    if (chance(2)) {
      client.act(random_);
      return;
    }
    world_.step(random_);
  }

  void fail_or_mend_store() {
    if (!std::exchange(store_fails_, !store_fails_)) {
      world_.store().fail_writes(Error{std::make_error_code(std::errc::no_space_on_device), "simulated"});
    } else {
      world_.store().fail_writes({});
    }
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
    if (store_fails_) fail_or_mend_store();
    CHECK(world_.node().quota().exchange({}));
    for (SimClient& client : clients_) client.calm_down();
    for (int round = 0; round < 3000 && verdict_.faults.empty(); ++round) {
      bool busy = false;
      for (SimClient& client : clients_) {
        if (client.may_connect() && round % 40 == 0) {
          client.reset();
          client.connect(random_);
        }
        while (client.act(random_)) busy = true;
        busy |= !client.idle();
      }
      world_.settle();
      world_.clock().advance(100);
      if (round % 10 == 0) world_.node().checkpoint();
      world_.node().housekeeping();
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
    if (verdict_.faults.empty()) check_nothing_is_left();
    for (std::string& fault : ledger_.judge(dropped_ + drops(), expired_ + expired()))
      verdict_.faults.push_back(std::move(fault));
    verdict_.accepted = ledger_.accepted_count();
    verdict_.delivered = ledger_.delivered_count();
    if (verbose_) {
      std::printf("crashes %d, accepted %zu, delivered %zu, dropped %llu, expired %llu\n", verdict_.crashes,
                  verdict_.accepted, verdict_.delivered, static_cast<unsigned long long>(dropped_ + drops()),
                  static_cast<unsigned long long>(expired_ + expired()));
    }
  }

  // Nobody is owed anything, so no row says so; and the state is what the log says.
  void check_nothing_is_left() {
    world_.advance(1000);
    world_.node().checkpoint();
    world_.settle();
    const store::MemoryImage image = world_.image();
    const auto count = [&](store::Table table) { return image.tables[static_cast<size_t>(table)].size(); };
    const auto must_be_empty = [&](const char* what, size_t rows) {
      if (rows > 0) verdict_.faults.push_back(std::to_string(rows) + " rows are left in " + what);
    };
    must_be_empty("the inboxes", count(store::Table::inbox));
    must_be_empty("the inboxes of groups", count(store::Table::group_inbox));
    must_be_empty("the table of shared messages", image.messages.size());
    size_t stored = 0;
    for (const SimClient& client : clients_) stored += client.role().stored || client.role().will;
    if (count(store::Table::session) > stored) {
      verdict_.faults.push_back(std::to_string(count(store::Table::session)) + " sessions are stored, of " +
                                std::to_string(stored) + " clients");
    }
    check_state();
  }

  void check_retained() {
    // A tight inbox, or a socket that takes little, may have no room for all of them.
    for (std::string& fault : retained_faults(world_, ledger_, clients_, !tight_ && !narrow_))
      verdict_.faults.push_back(std::move(fault));
  }

  std::mt19937_64 random_;
  const bool verbose_;
  bool tight_ = false, stalls_ = false;
  bool mean_ = false;           // World::be_mean()
  bool deep_ = false;           // subscribers sleep long, inboxes get deep
  bool timed_ = false;          // minutes pass: sessions and wills come to their end
  bool jumps_ = false;          // the wall clock is set, back and forth
  bool old_ = false;            // messages expire
  bool limited_ = false;        // limits come and go
  bool failing_store_ = false;  // checkpoints cannot be written, for a time
  bool narrow_ = false;         // little may be written and not taken
  bool disorderly_ = false;     // answers come in any order
  bool store_fails_ = false;
  World::Options options_;
  World world_;
  Ledger ledger_;
  std::deque<SimClient> clients_;
  Verdict verdict_;
  uint64_t dropped_ = 0, expired_ = 0;
};

}  // namespace

Verdict simulate(uint64_t seed, bool verbose) {
  return Simulation(seed, verbose).run();
}

}  // namespace courier::sim
