#include "gateway/listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "gateway/connection.h"
#include "gateway/limits.h"
#include "gateway/shard_thread.h"
#include "net/errc.h"

namespace courier::gateway {

namespace {

log::Limit full_lines({.per_second = 1});
log::Limit shortage_lines({.per_second = 1});
log::Limit turned_away_lines({.per_second = 5});

Labels of(const ListenerOptions& options) {
  return {{"listener", options.name}};
}

Counter& refused(Registry& registry, const ListenerOptions& options, std::string_view reason) {
  return registry.counter("courier_accepts_refused_total",
                          "Connections that were closed as soon as they came.",
                          {{"listener", options.name}, {"reason", std::string(reason)}});
}

}  // namespace

Listener::Listener(ListenerOptions options, admission::Admission& admission, Registry& registry)
    : accepted(registry.counter("courier_accepts_total", "Connections that were let in.", of(options))),
      over_limit(refused(registry, options, "connections_max")),
      no_resources(refused(registry, options, "no_resources")),
      proxy_errors(
          registry.counter("courier_proxy_errors_total",
                           "Connections closed for a PROXY header that was bad, missing, or from a peer "
                           "that is not trusted.",
                           of(options))),
      options_(std::move(options)),
      admission_(admission),
      registry_(registry),
      open_(registry.gauge("courier_connections",
                           "Connections that are open, whether or not CONNECT has come.", of(options_))),
      transport_(options_.transport),
      proxy_(std::make_shared<const net::ProxyPolicy>(options_.proxy)),
      connections_max_(options_.connections_max),
      v3_1_1_extensions_(options_.v3_1_1_extensions) {
  using enum admission::Limit;
  for (const admission::Limit limit : {banned, rate, source_rate, source_connections, source_strangers}) {
    turned_away_[static_cast<size_t>(limit)] = &refused(registry, options_, admission::name(limit));
  }
}

void Listener::use(const ListenerOptions& changed) {
  transport_.store(changed.transport);
  proxy_.store(std::make_shared<const net::ProxyPolicy>(changed.proxy));
  connections_max_.store(changed.connections_max, std::memory_order_relaxed);
  v3_1_1_extensions_.store(changed.v3_1_1_extensions, std::memory_order_relaxed);
}

void Listener::turned_away(admission::Limit limit, const net::SocketAddress& client) {
  turned_away_[static_cast<size_t>(limit)]->add();
  log::warn(turned_away_lines, "connection not let in",
            {{"listener", options_.name},
             {"peer", client.to_string()},
             {"reason", admission::name(limit)},
             {"see", admission::setting(limit)}});
}

void Listener::transport_failed(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = transport_failures_.try_emplace(std::string(reason), nullptr);
  if (fresh) {
    at->second = &registry_.counter("courier_transport_errors_total",
                                    "Connections closed for what their TLS or WebSocket was.",
                                    {{"listener", options_.name}, {"reason", at->first}});
  }
  at->second->add();
}

bool Listener::admit() {
  const uint32_t before = connections_.fetch_add(1, std::memory_order_relaxed);
  if (const uint32_t most = connections_max(); most != 0 && before >= most) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  open_.add(1);
  return true;
}

void Listener::leave() {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  open_.add(-1);
}

Result<void> Listener::probe(const net::SocketAddress& address) {
  // Binding without SO_REUSEPORT fails while anybody listens, whoever it is; with SO_REUSEADDR it does not
  // mind connections of a broker that has just stopped.
  if (!address.is_ip()) return {};
  const net::NativeAddress native = address.native();
  const net::Fd fd(::socket(native.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(net::system_error("cannot listen on " + address.to_string(), errno));
  net::set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd.get(), native.get(), native.size) == 0) return {};
  if (errno != EADDRINUSE) return {};  // the listening socket itself will say what is wrong
  // The socket's own sentence is the better one: it says how to find who listens.
  auto socket = net::Listener::open(address);
  if (!socket) return fail(std::move(socket).error());
  return {};
}

Acceptor::Acceptor(ShardThread& thread, Listener& listener, net::Listener socket)
    : thread_(thread), listener_(listener), socket_(std::move(socket)) {}

Acceptor::~Acceptor() {
  if (started_) thread_.loop().forget(*this);
}

Result<void> Acceptor::start() {
  auto added = thread_.loop().add(socket_.fd(), *this, net::kReadable);
  started_ = added.has_value();
  return added;
}

void Acceptor::on_events(uint32_t) {
  for (unsigned i = 0; i < kAcceptsPerTurn; ++i) {
    net::Accepted accepted = socket_.accept();
    switch (accepted.outcome) {
      case net::AcceptOutcome::accepted:
        take(std::move(accepted));
        break;
      case net::AcceptOutcome::none:
        return;
      case net::AcceptOutcome::refused:
        listener_.no_resources.add();
        log::error(shortage_lines, "connection refused: out of file descriptors",
                   {{"listener", listener_.options().name}, {"error", net::system_words(accepted.error)}});
        break;
      case net::AcceptOutcome::stalled:
        listener_.no_resources.add();
        log::error(shortage_lines, "accepting pauses: out of resources",
                   {{"listener", listener_.options().name}, {"error", net::system_words(accepted.error)}});
        thread_.loop().modify(socket_.fd(), *this, 0);
        stalled_until_ = thread_.now() + MonoNs{net::Listener::kStallPauseMs} * kNsPerMs;
        thread_.acceptor_stalled();
        return;
    }
  }
}

void Acceptor::try_again() {
  stalled_until_ = INT64_MAX;
  thread_.loop().modify(socket_.fd(), *this, net::kReadable);
}

void Acceptor::take(net::Accepted accepted) {
  if (!listener_.admit()) {
    listener_.over_limit.add();
    log::warn(full_lines, "connection refused: the listener is full",
              {{"listener", listener_.options().name},
               {"connections_max", listener_.connections_max()},
               {"peer", accepted.peer.to_string()}});
    return;
  }
  // Who is there is known already, unless a header may say that it is somebody else: then nothing is paid for
  // who is not let in.
  std::optional<admission::Arrival> arrival;
  auto proxy = listener_.proxy();
  if (proxy->mode() == net::ProxyMode::off || !proxy->trusts(accepted.peer)) {
    arrival = thread_.admission().arrive(accepted.peer, !listener_.options().slow_handshake, thread_.now());
    if (arrival->verdict == admission::Verdict::close) {
      listener_.turned_away(arrival->limit, accepted.peer);
      listener_.leave();
      return;
    }
  }
  listener_.accepted.add();
  Connection::open(thread_, listener_, std::move(accepted.fd), std::move(accepted.peer), std::move(proxy),
                   arrival);
}

}  // namespace courier::gateway
