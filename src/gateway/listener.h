// One door of the node, as the settings name it: where it listens, whom it believes, how many it lets in.
//
// A Listener is shared by all shard threads. Each of them has a listening socket of its own on the same
// address (SO_REUSEPORT) and an Acceptor that takes from it: the kernel spreads the connections, a storm of
// them is accepted, read and authenticated by all cores, and none is handed over before its CONNECT has said
// to which shard it belongs. (One accepting thread would pay a wake-up per connection and be the bottleneck
// of a morning's reconnects.) What SO_REUSEPORT costs is that a second broker of the same user could quietly
// share the port; probe() refuses to start then. A Unix socket has one listening socket, on the first thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

#include "admission/admission.h"
#include "base/metrics.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "net/proxy_policy.h"
#include "net/transport.h"

namespace courier::gateway {

class ShardThread;

struct ListenerOptions {
  std::string name;
  net::SocketAddress bind;
  std::string mountpoint;
  bool slow_handshake = false;  // workers do it

  // --- what may change while it listens: Listener::use() ---
  net::ProxyPolicy proxy;
  uint32_t connections_max = 0;    // 0: no limit of its own
  bool v3_1_1_extensions = false;  // see mqtt::DecodeLimits
  // What stands between the socket and MQTT; null: nothing, for good.
  std::shared_ptr<const net::TransportFactory> transport;
};

// Thread-safe. Outlives its connections.
class Listener {
 public:
  Listener(ListenerOptions options, admission::Admission& admission, Registry& registry);

  // As it began: what may change has functions of its own.
  const ListenerOptions& options() const { return options_; }
  // For the next connections; shared with those that come before there is another. Null if nothing is
  // between.
  std::shared_ptr<const net::TransportFactory> transport() const { return transport_.load(); }
  std::shared_ptr<const net::ProxyPolicy> proxy() const { return proxy_.load(); }
  uint32_t connections_max() const { return connections_max_.load(std::memory_order_relaxed); }
  bool v3_1_1_extensions() const { return v3_1_1_extensions_.load(std::memory_order_relaxed); }
  // For connections that come from now on; v3_1_1_extensions for all.
  void use(const ListenerOptions& changed);
  // Counts a connection that ended for what its TLS or WebSocket was. `reason`: of a bounded set.
  void transport_failed(std::string_view reason);
  void transport_failed(std::error_code code) { transport_failed(code.message()); }
  admission::Admission& admission() { return admission_; }
  // Counts a connection that was not let in, and says so in the log now and then.
  void turned_away(admission::Limit limit, const net::SocketAddress& client);
  // Counts one connection in; false when the limit is reached.
  bool admit();
  void leave();
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }

  // Whether nobody listens there already; net::errc::address_in_use… with a sentence that says what to do.
  static Result<void> probe(const net::SocketAddress& address);

  Counter& accepted;
  Counter& over_limit;    // closed at once: connections_max
  Counter& no_resources;  // closed at once: no descriptors, no memory
  Counter& proxy_errors;

 private:
  const ListenerOptions options_;
  admission::Admission& admission_;
  Registry& registry_;
  std::array<Counter*, admission::kLimitCount> turned_away_{};
  Gauge& open_;
  std::atomic<std::shared_ptr<const net::TransportFactory>> transport_;
  std::atomic<std::shared_ptr<const net::ProxyPolicy>> proxy_;
  std::atomic<uint32_t> connections_max_;
  std::atomic<bool> v3_1_1_extensions_;
  std::mutex mutex_;
  std::map<std::string, Counter*, std::less<>> transport_failures_;  // guarded by mutex_
  alignas(64) std::atomic<uint32_t> connections_{0};
};

// One thread's listening socket. Owned by its ShardThread, used on that thread.
class Acceptor final : public net::Handler {
 public:
  Acceptor(ShardThread& thread, Listener& listener, net::Listener socket);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Begins to take connections. net::errc::out_of_resources.
  Result<void> start();
  void on_events(uint32_t ready) override;

  // When a stalled acceptor tries again; INT64_MAX when it is not stalled.
  MonoNs stalled_until() const { return stalled_until_; }
  void try_again();
  const Listener& listener() const { return listener_; }

 private:
  void take(net::Accepted accepted);

  ShardThread& thread_;
  Listener& listener_;
  net::Listener socket_;
  bool started_ = false;
  MonoNs stalled_until_ = INT64_MAX;
};

}  // namespace courier::gateway
