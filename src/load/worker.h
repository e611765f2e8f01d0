// One worker of a load test: plays its part of the clients, keeps the books of what they were promised.
//
// Client number c belongs to worker c mod count. Workers are told when a stage begins and ends, by whoever
// leads (conductor.h); what one has to say to another (a promise to a client there, a shared subscription's
// arrival, a reply) goes through the leader as Letters. Owned by its ClientLoop's thread.
//
// Times are microseconds of the run's clock, which all workers share: this machine's monotonic clock plus an
// offset that the leader measures for workers elsewhere.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "client/client.h"
#include "jose/key.h"
#include "load/arrivals.h"
#include "load/audience.h"
#include "load/ledger.h"
#include "load/message_id.h"
#include "load/scenario.h"
#include "load/tally.h"

namespace courier::load {

// Makes clients' ends of what is spoken with a broker that is not plain mqtt. This folder knows no TLS: apps/
// do.
using TransportSource = std::function<Result<client::TransportMaker>(const Broker&, const TargetTls&)>;

// From worker to worker. Receivers are client numbers; shared subscriptions belong to the publisher's worker.
struct Letters {
  struct PromiseOf {
    ClientNumber client = 0;
    MessageId id;
    mqtt::Qos qos{};
    int64_t sent_us = 0;
  };
  struct ShareArrival {
    uint32_t share = 0;
    MessageId id;
    int64_t at_us = 0;
  };
  struct Reply {
    MessageId id;
    int64_t at_us = 0;
  };
  std::vector<PromiseOf> promises;
  std::vector<ShareArrival> arrivals;
  std::vector<Reply> replies;
  bool empty() const { return promises.empty() && arrivals.empty() && replies.empty(); }
};

// Who holds a shared subscription: how many clients do now, how often one of them left, and how often the
// last one did; and how often one came to find nobody there, and its own session expired.
struct ShareMembers {
  uint32_t now = 0, departures = 0, emptied = 0, expired = 0;
  bool operator==(const ShareMembers&) const = default;
  ShareMembers operator+(const ShareMembers& other) const {
    return {now + other.now, departures + other.departures, emptied + other.emptied, expired + other.expired};
  }
};

// What a worker says about itself, a few times a second.
struct WorkerReport {
  uint32_t stage = 0;  // that it plays, or played last
  // What happened since the last one, by the stage in which it was due: what is sent in one and arrives in
  // the next belongs to the first. (What somebody catches up with, to the stage in which he came back.)
  struct StageTally {
    uint32_t stage = 0;
    Tally tally;
  };
  std::vector<StageTally> tallies;
  std::vector<uint32_t> connected, ready;  // by group; ready: subscribed too
  uint64_t awaited = 0;                    // promised and not arrived
  uint64_t awaited_by_absent = 0;          // of these, by clients that are away
  uint64_t replies_awaited = 0;
  // Sent, and nobody can say yet what is owed for it: unacknowledged, or QoS 0 a moment ago.
  uint64_t unsettled = 0;
  // Of what is awaited by clients that are there: all, and what has been for longer than the run's grace.
  std::vector<uint32_t> missing_by_stage, overdue_by_stage;
  int64_t cpu_us = 0;                // spent by this worker's process since the last report
  bool steps_done = false;           // nothing more comes of the stage's steps by itself
  std::vector<ShareMembers> shares;  // clients of this worker
};

class Worker final : private client::ClientHandler {
 public:
  struct Part {
    uint32_t index = 0, count = 1;
    uint32_t run = 1;
    int64_t clock_offset_us = 0;
    int64_t overdue_ms = 30'000;
  };
  // BLOCKS while it resolves the brokers' names. errc::unreachable, errc::invalid_scenario (a key that is not
  // in the environment, an address that is none). The scenario outlives the worker.
  static Result<std::unique_ptr<Worker>> make(const Scenario& scenario, Part part, client::ClientLoop& loop,
                                              const TransportSource& transports);
  ~Worker();

  // It begins at that moment of the run's clock, the same for all workers.
  void begin_stage(size_t stage, int64_t began_us);
  // Its steps end: nothing more is published; flappers come back.
  void end_stage();
  // Every client leaves in order. done() when they have.
  void hang_up();
  bool gone() const { return hanging_up_ && leaving_ == 0; }

  WorkerReport report();
  // To each other worker; empty where there is nothing.
  std::vector<Letters> take_letters();
  void deliver(const Letters& letters);
  // Clients of other workers.
  void set_share_members(uint32_t share, const ShareMembers& elsewhere);
  // What is missing, in words, at most `count`.
  std::vector<std::string> describe_missing(size_t count) const;

 private:
  struct Player {
    std::unique_ptr<client::Client> client;
    int64_t due_us = 0;        // when its connection was due, and its subscriptions with it
    uint32_t connections = 0;  // counts them
    bool wanted = false;       // is to be connected
    bool connected = false, ready = false;
    bool subscribed = false;  // in its session, as far as we know
    int64_t subscribe_us = 0;
    int64_t back_us = 0;             // since when it is ready
    int64_t gone_us = 0;             // when it went last
    int64_t session_us = INT64_MAX;  // how long the server keeps its session after that
    bool flaps = false, down = false;
    const FlapStep* flap = nullptr;
  };
  struct Published {
    MessageId id;
    mqtt::Qos qos{};
    bool tracked = false;
    int64_t due_us = 0, sent_us = 0;
    std::vector<Audience::Receivers> receivers;
  };
  struct Unacknowledged {  // QoS 0: promised when the connection still stands a moment later
    int64_t at_us = 0;
    uint32_t local = 0, connection = 0;
    Published published;
  };
  // What a client is to do later.
  struct Appointment {
    enum class What : uint8_t { flap_down, flap_up, answer, read_on };
    int64_t at_us = 0;
    uint32_t local = 0;
    What what{};
    uint32_t connection = 0;
    size_t stage = 0;        // flap_down, flap_up: of which they are; they end with it
    uint32_t reaction = 0;   // answer: which
    std::string message_id;  // answer: to what
    uint32_t message_publisher = 0;
    bool operator>(const Appointment& other) const { return at_us > other.at_us; }
  };
  struct Publishing {
    const PublishStep* step = nullptr;
    double started_us = 0, share = 0, first = 0;
    uint64_t sent = 0, turn = 0;
    uint64_t sent_max = UINT64_MAX;  // of what the step sends at most, this worker's part
    std::optional<Picker> picker;
    std::string payload;
    bool done = false;
  };
  struct Planned {
    double at_us = 0;
    uint32_t local = 0;
    bool operator<(const Planned& other) const { return at_us < other.at_us; }
  };
  struct Plan {
    std::vector<Planned> when;  // in order
    size_t next = 0;
    bool connects = true;
  };
  struct GroupPart {
    std::vector<uint32_t> locals;
    std::shared_ptr<const client::ConnectOptions> shared_options;  // when all have the same
  };

  Worker(const Scenario& scenario, Part part, client::ClientLoop& loop);

  // worker_clients.cc: connections
  client::Client& client_of(uint32_t local);
  std::shared_ptr<const client::ConnectOptions> options_for(size_t group, uint32_t number) const;
  std::string token_for(const Jwt& jwt, uint32_t number) const;
  void come(uint32_t local, int64_t due_us);
  void leave(uint32_t local, FlapHow how);
  void went(uint32_t local);
  void is_ready(uint32_t local);
  void on_transport(client::Client& client) override;
  void on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) override;
  void on_disconnected(client::Client& client, const client::Ending& ending,
                       std::optional<int64_t> retry_in_ms) override;
  void on_subscribed(client::Client& client, const client::Completion& completion) override;
  void on_closed(client::Client& client) override;

  // worker_messages.cc: what they send and hear
  bool send(uint32_t local, const TextTemplate& topic, const TextTemplate& text, const std::string& filler,
            mqtt::Qos qos, bool retain, const TextTemplate::Values& values, int64_t due_us);
  void promise(const Published& published);
  void promise_here(uint32_t local, const MessageId& id, mqtt::Qos qos, int64_t sent_us);
  void on_published(client::Client& client, const client::Completion& completion) override;
  void on_message(client::Client& client, const mqtt::Publish& publish) override;
  void arrived(uint32_t local, const mqtt::Publish& publish, const Stamp& stamp, int64_t now);
  // `back_us`: since when the receiver is there.
  void note(const Ledger::Arrival& arrival, const MessageId& id, int64_t at_us, int64_t back_us = 0);
  void count_members(uint32_t local, bool comes);
  void session_expired(uint32_t local);
  void share_changed(uint32_t share, const ShareMembers& before, const ShareMembers& now);
  void replied(const MessageId& id, int64_t at_us);
  void react(uint32_t local, const mqtt::Publish& publish, const std::optional<Stamp>& stamp, int64_t now);

  // worker.cc: time
  void tick();
  void run_plans(int64_t now);
  bool run_publishing(Publishing& publishing, int64_t now);
  void keep_appointments(int64_t now);
  void settle_unacknowledged(int64_t now);
  void settle_replies(int64_t now);
  void tidy_ledger(int64_t now);
  void arm(int64_t now);
  int64_t now_us() const { return clock_.mono_ns() / 1000 + part_.clock_offset_us; }

  static uint64_t reply_key(const MessageId& id) { return derived(id.publisher, id.stream, id.sequence); }
  uint32_t local_of(ClientNumber client) const { return client / part_.count; }
  ClientNumber number_of(uint32_t local) const { return local * part_.count + part_.index; }
  uint32_t worker_of(ClientNumber client) const { return client % part_.count; }
  uint32_t local_of(const client::Client& client) const;
  uint32_t share_receiver(uint32_t share) const { return static_cast<uint32_t>(players_.size()) + share; }

  const Scenario& scenario_;
  const Part part_;
  client::ClientLoop& loop_;
  const Clock& clock_;
  Audience audience_;
  std::vector<std::shared_ptr<const client::Endpoint>> endpoints_;
  std::vector<client::TransportMaker> transports_;  // of each; empty functions for plain mqtt
  std::vector<net::SocketAddress> sources_;
  std::unordered_map<std::string, jose::Key> keys_;  // by environment variable
  std::vector<Player> players_;
  std::vector<GroupPart> groups_;
  Ledger ledger_;

  // Of the stage in which something was due; for what has no due time, of now.
  Tally& tally(int64_t due_us);

  std::vector<WorkerReport::StageTally> tallies_;
  std::vector<uint32_t> connected_, ready_;
  std::vector<ShareMembers> shares_here_, shares_elsewhere_;
  bool hanging_up_ = false;
  size_t leaving_ = 0;

  // The stage.
  size_t stage_ = 0;
  std::vector<int64_t> stages_began_us_;
  std::vector<Plan> plans_;
  std::vector<Publishing> publishing_;
  bool flapping_ = false;
  std::priority_queue<Appointment, std::vector<Appointment>, std::greater<Appointment>> appointments_;

  // What is on its way.
  boost::unordered_flat_map<uint64_t, uint32_t> sequences_;   // by local client and stream
  boost::unordered_flat_map<uint64_t, Published> published_;  // by local client and request
  std::deque<Unacknowledged> unacknowledged_;
  struct AwaitedReply {
    int64_t due_us = 0, until_us = 0;
  };
  std::unordered_map<uint64_t, AwaitedReply> replies_;  // by publisher, stream and sequence
  std::deque<std::pair<int64_t, uint64_t>> reply_deadlines_;
  std::vector<Letters> letters_;

  client::Timer timer_;
  // Scratch.
  client::OutgoingMessage outgoing_;
  std::vector<Audience::Receivers> receivers_;
  std::string scratch_;
  std::optional<MessageId> last_id_;  // of the latest send()
  int64_t tidied_us_ = 0;
  int64_t ticked_us_ = 0;
  int64_t cpu_us_ = 0;
  int64_t looked_back_us_ = 0;
  uint64_t awaited_by_absent_ = 0;
  std::vector<uint32_t> missing_by_stage_, overdue_by_stage_;
};

}  // namespace courier::load
