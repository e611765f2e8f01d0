// The mesh's thread: who the members are, which links there are, and what comes in over them.
//
// Made by Mesh::start(), run by its thread until stop(); everything here belongs to that thread. Others reach
// it by Core's tasks and its mailbox of messages.
//
// Who dials whom: the younger run, the older one. So there is one link for two nodes, and who has just come
// makes its own. It may be quicker than the news of its coming: then its hello is held until the members'
// list speaks of it, for as long as a greeting may take.
//
//   accepted --hello: wrong--> refused            dialled --hello: wrong--> closed, dialled again later
//        |----hello: member--> up                     '----hello: right--> up --lost--> dialled again
//        '----hello: younger than any known--> held --members--> up, refused
//
// 1. At most one link per member is up, and only members' links are.
// 2. A Peer is `up` exactly while its link is; only then do shards send to it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "mesh/calls.h"
#include "mesh/core.h"
#include "mesh/counters.h"
#include "mesh/link.h"
#include "mesh/mesh.h"
#include "net/listener.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"

namespace courier::mesh {

class Hub final : public Link::Owner {
 public:
  struct Setup {
    const Options& options;
    Registry& registry;
    std::shared_ptr<Core> core;  // shared with senders, replies and answers
    net::Listener listener;
    // Shared: connections outlive the configuration they began with. Null without TLS.
    std::shared_ptr<const net::tls::TlsServer> tls_server;
    std::shared_ptr<net::tls::TlsClient> tls_client;
    NodeEpoch self;
    Handler& handler;
  };

  // `now` begins the timers' time.
  Hub(Setup setup, MonoNs now);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Until a task says quit(); then all links are closed, and what was asked has failed.
  void run();
  void quit() { quits_ = true; }

  // --- Tasks ---
  void set_members(std::vector<Member> members);
  void request(NodeEpoch to, uint16_t kind, std::string_view body, MonoNs timeout, OnAnswer on_answer);
  void reply_piece(uint64_t link, uint64_t id, std::string_view piece);
  void reply_over(uint64_t link, uint64_t id, bool failed, std::string_view why);
  void worked_off(uint64_t link, uint64_t id, size_t bytes);

  // --- Of links ---
  void on_open(Link& link) override;
  Result<void> on_frame(Link& link, FrameType type, std::string_view body) override;
  void on_lost(Link& link, const Error& why) override;

 private:
  struct Entry {
    Member member;
    PeerPtr peer;
    Link* link = nullptr;  // up, or being dialled
    Timer redial;
    unsigned attempts = 0;
    std::string told;  // what the log has been told of why it cannot be reached
    MonoNs up_since = 0;
  };
  // A link and its requests; those are there once it is up.
  struct Connection {
    std::unique_ptr<Link> link;
    std::unique_ptr<Calls> calls;
    Entry* entry = nullptr;
    bool held = false;  // its hello was right, but the members' list does not know it yet
  };
  struct Door final : net::Handler {
    explicit Door(Hub& owner) : hub(owner) {}
    void on_events(uint32_t) override { hub.accept(); }
    Hub& hub;
  };

  bool is_up(const Entry& entry) const {
    return entry.link != nullptr && entry.link->state() == Link::State::up;
  }
  Connection& connection_of(const Link& link) { return connections_.at(link.serial); }
  Connection* find(uint64_t serial);
  void turn();
  void end();
  void send_messages();

  // Coming in.
  void accept();
  Link& add(bool dialled, net::Fd fd, const net::SocketAddress& address,
            std::unique_ptr<net::Transport> transport);
  void make_room_for_one_more();
  void dial(Entry& entry);
  void dial_later(Entry& entry);
  void cannot_reach(Entry& entry, std::string_view why);

  // Greeting.
  Hello own_hello(NodeEpoch to) const;
  Result<void> on_hello(Link& link, std::string_view body);
  Result<void> on_refuse(Link& link, std::string_view body);
  std::optional<Refusal> judge(const Link& link) const;
  bool certificate_fits(const Link& link) const;
  void admit(Link& link);
  void refuse(Link& link, Refusal why);
  void greeting_over(Link& link);

  // Up.
  void set_up(Link& link, Entry& entry);
  void set_down(Entry& entry);
  void ping(Link& link);
  Result<void> on_deliver(Link& link, std::string_view body);
  Result<void> on_request(Link& link, std::string_view body);
  void count_links();
  void count_refused(std::string_view reason);
  void remove(Link& link);

  const Options& options_;
  const Limits& limits_;
  Registry& registry_;
  const std::shared_ptr<Core> core_;  // shared with senders, replies and answers
  net::EventLoop& loop_;
  const std::shared_ptr<const net::tls::TlsServer> tls_server_;
  const std::shared_ptr<net::tls::TlsClient> tls_client_;
  const NodeEpoch self_;
  Handler& handler_;
  Counters counters_;
  std::map<std::string, Gauge*> up_gauges_;               // by node id
  std::map<std::string, Counter*, std::less<>> refused_;  // by reason
  std::mt19937_64 random_;
  const uint64_t instance_;

  Timers timers_;
  std::string read_room_, plain_;
  Link::Shared shared_;
  net::Listener listener_;
  Door door_{*this};
  Timer door_opens_;

  std::map<NodeEpoch, std::unique_ptr<Entry>> members_;
  NodeEpoch newest_;  // of all members there ever were
  std::unordered_map<uint64_t, Connection> connections_;
  uint64_t last_serial_ = 0;
  std::vector<uint64_t> pending_;  // accepted and not up, in the order in which they came
  std::vector<uint64_t> removed_;  // closed links, to be destroyed at the end of the turn
  std::vector<Outgoing> outgoing_;
  std::vector<Tasks::Task> tasks_;
  std::vector<Deliver> delivers_;
  bool quits_ = false;
};

}  // namespace courier::mesh
