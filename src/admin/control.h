// Port: what the REST side may see of a node and do to it. node_control.h implements it over broker::Node,
// the tests with a fake.
//
// Called on the server's thread only. It never blocks: answers come by `done`, on any thread, once, perhaps
// before the call returns, and perhaps never (the node is stopping); the server waits a bounded time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/vitals.h"
#include "admission/ban.h"
#include "auth/acl/explanation.h"
#include "base/clock.h"
#include "base/result.h"
#include "events/catalogue/catalogue.h"
#include "events/outbox.h"

namespace courier::admin {

// In the order of pages.
struct ClientName {
  std::string mountpoint, client_id;
  auto operator<=>(const ClientName&) const = default;
};

// Of a client that is connected now.
struct ConnectionFacts {
  std::string peer, listener;
  WallMs connected_at = 0;
  uint32_t keep_alive_seconds = 0;
  uint32_t window = 0;     // most messages in flight to it
  uint32_t in_flight = 0;  // sent, not answered
  uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0, dropped = 0;
};

struct ClientSummary {
  ClientName name;
  std::string username;
  std::string protocol;  // "3.1", "3.1.1", "5.0"
  std::optional<ConnectionFacts> connection;
  WallMs detached_at = 0;  // while not connected; 0: not known
  uint32_t subscription_count = 0;
  uint64_t inbox_messages = 0, inbox_bytes = 0;
};

struct SubscriptionFacts {
  std::string filter;
  int qos = 0;
  bool no_local = false, retain_as_published = false;
  int retain_handling = 0;
  uint32_t identifier = 0;  // 0: none
};

struct WillFacts {
  std::string topic;
  int qos = 0;
  bool retain = false;
  uint32_t delay_seconds = 0;
  size_t payload_bytes = 0;
};

// The limits that hold for a client that is connected, and what they did to it.
struct LimitFacts {
  struct One {
    std::string name, per;
  };
  std::vector<One> limits;
  int64_t delayed_ms = 0;      // from now on, until it is read again; 0: it is
  double delayed_seconds = 0;  // all together
  uint64_t delays = 0, refusals = 0;
};

struct ClientDetail {
  ClientSummary summary;
  std::optional<LimitFacts> limits;  // nothing: none matches it
  uint64_t session_id = 0;
  bool stored = false;                     // false: ends with its connection
  std::optional<uint32_t> expiry_seconds;  // nothing: never
  std::optional<WallMs> expires_at;        // nothing: not while connected, or never
  uint64_t attach_position = 0;            // in the log, of the latest ATTACH; 0: none
  uint64_t inbox_first = 0, inbox_next = 0;
  uint64_t inbox_in_memory = 0;
  uint32_t next_packet_id = 0;   // of the next message to it
  uint32_t qos2_unreleased = 0;  // its own QoS 2 publishes that it did not PUBREL yet
  std::optional<WillFacts> will;
  std::optional<admission::Ban> ban;  // that keeps it out, as far as is known without its address
  std::vector<SubscriptionFacts> subscriptions;
};

struct ClientQuery {
  std::optional<std::string> mountpoint;
  std::string prefix;  // of client ids
  std::optional<bool> connected;
  std::optional<ClientName> after;  // pages go on behind this one
  size_t limit = 0;
};
struct ClientPage {
  std::vector<ClientSummary> clients;  // in order of their names
  bool more = false;
};

struct NodeFacts {
  std::string version;
  int64_t uptime_seconds = 0;
  Health health;
  bool draining = false;
  uint32_t shards = 0;
  uint64_t connections = 0, sessions = 0, subscriptions = 0, shared_groups = 0;
  uint64_t retained_messages = 0, retained_bytes = 0;
  uint64_t inbox_messages = 0, inbox_bytes = 0;
  bool log_accepting = true;
  std::string log_reason;       // when not accepting
  uint64_t log_tail_bytes = 0;  // what a restart would read
  uint64_t checkpoint_position = 0;
  bool checkpoint_running = false;
};

struct ListenerFacts {
  std::string name;
  std::string bind;  // as bound, with the port that the kernel chose
  std::string protocol, proxy_protocol, mountpoint;
  uint64_t connections = 0, connections_max = 0;  // 0: no limit of its own
  struct Certificate {
    std::string file, subject;
    std::vector<std::string> names;
    WallMs not_after = 0;
  };
  std::vector<Certificate> certificates;  // none without TLS
};

// What this node knows of its cluster.
struct ClusterFacts {
  std::string name, node, log_id;
  uint64_t epoch = 0;
  struct Member {
    std::string id;
    uint64_t epoch = 0;
    std::string mesh, admin;  // addresses
    bool draining = false, self = false;
    bool reachable = false;  // by the mesh, from here
    uint32_t owns = 0;       // partitions
  };
  std::vector<Member> members;  // by id
  struct Partition {
    std::string owner, wanted;  // ids of members; "": nobody
  };
  std::vector<Partition> partitions;
  uint64_t log_lag = 0;  // revisions that etcd has, and this node has not read
  uint64_t etcd_bytes = 0, etcd_quota_bytes = 0;
};

// How a node lets go of its clients.
struct DrainOrder {
  uint32_t connections_per_second = 0;  // at most, all shards together; not 0
  std::vector<std::string>
      servers;  // where else clients may go; none: where the cluster's others say they are
};
struct DrainFacts {
  bool draining = false;
  uint64_t connections = 0;          // that are left
  std::vector<std::string> servers;  // that clients of 5.0 are told
};

// What a reload did with the settings.
struct ReloadFacts {
  std::vector<std::string> applied;       // keys that have another value now
  std::vector<std::string> need_restart;  // keys whose value in the settings waits for a restart
  std::vector<std::string> read;          // what was read again, whether or not it changed
};

struct BackupFacts {
  uint64_t bytes = 0;
  uint64_t position = 0;  // the copy has everything up to it, and perhaps more
};

// Whether a client may do something, and for a PUBLISH who would get it.
struct Why {
  auth::acl::Explanation explanation;
  bool connected = false;  // or else what rules of its own it would bring is not known
  struct Receiver {
    ClientName name;
    int qos = 0;
    bool connected = false;
    bool shared = false;  // as the member of a shared group whose turn it is
  };
  std::vector<Receiver> receivers;  // the first kReceiversShown
  uint64_t receiver_count = 0;
  bool forbidden = false;          // what let it in does not let it, whatever the rules say
  std::vector<std::string> hooks;  // who decides after the rules, if they allow it
};

struct BanPage {
  std::vector<admission::Ban> bans;  // by id
  bool more = false;
};

// One that is told of events: a [[sink]].
struct SinkFacts {
  std::string name, kind, target;  // "kafka", its brokers
  std::vector<std::string> events;
  bool active = false;  // this node is the one that tells it what stands in the log
  uint64_t told = 0;    // events since the start
  uint64_t missed = 0;  // best-effort ones that it was too slow for
  std::string trouble;  // why it is not told more now; "": nothing is wrong
  struct Webhook {
    std::string profile;
    uint64_t waiting = 0;                // events with it
    uint64_t under_way = 0;              // requests
    uint64_t taken = 0, failed = 0;      // requests since the start
    uint64_t given_up = 0;               // events since the start
    uint64_t dead_letters = 0;           // events on disk
    std::string last_failure;            // "": the last request was taken
    WallMs failing_since = 0;            // 0: it is not
    bool resting = false, gone = false;  // asked one request at a time; not at all, since it said 410
  };
  std::optional<Webhook> webhook;
};
// What a made-up event led to.
struct SinkTrial {
  int status = 0;  // of HTTP
  int64_t took_ms = 0;
  std::string body;  // its beginning
};

// One packet of a traced client.
struct TraceLine {
  WallMs at = 0;
  bool inbound = false;
  std::string packet;
};
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // Any thread; never block.
  virtual void on_started(bool connected) = 0;
  virtual void on_line(const TraceLine& line) = 0;
};

class Control : public Vitals {
 public:
  virtual void list_clients(ClientQuery query, std::function<void(ClientPage)> done) = 0;
  // errc::not_found.
  virtual void show_client(ClientName name, std::function<void(Result<ClientDetail>)> done) = 0;
  // Closes its connection (5.0: DISCONNECT 0x98); the session stays. errc::not_found, errc::conflict.
  virtual void kick_client(ClientName name, std::function<void(Result<void>)> done) = 0;
  // Also of a client that is not connected, as far as its session says who it is. errc::not_found.
  virtual void explain_access(ClientName name, auth::acl::Action action, std::string topic,
                              std::function<void(Result<Why>)> done) = 0;
  // Until end_trace() with the same sink. A client that is not connected is traced from its next CONNECT on.
  virtual void begin_trace(const ClientName& name, std::shared_ptr<TraceSink> sink) = 0;
  virtual void end_trace(const ClientName& name, const TraceSink& sink) = 0;
  // With ids above `after`. At once.
  virtual BanPage list_bans(admission::BanId after, size_t limit) const = 0;
  // Answers when it is on disk; connections that it hits end at once. errc::bad_request, errc::conflict,
  // errc::storage.
  virtual void add_ban(admission::BanTarget target, std::string reason, std::string made_by, WallMs until,
                       std::function<void(Result<admission::Ban>)> done) = 0;
  // errc::not_found, errc::storage.
  virtual void remove_ban(admission::BanId id, std::function<void(Result<admission::Ban>)> done) = 0;
  virtual void describe_node(std::function<void(NodeFacts)> done) = 0;
  // errc::not_found: this is a node alone.
  virtual void describe_cluster(std::function<void(Result<ClusterFacts>)> done) = 0;
  // At once; none while the node starts.
  virtual std::vector<ListenerFacts> listeners() const = 0;
  // At once; of this node.
  virtual std::vector<SinkFacts> sinks() const = 0;
  // errc::not_found; errc::conflict: it is no webhook, or its profile has no such event; errc::unreachable:
  // it gave no answer.
  virtual void test_sink(const std::string& name, events::Kind kind,
                         std::function<void(Result<SinkTrial>)> done) = 0;
  // Tells a webhook's dead letters again: how many there are. errc::not_found, errc::conflict.
  virtual Result<uint64_t> replay_sink(const std::string& name) = 0;
  // `each` gets every event of these kinds as it comes, on any thread, and must be quick; until end_events()
  // with the number that this returns.
  virtual uint64_t begin_events(events::Kinds kinds, std::function<void(const events::EventPtr&)> each) = 0;
  virtual void end_events(uint64_t number) = 0;
  // Takes over changed settings, all or nothing. errc::settings: nothing was.
  virtual void reload_config(std::function<void(Result<ReloadFacts>)> done) = 0;
  // Takes no new clients and lets go of those that are there; in a cluster others act for its offline
  // sessions. Nothing: takes clients again.
  virtual void drain(std::optional<DrainOrder> order, std::function<void(DrainFacts)> done) = 0;
  // A consistent copy in the new folder `path`; minutes, perhaps. One at a time. errc::conflict,
  // errc::bad_request, errc::storage_full, errc::storage.
  virtual void backup(std::string path, std::function<void(Result<BackupFacts>)> done) = 0;
};

}  // namespace courier::admin
