// A whole node in one thread: its shards, its directory, a log and a store in memory, and clients on a
// network that is a pair of strings. Everything that threads, disks and sockets would decide is decided by
// the caller.
//
// What is queued moves only when step() or settle() says so; a crash is crash() and then start(). Used by the
// broker's unit tests (everything in order) and by the simulator (a seeded order, faults, checkers).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "broker/node.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "sim_etcd.h"
#include "sim_hooks.h"
#include "store/memory/memory_log.h"
#include "store/memory/memory_store.h"

namespace courier::sim {

class SimClock final : public Clock {
 public:
  WallMs wall_ms() const override { return now_ms_ + ahead_ms_; }
  MonoNs mono_ns() const override { return now_ms_ * 1'000'000; }
  void advance(int64_t ms) { now_ms_ += ms; }
  // Somebody sets the wall clock.
  void jump(int64_t ms) { ahead_ms_ += ms; }
  void set_wall(WallMs now) { ahead_ms_ = now - now_ms_; }

 private:
  int64_t now_ms_ = 1'700'000'000'000, ahead_ms_ = 0;
};

// Allows everybody, under the name they give.
class AllowEverybody final : public auth::Authenticator {
 public:
  std::function<void(auth::Decision&)> more;  // what a test adds to each decision
  void authenticate(auth::Credentials credentials, std::function<void(auth::Decision)> done) override;
};

class World;

// Both ends of one connection: the node's Link, and the test's client.
class Wire final : public broker::Link, public std::enable_shared_from_this<Wire> {
 public:
  Wire(World& world, mqtt::Version version) : world_(world), version_(version) {}

  // --- the client's end ---
  void send(const mqtt::Packet& packet);
  void send_bytes(std::string_view bytes) { to_node_.append(bytes); }
  // Ends it without a DISCONNECT.
  void reset() { client_gone_ = true; }
  // Packets that arrived, oldest first; taking one removes it. Views live until the next call.
  std::optional<mqtt::Packet> receive();
  bool closed() const { return node_closed_; }
  size_t to_node_bytes() const { return to_node_.size(); }
  size_t to_client_bytes() const { return delivered_.size(); }

  // --- the node's end ---
  std::string& output() override { return output_; }
  size_t unsent_bytes() const override { return output_.size() + unsent_.size(); }
  void pause(Pause reason) override { paused_ |= reason; }
  void resume(Pause reason) override { paused_ &= static_cast<uint8_t>(~reason); }
  void set_keep_alive(uint32_t) override {}
  void move_to(uint32_t shard, std::unique_ptr<broker::Connection> connection) override;
  void close() override;

  // Gives the node what may be read now; false if there was nothing to do.
  bool deliver();
  // What was written by the end of the Turn reaches the client (all of it, or `bytes` of it).
  void flush(size_t bytes = SIZE_MAX);
  uint32_t shard() const { return shard_; }
  bool dead() const { return node_closed_ && (client_gone_ || (output_.empty() && unsent_.empty())); }
  // The client's socket takes only some of what is written, now and then.
  bool slow = false;

 private:
  World& world_;
  const mqtt::Version version_;
  std::string to_node_, output_, unsent_, delivered_, last_received_;
  uint8_t paused_ = 0;
  uint32_t shard_ = 0;
  broker::Connection* connection_ = nullptr;
  bool seen_connect_ = false, client_gone_ = false, node_closed_ = false;
};

class World final : public broker::Post {
 public:
  struct Options {
    uint64_t seed = 1;
    uint32_t shards = 2;
    broker::Limits limits;
    std::string rules_file = {};                   // access rules; empty: everything is allowed
    auth::Authenticator* authenticator = nullptr;  // null: everybody, under the name they give
    bool hooks = false;                            // SimHooks is asked
    broker::Peers* peers = nullptr;                // of one of a cluster
    SimEtcd* etcd = nullptr;                       // null: a node alone. Else its log, and others'; outlives
  };
  explicit World(Options options);
  // One whose disk holds this already.
  World(Options options, store::MemoryImage image);
  ~World() override;

  // A new connection; its client sends the CONNECT.
  std::shared_ptr<Wire> open(mqtt::Version version);

  // Does one thing that could happen next, chosen at random. False when nothing is left to do.
  bool step(std::mt19937_64& random);
  // What clients sent is read, as far as the node reads; no Turn ends, and nothing is committed.
  void read();
  // Everything in order until nothing is left to do.
  void settle();
  // The same, but nothing is due and nobody is read: only what is on its way arrives.
  void quiesce();
  void advance(int64_t ms);
  void checkpoint();
  // One Turn of one shard: its mail, what its connections may read, what is due.
  void turn(uint32_t shard);
  // From now on threads are as mean to one another as they can be: whoever gets mail from the feed thread may
  // have worked it off before the next one gets any, checkpoints follow on one another's heels, workers
  // finish in any order, sockets of slow clients take a few bytes at a time.
  void be_mean_if(std::mt19937_64* random) { mean_ = random; }
  // Every value of the log that ever was safe, trimmed or not.
  const std::deque<store::MemoryImage::LogEntry>& whole_log();
  store::MemoryImage image() const { return disk_->image(); }

  // Called before a mail is put where a shard finds it: a place for what another thread may do just then.
  std::function<void(uint32_t shard, const broker::Mail& mail)> before_post;
  // The same, and it is there already.
  std::function<void(uint32_t shard)> after_post;

  // The machine stops: of what the log had not committed, the oldest `kept` batches are on disk nevertheless;
  // the last `state_writes_lost` checkpoints are not. All connections end. start() brings it up again.
  void crash(size_t kept = 0, size_t state_writes_lost = 0);
  Result<broker::StartReport> start();
  // Checkpoints that a crash now may lose.
  size_t unsafe_state_writes() const { return disk_->unsafe_state_writes(); }

  void post(uint32_t shard, broker::Mail mail) override;
  void run_on_worker(std::function<void()> task) override;

  // Of the next start(); null: nobody is banned or counted, and the machine's clock is the node's.
  admission::Bans* bans = nullptr;
  admission::Flapping* flapping = nullptr;
  const Clock* machine_clock = nullptr;

  broker::Node& node() { return *node_; }
  bool running() const { return node_ != nullptr; }
  SimHooks& hooks() { return hooks_; }
  store::MemoryLog& log() { return *log_; }        // of a node alone
  SimLog& cluster_log() { return *cluster_log_; }  // of one of a cluster
  SimMembers& members() { return *members_; }      // likewise
  store::MemoryStore& store() { return *store_; }
  Registry& metrics() { return *metrics_; }
  auth::acl::Rules& rules() { return *rules_; }
  SimClock& clock() { return clock_; }
  AllowEverybody& authenticator() { return everybody_; }
  const broker::Limits& limits() const { return options_.limits; }

 private:
  friend class Wire;
  bool drain_mail(uint32_t shard, size_t most);
  void run_worker();
  void be_quick(uint32_t shard);
  template <typename Step>
  void feed(Step&& step);
  bool pump_log(size_t batches_max = SIZE_MAX);
  bool log_has_work() const;
  void end_turn(uint32_t shard);

  Options options_;
  SimClock clock_;
  AllowEverybody everybody_;
  std::unique_ptr<auth::acl::Rules> rules_ = *auth::acl::Rules::open(options_.rules_file);
  std::unique_ptr<store::MemoryDisk> disk_;
  std::unique_ptr<Registry> metrics_;
  std::unique_ptr<store::MemoryLog> log_;
  std::unique_ptr<SimMembers> members_;
  std::unique_ptr<SimLog> cluster_log_;
  std::unique_ptr<store::MemoryStore> store_;
  SimHooks hooks_;
  std::unique_ptr<broker::Node> node_;
  std::vector<std::deque<broker::Mail>> mail_;
  std::deque<std::function<void()>> workers_;
  std::vector<std::shared_ptr<Wire>> wires_;
  std::mt19937_64* mean_ = nullptr;
  bool feeding_ = false;  // the feed thread runs
  std::deque<store::MemoryImage::LogEntry> whole_log_;
};

}  // namespace courier::sim
