#include "client/client.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/check.h"
#include "client/errc.h"
#include "net/errc.h"
#include "net/proxy_header.h"
#include "net/socket.h"

namespace courier::client {
namespace {

// How long close() waits for the server to read to the end.
constexpr int64_t kClosePatienceMs = 5'000;

}  // namespace

Result<std::shared_ptr<const Endpoint>> Endpoint::resolve(const std::string& host, uint16_t port) {
  auto addresses = net::resolve(host, port);
  if (!addresses) return fail(addresses.error());
  const bool ipv6 = host.find(':') != std::string::npos;
  std::string name = ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
  return std::make_shared<const Endpoint>(Endpoint{std::move(name), std::move(*addresses)});
}

std::shared_ptr<const Endpoint> Endpoint::of(net::SocketAddress address) {
  return any_of({address});
}

std::shared_ptr<const Endpoint> Endpoint::any_of(std::vector<net::SocketAddress> addresses) {
  CHECK(!addresses.empty());
  std::string name;
  for (const auto& address : addresses) name += (name.empty() ? "" : " or ") + address.to_string();
  return std::make_shared<const Endpoint>(Endpoint{std::move(name), std::move(addresses)});
}

std::string proxy_preamble(int version, const net::SocketAddress& source,
                           const net::SocketAddress& destination) {
  net::ProxyHeader header;
  header.source = source;
  header.destination = destination;
  return version == 1 ? net::encode_proxy_v1(header) : net::encode_proxy_v2(header);
}

Client::Client(ClientLoop& loop, ClientSetup setup, ClientHandler& handler)
    : loop_(loop),
      handler_(handler),
      server_(std::move(setup.server)),
      backoff_(setup.backoff),
      engine_(std::move(setup.client_id), std::move(setup.connect), *this),
      timer_([this] { on_timer(); }),
      reconnect_(setup.reconnect) {
  CHECK(server_ && !server_->addresses.empty());
  if (setup.source || !setup.preamble.empty() || setup.transport) {
    origin_ = std::make_unique<const Origin>(
        Origin{setup.source, std::move(setup.preamble), std::move(setup.transport)});
  }
}

Client::~Client() {
  CHECK(!in_engine_);  // destroyed from within its own handler
  drop_transport();
}

Result<void> Client::open() {
  if (!server_ || server_->addresses.empty()) return fail(errc::invalid_argument, "no server to connect to");
  if (auto ok = Engine::check(engine_.client_id(), engine_.options()); !ok) return ok;
  switch (state_) {
    case State::opening:
    case State::handshaking:
    case State::greeting:
    case State::online:
      return {};
    case State::closing:
      drop_transport();
      break;
    case State::closed:
    case State::waiting:
      break;
  }
  // The loop connects, so that no hook is called from here.
  begin_attempt();
  loop_.arm(timer_, 0);
  return {};
}

void Client::close(const Farewell& farewell) {
  if (state_ == State::closing) return;
  if (state_ == State::online) {
    engine_.disconnect(loop_.now(), farewell);
    touch();
    loop_.arm(timer_, kClosePatienceMs);
  } else {
    if (in_engine_)
      engine_.disconnect(loop_.now());  // no CONNACK yet: there is nobody to say goodbye to
    else
      drop_transport();
    loop_.arm(timer_, 0);
  }
  state_ = State::closing;
}

void Client::cut(Cut how) {
  cut_how_ = how;
  if (in_engine_) {
    cut_asked_ = true;
    engine_.disconnect(loop_.now());  // nothing more is delivered; what it writes is not sent
    return;
  }
  drop_transport();
  state_ = State::closed;
}

void Client::set_reading(bool on) {
  if (reading_ == on) return;
  reading_ = on;
  touch();  // flush() tells the loop what to wait for
}

void Client::abandon() {
  in_engine_ = true;
  engine_.fail_all(make_error_code(errc::closed));
  in_engine_ = false;
  settle();
}

// ---- What the application asks for

Result<RequestId> Client::publish(const OutgoingMessage& message) {
  if (message.qos == Qos::at_most_once && output_.bytes() + engine_.output().size() > kOutputBytesMax) {
    return fail(errc::queue_full, "the server takes messages more slowly than they are published");
  }
  borrow_buffer();
  auto request = engine_.publish(message, loop_.now());
  touch();
  return request;
}

Result<RequestId> Client::subscribe(std::vector<Subscription> subscriptions,
                                    std::optional<uint32_t> subscription_identifier,
                                    UserPropertyList user_properties) {
  auto request = engine_.subscribe(std::move(subscriptions), loop_.now(), subscription_identifier,
                                   std::move(user_properties));
  touch();
  return request;
}

Result<RequestId> Client::unsubscribe(std::vector<std::string> filters, UserPropertyList user_properties) {
  auto request = engine_.unsubscribe(std::move(filters), loop_.now(), std::move(user_properties));
  touch();
  return request;
}

void Client::acknowledge(PacketId id) {
  engine_.acknowledge(id, loop_.now());
  touch();
}

Result<void> Client::authenticate(const mqtt::Auth& auth) {
  auto sent = engine_.authenticate(auth, loop_.now());
  touch();
  return sent;
}

Result<void> Client::set_connect_options(std::shared_ptr<const ConnectOptions> options) {
  if (engine_.state() != Engine::State::idle) {
    return fail(errc::invalid_argument, "options cannot change during a connection");
  }
  if (options->version != engine_.options().version) {
    return fail(errc::invalid_argument, "a client's protocol version cannot change");
  }
  if (auto ok = Engine::check(engine_.client_id(), *options); !ok) return ok;
  engine_.set_options(std::move(options));
  return {};
}

net::SocketAddress Client::local_address() const {
  if (!fd_) return {};
  return net::SocketAddress::local_of(fd_.get()).value_or(net::SocketAddress{});
}

std::optional<net::TlsSession> Client::tls() const {
  return transport_ ? transport_->tls() : std::nullopt;
}

// ---- Connecting

void Client::begin_attempt() {
  state_ = State::opening;
  address_ = first_address_;
  addresses_left_ = static_cast<uint16_t>(server_->addresses.size());
}

uint16_t Client::address_behind() const {
  return static_cast<uint16_t>((address_ + 1u) % server_->addresses.size());
}

// Leads to the next, if this attempt has not yet tried it.
void Client::address_is_no_good() {
  if (--addresses_left_ > 0) address_ = address_behind();
}

void Client::connect_next() {
  Ending ending{.code = make_error_code(errc::cannot_connect)};
  while (addresses_left_ > 0) {
    net::ConnectOptions options;
    if (origin_) options.source = origin_->source;
    auto fd = net::connect_start(server_->addresses[address_], options);
    if (fd) {
      fd_ = std::move(*fd);
      interest_ = net::kWritable;
      auto added = loop_.events_->add(fd_.get(), *this, interest_);
      if (added) {
        loop_.arm(timer_, engine_.options().connect_timeout_ms);
        return;
      }
      fd_.reset();
      ending.cause = added.error().code;
      ending.message = added.error().message;
    } else {
      ending.cause = fd.error().code;
      ending.message = fd.error().message;
    }
    address_is_no_good();
  }
  if (ending.message.empty() && ending_) ending = *ending_;  // of the last address, which failed later
  // The last address' sentence names that address; the server's name is said where it is another one.
  if (ending.message.find(server_->name) == std::string::npos) {
    ending.message = fmt::format("{}: {}", server_->name, ending.message);
  }
  lost(std::move(ending));
}

// The address under trial is no good; the sentence is kept in case that no other is.
void Client::address_failed(std::error_code cause, std::string message) {
  loop_.events_->forget(*this);
  fd_.reset();
  loop_.timers_.cancel(timer_);
  ending_ = std::make_unique<Ending>(
      Ending{.code = make_error_code(errc::cannot_connect), .message = std::move(message), .cause = cause});
  address_is_no_good();
  connect_next();
}

void Client::connected() {
  ending_.reset();
  net::set_no_delay(fd_.get());
  want(net::kReadable);
  if (origin_) output_.append(origin_->preamble);
  if (!origin_ || !origin_->transport) return transport_up();
  state_ = State::handshaking;
  transport_ = origin_->transport();
  transport_->start(loop_.wire_);
  output_.append(loop_.wire_);
  loop_.clear_wire();
  loop_.arm(timer_, engine_.options().connect_timeout_ms);
  touch();
}

void Client::transport_up() {
  state_ = State::greeting;
  reading_ = true;
  handler_.on_transport(*this);
  borrow_buffer();
  engine_.start(loop_.now());
  arm_for_engine();
  touch();
}

// ---- Readiness and time

void Client::on_events(uint32_t ready) {
  if (state_ == State::opening) {
    if (auto up = net::connect_outcome(fd_.get(), server_->addresses[address_]); !up) {
      return address_failed(up.error().code, up.error().message);
    }
    return connected();
  }
  if (ready & (net::kReadable | net::kHangup)) {
    const int fd = fd_.get();
    state_ == State::closing ? read_to_end() : read();
    if (fd_.get() != fd) return;
  }
  if (ready & net::kWritable) flush();
}

void Client::read() {
  const auto result = net::read_some(fd_.get(), loop_.read_buffer_);
  switch (result.status) {
    case net::IoStatus::done:
      if (transport_) return unwrap({loop_.read_buffer_.data(), result.bytes});
      return take({loop_.read_buffer_.data(), result.bytes});
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
      return peer_closed(0);
    case net::IoStatus::failed:
      return peer_closed(result.error);
  }
}

// By an errno, or in order: 0. Who does not want to talk does that, or resets the connection.
void Client::peer_closed(int error) {
  const bool handshaking = state_ == State::handshaking;
  const bool refuses = state_ == State::greeting && (error == 0 || error == ECONNRESET);
  const errc code = handshaking ? errc::cannot_connect : refuses ? errc::refused : errc::connection_lost;
  std::string when;
  if (handshaking) when = " during the handshake";
  if (state_ == State::greeting) when = " without answering CONNECT";
  if (error == 0) {
    return lost({.code = make_error_code(code),
                 .message = fmt::format("{} closed the connection{}", server_->name, when)});
  }
  lost({.code = make_error_code(code),
        .message = fmt::format("connection to {} lost{}: {}", server_->name, when, net::system_words(error)),
        .cause = make_error_code(net::errc_of(error))});
}

// What came is for the transport; what comes out of it is MQTT. A transport that breaks has given what came
// before: the server's last word may be among it.
void Client::unwrap(std::string_view wire) {
  const auto received = transport_->receive(wire, loop_.plain_, loop_.wire_);
  const bool replied = !loop_.wire_.empty();
  output_.append(loop_.wire_);
  loop_.clear_wire();
  if (state_ == State::handshaking && received && *received != net::TransportState::opening) transport_up();
  if (state_ != State::handshaking && !loop_.plain_.empty()) take(loop_.plain_);
  loop_.plain_.clear();
  if (state_ != State::handshaking && state_ != State::greeting && state_ != State::online) return;
  if (!received) return transport_failed(received.error());
  if (*received == net::TransportState::ended) {
    static_cast<void>(output_.flush(fd_.get()));  // our goodbye
    return peer_closed(0);
  }
  if (!replied) return;
  if (output_.bytes() > kOutputBytesMax) {
    return lost({.code = make_error_code(errc::connection_lost),
                 .message = fmt::format("{} asks and does not read the answers", server_->name)});
  }
  touch();
}

void Client::take(std::string_view bytes) {
  const State before = state_;
  borrow_buffer();
  in_engine_ = true;
  if (partial_.empty()) {
    const size_t used = engine_.receive(bytes, loop_.now());
    partial_.assign(bytes.substr(used));
  } else {
    partial_.append(bytes);
    const size_t used = engine_.receive(partial_, loop_.now());
    partial_.erase(0, used);
  }
  in_engine_ = false;
  if (partial_.empty() && partial_.capacity() > 64) partial_ = std::string();
  settle();
  if (state_ != State::greeting && state_ != State::online) return touch();
  if (before != state_) arm_for_engine();
  touch();
}

// After DISCONNECT nothing that the server says matters; but closing with unread bytes would reset the
// connection and could cost the server our last ones.
void Client::read_to_end() {
  const auto result = net::read_some(fd_.get(), loop_.read_buffer_);
  switch (result.status) {
    case net::IoStatus::done:
    case net::IoStatus::would_block:
      return;
    case net::IoStatus::closed:
    case net::IoStatus::failed:
      return finish_closing();
  }
}

void Client::on_timer() {
  switch (state_) {
    case State::closed:
      return;
    case State::waiting:
      begin_attempt();
      return connect_next();
    case State::opening:
      if (!fd_) return connect_next();
      return address_failed(
          make_error_code(net::errc::timed_out),
          fmt::format("cannot connect to {}: no answer", server_->addresses[address_].to_string()));
    case State::handshaking:
      return lost({.code = make_error_code(errc::timed_out),
                   .message = fmt::format("{} does not go on with the handshake", server_->name)});
    case State::greeting:
    case State::online:
      in_engine_ = true;
      engine_.tick(loop_.now());
      in_engine_ = false;
      settle();
      arm_for_engine();
      return touch();
    case State::closing:
      return finish_closing();
  }
}

void Client::arm_for_engine() {
  if (!fd_ || (state_ != State::greeting && state_ != State::online)) return;
  const MonoNs due = engine_.next_deadline();
  if (due == kNever)
    loop_.timers_.cancel(timer_);
  else
    loop_.arm_coarse(timer_, due);
}

void Client::on_connected(const mqtt::Connack& connack, bool session_present) {
  state_ = State::online;
  online_since_ = loop_.now();
  first_address_ = 0;
  ghost_.reset();  // only now: the server is to see the take-over before the end
  handler_.on_connected(*this, connack, session_present);
}

// ---- Writing

// Buffers are lent for a turn, so that publishing does not allocate and an idle client holds none.
void Client::borrow_buffer() {
  std::string& buffer = engine_.output();
  if (buffer.capacity() > 64 || loop_.write_buffers_.empty()) return;
  loop_.write_buffers_.back().assign(buffer);
  buffer.swap(loop_.write_buffers_.back());
  loop_.write_buffers_.pop_back();
}

void Client::touch() {
  if (flush_place_ != kNoPlace || !fd_) return;
  flush_place_ = static_cast<uint32_t>(loop_.to_flush_.size());
  loop_.to_flush_.push_back(this);
}

void Client::flush() {
  if (!fd_ || state_ == State::opening) return;
  std::string& buffer = engine_.output();
  std::string_view bytes = buffer;
  if (transport_ && state_ != State::handshaking) {
    if (auto wrapped = wrap(buffer); !wrapped) {
      loop_.clear_wire();
      return transport_failed(std::move(wrapped).error());
    }
    bytes = loop_.wire_;
  }
  if (!bytes.empty() || !output_.empty()) {
    const auto result = output_.write(fd_.get(), bytes);
    buffer.clear();
    if (transport_) loop_.clear_wire();
    if (result.status == net::IoStatus::failed) {
      if (state_ == State::closing) return finish_closing();
      return lost({.code = make_error_code(errc::connection_lost),
                   .message = fmt::format("connection to {} lost: {}", server_->name,
                                          net::system_words(result.error)),
                   .cause = make_error_code(net::errc_of(result.error))});
    }
  }
  if (buffer.capacity() > 64) {
    if (buffer.capacity() <= ClientLoop::kWriteBufferSizeMax &&
        loop_.write_buffers_.size() < ClientLoop::kWriteBuffersMax) {
      loop_.write_buffers_.push_back(std::exchange(buffer, {}));
    } else {
      buffer = std::string();
    }
  }
  if (state_ == State::closing) loop_.arm(timer_, kClosePatienceMs);
  const bool reads = reading_ || state_ == State::closing || state_ == State::handshaking;
  want((reads ? net::kReadable : 0u) | (output_.empty() ? 0u : net::kWritable));
  if (state_ == State::closing && output_.empty()) net::shut_sending(fd_.get());
}

// Into the loop's wire_.
Result<void> Client::wrap(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view unit = bytes.substr(0, kTransportUnitBytesMax);
    if (auto sent = transport_->send(unit, loop_.wire_); !sent) return sent;
    bytes.remove_prefix(unit.size());
  }
  if (state_ == State::closing) transport_->close(net::CloseReason::normal, loop_.wire_);
  return {};
}

void Client::want(uint32_t interest) {
  if (interest_ == interest) return;
  interest_ = static_cast<uint8_t>(interest);
  loop_.events_->modify(fd_.get(), *this, interest);
}

// ---- Ending

// What hooks asked for, or the engine found, while the engine was at work.
void Client::settle() {
  if (in_engine_) return;
  if (cut_asked_) {
    cut_asked_ = false;
    ending_.reset();
    return cut(cut_how_);
  }
  if (state_ == State::closing) {
    ending_.reset();
    if (engine_.state() == Engine::State::ended) return;
  }
  if (!ending_) return;
  flush();  // the engine's last word to the server, a DISCONNECT with its reason
  if (auto ending = std::exchange(ending_, nullptr)) lost(std::move(*ending));
}

void Client::lost(Ending ending) {
  if (state_ == State::closing) return finish_closing();
  if (state_ == State::handshaking || state_ == State::greeting) first_address_ = address_behind();
  const bool stable = state_ == State::online && loop_.now() - online_since_ >= backoff_.stable_ms * kNsPerMs;
  drop_transport();
  ending_.reset();
  if (stable) attempts_ = 0;
  std::optional<int64_t> retry_in_ms;
  if (reconnect_) {
    if (backoff_.seed == 0) {
      retry_in_ms = backoff_delay(backoff_, attempts_, loop_.random()) / kNsPerMs;
    } else {
      Random own(backoff_.seed);
      retry_in_ms = backoff_delay(backoff_, attempts_, own) / kNsPerMs;
      backoff_.seed = own() | 1;
    }
    if (attempts_ < 0xFFFF) ++attempts_;
    loop_.arm(timer_, *retry_in_ms);
  }
  state_ = reconnect_ ? State::waiting : State::closed;
  handler_.on_disconnected(*this, ending, retry_in_ms);
}

void Client::transport_failed(Error error) {
  static_cast<void>(output_.flush(fd_.get()));  // tells the server why, if it still listens
  const bool handshaking = state_ == State::handshaking;
  const std::string where = handshaking ? fmt::format("cannot connect to {}", server_->name)
                                        : fmt::format("connection to {} lost", server_->name);
  lost({.code = make_error_code(handshaking ? errc::cannot_connect : errc::connection_lost),
        .message = error.within(where).message,
        .cause = error.code});
}

void Client::finish_closing() {
  drop_transport();
  state_ = State::closed;
  attempts_ = 0;
  handler_.on_closed(*this);
}

void Client::drop_transport() {
  loop_.timers_.cancel(timer_);
  if (flush_place_ != kNoPlace) {
    loop_.to_flush_[flush_place_] = nullptr;
    flush_place_ = kNoPlace;
  }
  if (fd_) {
    if (cut_how_ == Cut::silent) {
      loop_.events_->remove(fd_.get(),
                            *this);  // it stays open: what comes there is not for the next connection
      ghost_ = std::move(fd_);
    } else {
      if (cut_how_ == Cut::reset) net::set_reset_on_close(fd_.get());
      loop_.events_->forget(*this);
    }
    fd_.reset();
  }
  cut_how_ = Cut::close;
  transport_.reset();
  output_.clear();
  partial_ = std::string();
  engine_.transport_closed();
}

}  // namespace courier::client
