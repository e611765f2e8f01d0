// Streams between the brokers of a cluster, for what skips the log: QoS 0 messages, and small questions.
//
// It decides nothing and promises nothing. A message that cannot go to a node now is dropped and counted;
// what must not be lost is in the log. Every member has one TCP connection with every other, which the
// younger of the two (the greater epoch) makes. A link is with a run of a node, an epoch: when its node comes
// back, that is another peer. See README.md for the protocol's rules and frame.h for its bytes.
//
// Threads: one of its own, for all sockets; Handler and OnAnswer are called on it and must not block. Each
// shard has a Sender of its own. All else here may be called from any thread, except open(), start(), stop()
// and the destructor, which are one owner's.
//
// The order of things: open() (before the address is made known to others), start() (once there is an epoch),
// set_members() again and again; then stop(), when shards do not use their senders any more. The Handler
// outlives stop().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "mesh/errc.h"
#include "mesh/frame.h"
#include "mesh/limits.h"
#include "mesh/reply.h"
#include "mesh/sender.h"
#include "net/listener.h"
#include "net/socket_address.h"

namespace courier::net::tls {
class TlsClient;
class TlsServer;
}  // namespace courier::net::tls

namespace courier::mesh {

struct Member {
  std::string id;
  NodeEpoch epoch;
  net::SocketAddress address;  // where its mesh listens
};

// Both ends show a certificate that `ca` has issued, good for servers and clients.
struct TlsFiles {
  std::string certificate, key, ca;  // PEM
  // What name every node's certificate must have (a DNS name; without any the common name). Empty: its
  // node id, so that a stolen key is good for one node only.
  std::string name;
};

struct Options {
  std::string node_id;
  net::SocketAddress bind;
  std::string cluster;  // its name
  std::string log_id;   // which log that name stands for: two clusters may have been given one name
  std::optional<TlsFiles> tls;
  size_t shards = 1;
  Limits limits;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // In the order in which each shard there sent them. The messages may be taken out.
  virtual void on_deliver(NodeEpoch from, std::span<Deliver> messages) = 0;
  virtual void on_request(NodeEpoch from, uint16_t kind, std::string_view body, Reply reply) = 0;
  // Not called for the links that stop() closes.
  virtual void on_link(NodeEpoch peer, bool up) = 0;
};

class Hub;

class Mesh {
 public:
  // Listens; others are answered from start() on. errc::bad_setting, and those of net and net/tls. `registry`
  // outlives it.
  static Result<std::unique_ptr<Mesh>> open(Options options, Registry& registry);
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  // With the port that was chosen, if 0 was asked for.
  const net::SocketAddress& address() const;

  void start(NodeEpoch self, Handler& handler);
  // Closes all links and fails what is asked; no callback comes after it. Idempotent.
  void stop();

  // All members of this moment; this node may be among them. A member that is not named any more is gone for
  // good: its link is closed, and its epoch refused from then on.
  void set_members(std::vector<Member> members);

  // Whether there is a link to that run of a node now.
  bool reachable(NodeEpoch peer) const;

  Sender& sender(size_t shard);

  // Asks a peer, after start(). `timeout`: how long it may say nothing, from piece to piece. What is asked
  // before the link is there fails at once (errc::no_link).
  void request(NodeEpoch to, uint16_t kind, std::string body, MonoNs timeout, OnAnswer on_answer);

 private:
  Mesh(Options options, Registry& registry, std::shared_ptr<Core> core, net::Listener listener);

  const Options options_;
  Registry& registry_;
  const std::shared_ptr<Core> core_;  // shared with senders, replies and answers
  net::SocketAddress address_;
  std::optional<net::Listener> listener_;  // until start()
  std::shared_ptr<const net::tls::TlsServer> tls_server_;
  std::shared_ptr<net::tls::TlsClient> tls_client_;
  std::vector<std::unique_ptr<Sender>> senders_;
  std::unique_ptr<Hub> hub_;  // the thread's, while it runs
  std::thread thread_;
};

}  // namespace courier::mesh
