#include "cluster_sim.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>

#include "audit.h"
#include "base/check.h"
#include "cast.h"
#include "judge.h"
#include "record/codec.h"
#include "sim_client.h"
#include "sim_etcd.h"

namespace courier::sim {

namespace {

// One node and what has become of it.
//
//   up ---------------------------> frozen: takes no step, and then goes on as if nothing had been
//   |  its lease ends, or not           |
//   v                                   v
//   up or frozen, taken for dead ----> finds out: its sockets close. Or it is killed at once
//                                       |
//                                       v
//                                     down ----> (its lease has ended) up again, as another run
// What one node sends to others beside the log: it arrives in order, late, or not at all.
class Post final : public broker::Peers {
 public:
  struct Sent {
    NodeEpoch to;
    std::string bytes;  // of the message: the other node has its own
    Position after;
    std::vector<record::Delivery::To> receivers;
  };
  std::deque<Sent> sent;

  void deliver(uint32_t, NodeEpoch node, Position after, const mqtt::MessagePtr& message,
               std::vector<record::Delivery::To> to) override {
    Sent& one = sent.emplace_back(Sent{node, {}, after, std::move(to)});
    record::encode_message(one.bytes, *message);
  }
  void flush(uint32_t) override {}
};

struct Member {
  std::unique_ptr<Post> post;  // what it has sent
  std::unique_ptr<World> world;
  NodeEpoch epoch;  // of its run, or of its last
  bool frozen = false;
};

class ClusterSimulation {
 public:
  ClusterSimulation(uint64_t seed, bool verbose)
      : random_(seed * 0x9E3779B97F4A7C15ull + 1),
        verbose_(verbose),
        etcd_({static_cast<uint16_t>(1 + random_() % 8), seed}) {
    make_members(seed);
    for (SimClient::Role& role : cast(random_, {deep_, timed_, old_, disorderly_}))
      clients_.emplace_back(*members_.front().world, ledger_, std::move(role));
  }

  Verdict run() {
    ledger_.verbose = verbose_;
    ledger_.drops = tight_ || stalls_ || old_;
    ledger_.two_ways = true;
    for (Member& member : members_) start(member);
    const int steps = (deep_ ? 16'000 : 5000) + static_cast<int>(random_() % 5000);
    for (int i = 0; i < steps && verdict_.faults.empty(); ++i) turn();
    if (verdict_.faults.empty()) finish();
    return std::move(verdict_);
  }

 private:
  void make_members(uint64_t seed) {
    World::Options options;
    options.etcd = &etcd_;
    tight_ = random_() % 4 == 0;
    stalls_ = random_() % 3 == 0;
    if (tight_) {
      options.limits.inbox_messages_max = 3 + static_cast<uint32_t>(random_() % 20);
      options.limits.shared_inbox_messages_max = options.limits.inbox_messages_max;
      options.limits.inflight_max = 1 + static_cast<uint16_t>(random_() % 4);
    }
    deep_ = random_() % 24 == 0;
    timed_ = random_() % 3 == 0;
    old_ = random_() % 4 == 0;
    disorderly_ = random_() % 4 == 0;
    mean_ = random_() % 2 == 0;
    slow_ = random_() % 3 == 0;
    if (deep_) options.limits.inflight_max = 3;
    if (random_() % 8 == 0) options.limits.uncommitted_bytes_max = 200 + random_() % 2000;
    const size_t count = 2 + random_() % 3;
    for (size_t i = 0; i < count; ++i) {
      options.seed = seed * 16 + i;
      options.shards = 1 + static_cast<uint32_t>(random_() % 3);
      options_ = options;
      auto post = std::make_unique<Post>();
      options.peers = post.get();
      members_.push_back({std::move(post), std::make_unique<World>(options), {}});
    }
  }

  bool chance(uint64_t in) { return random_() % in == 0; }
  Member& any_member() { return members_[random_() % members_.size()]; }
  bool up(const Member& member) const { return member.world->running(); }
  bool serves(const Member& member) const { return up(member) && !member.frozen; }

  void start(Member& member) {
    member.world->be_mean_if(mean_ ? &random_ : nullptr);
    const auto report = member.world->start();
    if (!report) {
      verdict_.faults.push_back("a node did not start: " + report.error().message);
      return;
    }
    member.epoch = member.world->members().epoch();
    member.frozen = false;
    for (Member& other : members_) {
      if (up(other)) other.world->members().look();
    }
    say("starts", member);
    if (stalled_) member.world->cluster_log().stall(kStalled);
  }

  void say(const char* what, const Member& member) {
    if (!verbose_) return;
    std::printf("--- node %zu %s, epoch %llu ---\n", static_cast<size_t>(&member - members_.data()), what,
                static_cast<unsigned long long>(member.epoch.value));
  }

  // Killed, or it found out that it is not a member any more. Its clients see their sockets close.
  void stop(Member& member) {
    ++verdict_.crashes;
    say("stops", member);
    dropped_ += drops(member);
    expired_ += expired(member);
    for (SimClient& client : clients_) {
      if (&client.world() == member.world.get()) client.machine_stopped();
    }
    member.world->crash(0, random_() % (member.world->unsafe_state_writes() + 1));
    member.post->sent.clear();
    member.frozen = false;
  }

  // The others take it for dead, whatever it does.
  void expire(Member& member) {
    if (!etcd_.alive(member.epoch)) return;
    say("is taken for dead", member);
    etcd_.expire(member.epoch);
    if (!up(member)) return;
    for (SimClient& client : clients_) {
      if (&client.world() == member.world.get()) client.cut_off();
    }
  }

  uint64_t counted(const Member& member, const std::string& reason) const {
    return static_cast<uint64_t>(
        member.world->metrics()
            .value("courier_messages_dropped_total", {{"reason", reason}, {"label", ""}})
            .value_or(0));
  }
  uint64_t drops(const Member& member) const { return counted(member, "inbox_full"); }
  uint64_t expired(const Member& member) const {
    return counted(member, "expired") + counted(member, "group_ended");
  }

  void advance(int64_t ms) {
    for (Member& member : members_) member.world->clock().advance(ms);
  }

  void change_members() {
    Member& member = any_member();
    if (!up(member)) {
      if (etcd_.alive(member.epoch)) return expire(member);
      return start(member);
    }
    if (member.world->cluster_log().dead()) return stop(member);
    if (member.frozen) {
      if (chance(2)) return expire(member);
      member.frozen = false;
      return say("goes on", member);
    }
    switch (random_() % 6) {
      case 0:
      case 1:
        return stop(member);
      case 2:
        return expire(member);
      case 3:
        if (etcd_.alive(member.epoch)) return;
        return stop(member);
      default:
        member.frozen = true;
        return say("stands still", member);
    }
  }

  void carry(Member& from) {
    if (from.post->sent.empty()) return;
    Post::Sent sent = std::move(from.post->sent.front());
    from.post->sent.pop_front();
    const auto to =
        std::ranges::find_if(members_, [&](const Member& each) { return up(each) && each.epoch == sent.to; });
    if (to == members_.end() || chance(10)) return;
    std::string_view bytes = sent.bytes;
    broker::FromPeer arrived[1];
    arrived[0] = {*record::decode_message(bytes), sent.after, std::move(sent.receivers)};
    to->world->node().from_peer(arrived);
  }

  void turn() {
    SimClient& client = clients_[random_() % clients_.size()];
    Member& member = any_member();
    const bool all_serve = std::ranges::all_of(members_, [&](const Member& each) { return serves(each); });
    if (chance(all_serve ? 500 : 60)) return change_members();
    if (!serves(member)) return;
    World& world = *member.world;
    if (chance(40)) return world.members().look();
    if (slow_ && chance(60)) return world.cluster_log().hold(chance(2));
    if (chance(150)) return world.node().checkpoint();
    if (chance(30)) return world.node().housekeeping();
    if (chance(200)) return advance(static_cast<int64_t>(random_() % 400));
    if (timed_ && chance(300)) return advance(static_cast<int64_t>(random_() % 60'000));
    if (old_ && chance(100)) return advance(static_cast<int64_t>(random_() % 5'000));
    if (stalls_ && chance(stalled_ ? 20 : 400)) return stall(!stalled_);
    if (chance(150)) return client.unsubscribe(random_);
    if (client.may_connect() && chance(deep_ && client.role().topics.empty() ? 1200 : 50)) {
      client.reset();
      client.go_to(world);
      return client.connect(random_);
    }
    if (chance(300)) return client.reset();
    if (chance(400)) return client.disconnect();
    if (chance(deep_ ? 3 : 6)) return client.publish(random_);
    if (chance(2)) {
      client.act(random_);
      return;
    }
    for (Member& each : members_) {
      for (int steps = 0; serves(each) && steps < 3; ++steps) each.world->step(random_);
      if (chance(3)) carry(each);
    }
  }

  void stall(bool stalls) {
    stalled_ = stalls;
    for (Member& member : members_) {
      if (!up(member)) continue;
      stalls ? member.world->cluster_log().stall(kStalled) : member.world->cluster_log().unstall();
    }
  }

  // Nobody dies any more, everybody comes back and answers everything; then nothing may be missing.
  void finish() {
    if (stalled_) stall(false);
    for (Member& member : members_) {
      member.frozen = false;
      if (up(member) && !etcd_.alive(member.epoch)) stop(member);
      if (up(member)) continue;
      expire(member);
      start(member);
    }
    for (const Member& member : members_) member.world->cluster_log().hold(false);
    for (SimClient& client : clients_) client.calm_down();
    for (int round = 0; round < 3000 && verdict_.faults.empty(); ++round) {
      bool busy = false;
      for (SimClient& client : clients_) {
        if (client.may_connect() && round % 40 == 0) {
          client.reset();
          client.go_to(*any_member().world);
          client.connect(random_);
        }
        while (client.act(random_)) busy = true;
        busy |= !client.idle();
      }
      settle();
      advance(100);
      for (Member& member : members_) {
        member.world->members().look();
        if (round % 10 == 0) member.world->node().checkpoint();
        member.world->node().housekeeping();
      }
      settle();
      for (SimClient& client : clients_) busy |= client.act(random_);
      if (!busy && round > 20) break;
      if (round == 2999) verdict_.faults.push_back("the cluster never came to rest");
    }
    check();
    for (Member& member : members_) {
      dropped_ += drops(member);
      expired_ += expired(member);
    }
    for (std::string& fault : ledger_.judge(dropped_, expired_)) verdict_.faults.push_back(std::move(fault));
    verdict_.accepted = ledger_.accepted_count();
    verdict_.delivered = ledger_.delivered_count();
    if (verbose_) {
      std::printf("crashes %d, accepted %zu, delivered %zu, dropped %llu, expired %llu\n", verdict_.crashes,
                  verdict_.accepted, verdict_.delivered, static_cast<unsigned long long>(dropped_),
                  static_cast<unsigned long long>(expired_));
    }
  }

  void settle() {
    for (int again = 0; again < 3; ++again) {
      for (Member& member : members_) member.world->settle();
      for (Member& member : members_) {
        while (!member.post->sent.empty()) carry(member);
      }
    }
  }

  // Every node has the same, which is what the log says, and owes nobody anything.
  void check() {
    for (Member& member : members_) {
      for (std::string& fault : retained_faults(*member.world, ledger_, clients_, !tight_))
        verdict_.faults.push_back(std::move(fault));
      settle();
    }
    if (!verdict_.faults.empty()) return;
    advance(1000);
    settle();
    for (Member& member : members_) member.world->node().checkpoint();
    settle();
    for (const Member& member : members_) {
      const double owed = member.world->metrics().total("courier_queue_messages");
      if (owed != 0) verdict_.faults.push_back(std::to_string(owed) + " messages are owed at the end");
    }
    const store::MemoryImage image = members_.front().world->image();
    for (const Member& member : members_) compare(image, member.world->image(), "two nodes differ: ");
    const auto afresh = stored_by(options_, {});
    if (!afresh) {
      verdict_.faults.push_back("the log cannot be folded: " + afresh.error().message);
    } else {
      compare(image, *afresh, "a node that folds the whole log differs: ");
    }
    const auto must_be_empty = [&](const char* what, size_t rows) {
      if (rows > 0) verdict_.faults.push_back(std::to_string(rows) + " rows are left in " + what);
    };
    must_be_empty("the inboxes", image.tables[static_cast<size_t>(store::Table::inbox)].size());
    must_be_empty("the inboxes of groups",
                  image.tables[static_cast<size_t>(store::Table::group_inbox)].size());
    must_be_empty("the table of shared messages", image.messages.size());
  }

  void compare(const store::MemoryImage& one, const store::MemoryImage& other, const char* what) {
    for (const std::string& difference : differences(one, other))
      verdict_.faults.push_back(what + difference);
  }

  static constexpr const char* kStalled = "the simulated etcd does not answer";

  std::mt19937_64 random_;
  const bool verbose_;
  bool tight_ = false, stalls_ = false, deep_ = false, timed_ = false, old_ = false, disorderly_ = false;
  bool mean_ = false;
  bool slow_ = false;  // now and then what a node appends is long on its way
  bool stalled_ = false;
  SimEtcd etcd_;
  World::Options options_;
  std::vector<Member> members_;
  Ledger ledger_;
  std::deque<SimClient> clients_;
  Verdict verdict_;
  uint64_t dropped_ = 0, expired_ = 0;
};

}  // namespace

Verdict simulate_cluster(uint64_t seed, bool verbose) {
  return ClusterSimulation(seed, verbose).run();
}

}  // namespace courier::sim
