#include "gateway/connection.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/log.h"
#include "gateway/limits.h"
#include "gateway/shard_thread.h"
#include "net/kept_bytes.h"
#include "net/limits.h"
#include "net/socket.h"

namespace courier::gateway {

namespace {

log::Limit watch_lines({.per_second = 1});
log::Limit transport_lines({.per_second = 20});

}  // namespace

Connection::Connection(ShardThread& thread, Listener& listener, net::Fd fd)
    : thread_(&thread), listener_(&listener), fd_(std::move(fd)) {}

Connection::~Connection() {
  leave();
}

void Connection::leave() {
  if (left_) return;
  left_ = true;
  if (counted_) listener_->admission().left(source_, !stranger_);
  listener_->leave();
}

// It was let in.
void Connection::settle() {
  stranger_ = false;
  if (counted_) listener_->admission().settled(source_);
}

void Connection::open(ShardThread& thread, Listener& listener, net::Fd fd, net::SocketAddress peer,
                      std::shared_ptr<const net::ProxyPolicy> proxy,
                      const std::optional<admission::Arrival>& arrival) {
  std::unique_ptr<Connection> made(new Connection(thread, listener, std::move(fd)));
  if (arrival) {
    made->counted_ = arrival->counted;
    made->source_ = arrival->source;
  }
  if (auto added = thread.loop().add(made->fd_.get(), *made, net::kReadable); !added) {
    listener.no_resources.add();
    log::error(watch_lines, "connection refused",
               {{"listener", listener.options().name}, {"error", added.error().message}});
    if (arrival && arrival->verdict == admission::Verdict::delay) listener.admission().waited();
    return;
  }
  Connection& connection = *made.release();
  connection.interest_ = net::kReadable;
  connection.opening_ = std::make_unique<Opening>();
  connection.opening_->peer = peer;
  connection.opening_->client = std::move(peer);
  connection.opening_->proxy = std::move(proxy);
  connection.opening_->header_due = connection.opening_->proxy->mode() != net::ProxyMode::off;
  connection.opening_->deadline = thread.now() + thread.options().connect_timeout_ns;
  thread.keep_apart(connection);
  thread.wheel().arm_coarse(connection, connection.opening_->deadline);
  if (arrival && !connection.enter(*arrival)) return;
  if (!connection.opening_->header_due) connection.begin();
}

void Connection::move(ConnectionState to) {
  CHECK(may_move(state_, to));
  state_ = to;
}

// --- the socket ---

void Connection::on_events(uint32_t ready) {
  switch (state_) {
    case ConnectionState::closed:
      return;
    case ConnectionState::lingering:
      discard();
      return;
    case ConnectionState::closing:
      if (ready & net::kHangup) {
        destroy();
      } else if (ready & net::kWritable) {
        write_waiting();
      } else {
        want(interest_ & ~net::kReadable);
      }
      return;
    case ConnectionState::delayed:
      // It is not read, so there is nothing else to hear.
      if (ready & net::kHangup) {
        destroy();
      } else {
        want(0);
      }
      return;
    case ConnectionState::proxy_header:
    case ConnectionState::handshake:
    case ConnectionState::connect:
    case ConnectionState::serving:
      break;
  }
  if (ready & net::kWritable) write_waiting();
  if (state_ == ConnectionState::closed) return;
  if ((ready & net::kReadable) && reading() && !peer_ended_) {
    read();
  } else if (ready & net::kHangup) {
    peer_gone();
  } else if ((ready & net::kReadable) && connection_ && !input_ &&
             connection_->state == broker::Connection::State::authenticating && net::has_ended(fd_.get())) {
    // Nobody waits for the answer that may be long in coming.
    peer_gone();
  } else if (ready & net::kReadable) {
    // Paused, or behind with decoding: not to be told again until it is read again.
    want(interest_ & ~net::kReadable);
  }
}

void Connection::read() {
  if (peer_ended_) return;
  std::span<char> room = thread_->scratch();
  if (stranger_) [[unlikely]]
    room = room.first(this->room());
  const net::IoResult result = net::read_some(fd_.get(), room);
  switch (result.status) {
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
    case net::IoStatus::failed:
      peer_gone();
      return;
    case net::IoStatus::done:
      break;
  }
  thread_->metrics().bytes_received.add(result.bytes);
  if (connection_) {
    connection_->bytes_in += result.bytes;
  } else {
    opening_->bytes_in += result.bytes;
  }
  const std::string_view wire(room.data(), result.bytes);
  if (transport_) {
    unwrap(wire);
  } else if (state_ == ConnectionState::handshake) {
    shake_hands(wire);
  } else {
    take(wire);
  }
}

// What may be held of a stranger: a CONNECT, or a PROXY header.
size_t Connection::held_bytes_max() const {
  return std::max<size_t>(thread_->options().connect_bytes_max, net::kProxyV2SizeMax);
}

// How much of a stranger one read may bring, so that no more has to be held.
size_t Connection::room() const {
  if (state_ == ConnectionState::handshake && listener_->options().slow_handshake)
    return kHandshakeReadBytesMax;
  const size_t held = input_ ? input_->bytes.size() : 0, most = held_bytes_max();
  return std::clamp<size_t>(most > held ? most - held : 1, 1, kStrangerReadBytesMax);
}

void Connection::unwrap(std::string_view wire) {
  std::string& plain = thread_->plain();
  std::string& reply = thread_->reply();
  plain.clear();
  reply.clear();
  const Result<net::TransportState> result = transport_->receive(wire, plain, reply);
  if (!reply.empty()) gathered().wire.append(reply);
  if (!plain.empty()) take(plain);
  if (state_ >= ConnectionState::closing) return;
  if (!result) {
    broke(result.error());
  } else if (*result == net::TransportState::ended) {
    peer_ended();
  } else if (!reply.empty() && (stranger_ ? unsent_.bytes() : unsent_bytes()) > unread_bytes_max()) {
    // Pings without end, and no answer is read: nothing else looks at what they cost.
    broke(Error(make_error_code(std::errc::no_buffer_space), "too many answers are unread"));
  }
}

size_t Connection::unread_bytes_max() const {
  return stranger_ ? kOpeningUnreadBytesMax : thread_->options().output_bytes_max;
}

// The peer's goodbye: what came before it is worked off first.
void Connection::peer_ended() {
  if (reading()) {
    goodbye();
    return;
  }
  peer_ended_ = true;
  want(interest_ & ~net::kReadable);
}

void Connection::take(std::string_view fresh) {
  if (!input_) {
    keep(fresh.substr(decode(fresh)));
    return;
  }
  if (stranger_) {
    net::append_kept(input_->bytes, fresh, held_bytes_max());
  } else {
    input_->bytes.append(fresh);
  }
  go_on();
}

void Connection::go_on() {
  if (dead_) {
    if (state_ == ConnectionState::closing) {
      destroy();
    } else if (state_ != ConnectionState::closed) {
      peer_gone();
    }
    return;
  }
  if (connection_ && connection_->blocked && unsent_.empty()) thread_->shard().on_writable(*connection_);
  if (state_ == ConnectionState::serving && paused_ != 0) return;
  if (input_) {
    // Views of packets borrow from it, and a packet may end the connection: it is let go of afterwards.
    std::unique_ptr<Input> whole = std::move(input_);
    whole->starved = false;
    const size_t used = decode(whole->bytes);
    if (used > 0) {
      keep(std::string_view(whole->bytes).substr(used));
    } else if (state_ < ConnectionState::closing) {
      input_ = std::move(whole);
      await_rest();
    }
  }
  if (state_ >= ConnectionState::closing || !reading()) return;
  if (peer_ended_) {
    goodbye();
  } else {
    want(interest_ | net::kReadable);
  }
}

void Connection::keep(std::string_view rest) {
  if (rest.empty() || state_ >= ConnectionState::closing) return;
  input_ = std::make_unique<Input>(Input{std::string(rest), thread_->now(), rest.size()});
  await_rest();
}

// A packet was begun. Before CONNECT the connect timeout is all there is.
void Connection::await_rest() {
  if (state_ != ConnectionState::serving || !connection_ || !reading()) return;
  if (input_->bytes.size() > kStarvedInputBytes && thread_->shard().over_memory()) {
    thread_->shard().wait_for_memory(*connection_);
    input_->starved = true;
  }
  if (watched_) return;
  watched_ = true;
  const MonoNs due = thread_->now() + thread_->options().packet_timeout_ns;
  if (!armed() || keep_alive_seconds_ == 0 || keep_alive_deadline() > due) {
    thread_->wheel().arm_coarse(*this, due);
  }
}

bool Connection::packet_is_late() {
  const MonoNs timeout = thread_->options().packet_timeout_ns, now = thread_->now();
  if (!rest_is_due() || now < input_->since + timeout) return false;
  const auto came = static_cast<MonoNs>(input_->bytes.size() - input_->before);
  if (came < kPacketBytesPerSecondMin * (timeout / kNsPerMs) / 1000) return true;
  input_->since = now;
  input_->before = input_->bytes.size();
  return false;
}

size_t Connection::decode(std::string_view bytes) {
  size_t used = 0;
  if (state_ < ConnectionState::connect) [[unlikely]] {
    if (state_ == ConnectionState::proxy_header) {
      const std::optional<size_t> header = take_proxy_header(bytes);
      if (!header) return 0;
      used = *header;
    }
    // At once, or after these have waited while it was delayed.
    if (state_ == ConnectionState::handshake) {
      if (used < bytes.size()) shake_hands(bytes.substr(used));
      return bytes.size();
    }
  }
  unsigned packets = 0;
  while (used < bytes.size() && paused_ == 0) {
    const bool first = state_ == ConnectionState::connect;
    if (!first && state_ != ConnectionState::serving) break;
    if (packets == kPacketsPerTurn) {
      thread_->remember(*this);
      break;
    }
    mqtt::DecodeLimits limits{.packet_size_max = thread_->options().connect_bytes_max,
                              .v3_1_1_extensions = listener_->v3_1_1_extensions()};
    if (!stranger_) [[likely]]
      limits.packet_size_max = thread_->shard().promised(*connection_).packet_bytes_max;
    const mqtt::Version version = first ? mqtt::Version::v5 : connection_->version;
    const mqtt::DecodeResult result =
        mqtt::decode_one(bytes.substr(used), version, mqtt::Side::server, first, limits);
    if (const auto* decoded = std::get_if<mqtt::Decoded>(&result)) {
      used += decoded->size;
      ++packets;
      if (first) {
        on_connect(std::get<mqtt::Connect>(decoded->packet));
      } else {
        thread_->shard().on_packet(*connection_, decoded->packet);
      }
    } else if (const auto* violation = std::get_if<mqtt::Violation>(&result)) {
      if (first) {
        refuse(*violation);
      } else {
        thread_->shard().on_violation(*connection_, *violation);
      }
      break;
    } else {
      break;
    }
  }
  if (packets > 0) last_packet_ = moment(thread_->now());
  return used;
}

void Connection::peer_gone() {
  // Before CONNECT that is a health probe as often as not: no line, no count.
  if (connection_) thread_->shard().on_end(*connection_, broker::EndCause::client_closed);
  connection_ = nullptr;
  destroy();
}

// What lies between the socket and MQTT gave up; the peer is told as far as there are words for it.
void Connection::broke(const Error& error) {
  listener_->transport_failed(error.code);
  log::info(transport_lines, "connection closed: bad transport",
            {{"listener", listener_->options().name},
             {"peer", opening_ ? opening_->client.to_string() : connection_->peer.address.str()},
             {"reason", error.code.message()},
             {"why", error.message}});
  broken_ = true;
  goodbye();
}

// The peer said so, or cannot be understood any more. Before CONNECT that is a health probe as often as not.
void Connection::goodbye() {
  if (connection_) {
    thread_->shard().on_end(*connection_,
                            broken_ ? broker::EndCause::protocol_violation : broker::EndCause::client_closed);
  }
  if (state_ >= ConnectionState::closing) return;
  close();
  says_why_ = says_why_ || broken_;
}

void Connection::want(uint32_t interest) {
  if (interest == interest_) return;
  thread_->loop().modify(fd_.get(), *this, interest);
  interest_ = static_cast<uint8_t>(interest);
}

// --- broker::Link ---

Output& Connection::gathered() {
  if (!output_) output_ = thread_->take_output(*this);
  return *output_;
}

std::string& Connection::output() {
  return gathered().bytes;
}

size_t Connection::unsent_bytes() const {
  return unsent_.bytes() + (output_ ? output_->bytes.size() + output_->wire.size() : 0);
}

// From the bytes of packets to those of the wire, where something stands between.
std::string_view Connection::seal(Output& output) {
  // What only the peer may read is not said before the transport is open, nor when it failed.
  if (!transport_ || broken_) return output.wire;
  if (!output.bytes.empty()) {
    if (auto sealed = transport_->send(thread_->packets_of(output.bytes), output.wire); !sealed) {
      listener_->transport_failed(sealed.error().code);
      broken_ = dead_ = true;
      thread_->remember(*this);
      return {};
    }
  }
  if (state_ == ConnectionState::closing) transport_->close(net::CloseReason::normal, output.wire);
  return output.wire;
}

void Connection::pause(Pause reason) {
  paused_ |= reason;
}

void Connection::resume(Pause reason) {
  if (paused_ == 0) return;
  paused_ &= static_cast<uint8_t>(~reason);
  if (stranger_ && connection_ && connection_->state == broker::Connection::State::active) settle();
  if (paused_ != 0 || state_ != ConnectionState::serving) return;
  last_packet_ = moment(thread_->now());
  if (input_) {
    input_->since = thread_->now();
    input_->before = input_->bytes.size();
  }
  // Not here: the shard is in the middle of something.
  if (input_ || !(interest_ & net::kReadable)) thread_->remember(*this);
}

void Connection::set_keep_alive(uint32_t seconds) {
  keep_alive_seconds_ = static_cast<uint16_t>(std::min<uint32_t>(seconds, 65'535));
  if (state_ != ConnectionState::serving) return;
  last_packet_ = moment(thread_->now());
  set_timer();
}

// For whatever is due first.
void Connection::set_timer() {
  MonoNs due = keep_alive_seconds_ == 0 ? INT64_MAX : keep_alive_deadline();
  if (stranger_ && authentication_due() < due) due = authentication_due();
  watched_ = rest_is_due();
  if (watched_) due = std::min(due, input_->since + thread_->options().packet_timeout_ns);
  if (due == INT64_MAX) {
    thread_->wheel().cancel(*this);
  } else {
    thread_->wheel().arm_coarse(*this, due);
  }
}

void Connection::move_to(uint32_t shard, std::unique_ptr<broker::Connection> connection) {
  CHECK(state_ == ConnectionState::serving);
  ShardThread& from = *thread_;
  if (output_) {
    unsent_.append(plain_ ? std::string_view(output_->bytes) : seal(*output_));
  }
  from.release(*this);
  from.wheel().cancel(*this);
  watched_ = false;
  from.loop().remove(fd_.get(), *this);
  interest_ = 0;
  connection_ = nullptr;
  ShardThread& to = from.sibling(shard);
  thread_ = nullptr;
  to.hand_over({std::unique_ptr<Connection>(this), std::move(connection)});
}

void Connection::arrive(ShardThread& thread, std::unique_ptr<broker::Connection> connection) {
  thread_ = &thread;
  if (auto added = thread.loop().add(fd_.get(), *this, net::kReadable); !added) {
    // No shard has it at this moment, so there is nobody to tell.
    listener_->no_resources.add();
    log::error(watch_lines, "connection lost",
               {{"listener", listener_->options().name}, {"error", added.error().message}});
    move(ConnectionState::closed);
    thread.bury(*this);
    return;
  }
  interest_ = net::kReadable;
  connection_ = connection.get();
  last_packet_ = moment(thread.now());
  if (!unsent_.empty()) want(interest_ | net::kWritable);
  thread.shard().adopt(*this, std::move(connection));
}

void Connection::close() {
  connection_ = nullptr;
  move(ConnectionState::closing);
  // A transport says goodbye in words of its own, and so may the peer, who must not find a closed door.
  const bool goodbyes = transport_ && !broken_;
  if (goodbyes) gathered();
  // With nothing to say, and nothing of the peer's unread as far as we know, closing is all there is to do.
  says_why_ = goodbyes || unsent_bytes() > 0 || input_ || !(interest_ & net::kReadable);
  paused_ = 0;
  thread_->wheel().cancel(*this);
  thread_->keep_apart(*this);
  thread_->finish_later(*this);
}

// --- the end of the Turn ---

void Connection::write(Output& output) {
  output_ = nullptr;
  if (state_ == ConnectionState::closed || dead_) return;
  const std::string_view wire = plain_ ? std::string_view(output.bytes) : seal(output);
  if (wire.empty()) return;
  if (interest_ & net::kWritable) {
    // The socket was full and has not said otherwise.
    unsent_.append(wire);
    return;
  }
  const net::IoResult result = unsent_.write(fd_.get(), wire);
  thread_->metrics().bytes_sent.add(result.bytes);
  if (connection_) connection_->bytes_out += result.bytes;
  if (result.status == net::IoStatus::would_block) {
    want(interest_ | net::kWritable);
  } else if (result.status == net::IoStatus::failed) {
    unsent_.clear();
    dead_ = true;
    thread_->remember(*this);
  } else if (connection_ && connection_->blocked) {
    // The shard held back because of what this Turn gathered, and all of it went: no kWritable will say so.
    thread_->remember(*this);
  }
}

void Connection::write_waiting() {
  const net::IoResult result = unsent_.flush(fd_.get());
  thread_->metrics().bytes_sent.add(result.bytes);
  if (connection_) connection_->bytes_out += result.bytes;
  switch (result.status) {
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
    case net::IoStatus::failed:
      peer_gone();
      return;
    case net::IoStatus::done:
      break;
  }
  want(interest_ & ~net::kWritable);
  if (state_ == ConnectionState::closing) {
    thread_->finish_later(*this);
  } else if (connection_) {
    thread_->shard().on_writable(*connection_);
  }
}

void Connection::finish() {
  if (state_ != ConnectionState::closing) return;
  if (dead_ || !says_why_) {
    destroy();
    return;
  }
  const MonoNs until = thread_->now() + kLingerNs;
  if (!armed()) thread_->wheel().arm_coarse(*this, until);
  if (!unsent_.empty()) return;  // kWritable will be reported
  if (!thread_->may_linger()) {
    destroy();
    return;
  }
  move(ConnectionState::lingering);
  input_.reset();
  thread_->lingering(1);
  net::shut_sending(fd_.get());
  want(net::kReadable);
}

void Connection::discard() {
  const net::IoResult result = net::read_some(fd_.get(), thread_->scratch());
  switch (result.status) {
    case net::IoStatus::done:
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
    case net::IoStatus::failed:
      destroy();
      return;
  }
}

void Connection::destroy() {
  if (state_ == ConnectionState::closed) return;
  if (state_ == ConnectionState::lingering) thread_->lingering(-1);
  if (state_ == ConnectionState::delayed) thread_->admission().waited();
  if (state_ == ConnectionState::handshake) opening_->handshake->connection = nullptr;
  move(ConnectionState::closed);
  connection_ = nullptr;
  thread_->release(*this);
  thread_->wheel().cancel(*this);
  thread_->loop().forget(*this);
  thread_->bury(*this);
  leave();  // first: who sees its connection end may come again at once, and find its place free
  fd_.reset();
}

// --- time ---

// Whoever is asked about it may take this long, with all that the client is asked meanwhile.
MonoNs Connection::authentication_due() const {
  if (!connection_ || connection_->state != broker::Connection::State::authenticating) return INT64_MAX;
  if (paused_ & limited) return INT64_MAX;  // it is decided; it comes in as soon as its limit lets it
  return connection_->request->came_at + thread_->options().authenticate_timeout_ns;
}

MonoNs Connection::keep_alive_deadline() const {
  // last_packet_ holds the low bits of a moment that is not far from now, rounded down: one more unit, so
  // that nobody is cut off early.
  const MonoNs now = thread_->now();
  const uint32_t age = moment(now) - last_packet_;
  const MonoNs last = ((now >> kMomentShift) - MonoNs{age} + 1) << kMomentShift;
  return last + MonoNs{keep_alive_seconds_} * 1'500'000'000;
}

void Connection::on_timer() {
  switch (state_) {
    case ConnectionState::delayed:
      wait_is_over();
      return;
    case ConnectionState::proxy_header:
    case ConnectionState::handshake:
    case ConnectionState::connect:
      connect_timed_out();
      return;
    case ConnectionState::closing:
    case ConnectionState::lingering:
      destroy();
      return;
    case ConnectionState::closed:
      return;
    case ConnectionState::serving:
      break;
  }
  if (paused_ != 0) last_packet_ = moment(thread_->now());
  if (stranger_ && authentication_due() <= thread_->now()) {
    thread_->shard().on_end(*connection_, broker::EndCause::connect_timeout);
    return;
  }
  const auto silent = [this] { return keep_alive_seconds_ != 0 && keep_alive_deadline() <= thread_->now(); };
  // After a long Turn its packets may lie in the kernel still: one more look before it is given up.
  if ((silent() || packet_is_late()) && reading()) read();
  if (state_ != ConnectionState::serving) return;
  if (silent()) {
    thread_->shard().on_end(*connection_, broker::EndCause::keep_alive_timeout);  // [MQTT-3.1.2-22]
  } else if (packet_is_late()) {
    thread_->shard().on_end(*connection_, broker::EndCause::packet_timeout);
  } else {
    set_timer();
  }
}

}  // namespace courier::gateway
