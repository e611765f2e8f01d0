#include "harness/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace courier::scenario {
namespace {

using Clock = std::chrono::steady_clock;

std::string describe(const Packet& packet) {
  std::string out = type_name(packet.type);
  if (packet.type == kPublish) out += " of " + packet.topic + ": " + packet.payload.substr(0, 60);
  if (packet.reason != 0) out += " with reason " + std::to_string(packet.reason);
  if (const auto why = packet.properties.text(kReasonString)) out += " (" + *why + ")";
  return out;
}

bool begins_with_qos0(std::string_view bytes) {
  return !bytes.empty() && (static_cast<uint8_t>(bytes[0]) & 0xF6) == kPublish << 4;
}

bool is_promise(const Packet& packet) {
  return packet.type == kConnack || packet.type == kSuback || packet.type == kUnsuback;
}

}  // namespace

Connect persistent(Version version, std::string client_id) {
  return {.version = version,
          .client_id = std::move(client_id),
          .clean = false,
          .properties = version == v5 ? with(kSessionExpiry, 600) : Properties()};
}

Client Client::open(uint16_t port) {
  return open(port, transport_to(port));
}

Client Client::open(uint16_t port, std::unique_ptr<net::Transport> transport) {
  Client client = open_at(next_node(port), port);
  client.begin(std::move(transport));
  return client;
}

Client Client::open_at(uint32_t node, uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + node);
  address.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    throw Broken(std::string("cannot connect: ") + std::strerror(errno));
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Client client(fd, v5);
  client.port_ = port;
  client.node_ = node;
  return client;
}

void Client::begin(std::unique_ptr<net::Transport> transport) {
  if (!transport) return;
  transport_ = std::move(transport);
  std::string first;
  transport_->start(first);
  send_wire(first);
  while (opening_) {
    if (!fill(Clock::now() + kPatience, "its transport to open")) throw Broken("the transport does not open");
  }
}

Client Client::open_ipv6(uint16_t port) {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  address.sin6_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    throw Broken(std::string("cannot connect to ::1: ") + std::strerror(errno));
  }
  return Client(fd, v5);
}

bool Client::has_ipv6() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) ::close(fd);
  return bound;
}

Client::Client(const Connect& connect, std::optional<uint16_t> port) {
  const uint16_t door = port ? *port : shared_broker().port();
  Connect named = connect;
  if (named.client_id.empty()) named.client_id = unique("client");
  *this = open_at(next_node(door, named.client_id), door);
  begin(transport_to(door));
  handshake(named);
  if (connack_.reason != 0)
    throw Broken("CONNECT of " + named.client_id + " was refused: " + describe(connack_));
}

Client::Client(Client&& other) noexcept {
  *this = std::move(other);
}

Client& Client::operator=(Client&& other) noexcept {
  if (this == &other) return *this;
  drop();
  fd_ = std::exchange(other.fd_, -1);
  port_ = other.port_;
  node_ = other.node_;
  version_ = other.version_;
  id_ = std::move(other.id_);
  buffer_ = std::move(other.buffer_);
  waiting_ = std::move(other.waiting_);
  connack_ = std::move(other.connack_);
  last_id_ = other.last_id_;
  packet_size_max_ = other.packet_size_max_;
  transport_ = std::move(other.transport_);
  opening_ = other.opening_;
  return *this;
}

Client::~Client() {
  drop();
}

void Client::drop() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Client::finish_sending() {
  ::shutdown(fd_, SHUT_WR);
}

Packet Client::handshake(const Connect& connect) {
  version_ = connect.version;
  id_ = connect.client_id;
  packet_size_max_ = connect.properties.number(kMaximumPacketSize).value_or(UINT32_MAX);
  send(connect_packet(connect));
  connack_ = expect(kConnack);
  return connack_;
}

void Client::send(std::string_view bytes) {
  if (begins_with_qos0(bytes)) settle_promises(port_);
  if (!transport_) {
    send_wire(bytes);
    return;
  }
  std::string wire;
  if (auto sealed = transport_->send(bytes, wire); !sealed) throw Broken(sealed.error().message);
  send_wire(wire);
}

void Client::send_wire(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    // A server that has closed already is for the following expectation to judge.
    if (sent < 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool Client::fill(Clock::time_point deadline, std::string_view waiting_for) {
  if (fd_ < 0) throw Broken("the test closed this connection already");
  pollfd waiting{fd_, POLLIN, 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  if (::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 0) {
    throw Broken(id_ + " waited in vain for " + std::string(waiting_for));
  }
  char bytes[65536];
  const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  if (!transport_) {
    buffer_.append(bytes, static_cast<size_t>(count));
    return true;
  }
  std::string reply;
  const auto state = transport_->receive({bytes, static_cast<size_t>(count)}, buffer_, reply);
  send_wire(reply);
  if (!state) throw Broken("the transport broke: " + state.error().message);
  if (*state != net::TransportState::opening) opening_ = false;
  return true;
}

std::optional<Packet> Client::next(Clock::time_point deadline, std::string_view waiting_for) {
  while (true) {
    if (auto packet = take_packet(buffer_, version_)) {
      if (packet->size > packet_size_max_)
        throw Broken("larger than the client's maximum: " + describe(*packet));
      if (is_promise(*packet)) promised_at(port_);
      return packet;
    }
    if (!fill(deadline, waiting_for)) return std::nullopt;
  }
}

Packet Client::expect(Type type) {
  std::optional<Packet> packet;
  if (!waiting_.empty()) {
    packet = std::move(waiting_.front());
    waiting_.pop_front();
  } else {
    packet = next(Clock::now() + kPatience, type_name(type));
  }
  if (!packet) throw Broken(id_ + " expected " + type_name(type) + ", but the server closed the connection");
  if (packet->type != type) throw Broken(id_ + " expected " + type_name(type) + ", not " + describe(*packet));
  return *packet;
}

Packet Client::await(Type type, uint16_t id) {
  const auto wanted = [&](const Packet& p) { return p.type == type && (id == 0 || p.id == id); };
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), wanted);
  if (found != waiting_.end()) {
    Packet packet = std::move(*found);
    waiting_.erase(found);
    return packet;
  }
  const auto deadline = Clock::now() + kPatience;
  while (true) {
    auto packet = next(deadline, type_name(type));
    if (!packet) {
      std::string before;
      if (!waiting_.empty()) before = " after " + describe(waiting_.back());
      throw Broken(id_ + " awaited " + type_name(type) + ", but the server closed the connection" + before);
    }
    if (wanted(*packet)) return *packet;
    waiting_.push_back(std::move(*packet));
  }
}

Packet Client::publish(Publish publish) {
  if (publish.qos > 0 && publish.id == 0) publish.id = next_id();
  send(publish_packet(version_, publish));
  if (publish.qos == 0) return {};
  if (publish.qos == 1) return await(kPuback, publish.id);
  const Packet received = await(kPubrec, publish.id);
  if (received.reason < 0x80) {
    send(reply_packet(version_, kPubrel, publish.id));
    await(kPubcomp, publish.id);
  }
  return received;
}

Packet Client::subscribe(const std::vector<Filter>& filters, const Properties& properties) {
  const uint16_t id = next_id();
  send(subscribe_packet(version_, id, filters, properties));
  return await(kSuback, id);
}

Packet Client::unsubscribe(const std::vector<std::string>& filters, const Properties& properties) {
  const uint16_t id = next_id();
  send(unsubscribe_packet(version_, id, filters, properties));
  return await(kUnsuback, id);
}

void Client::ping() {
  send(pingreq_packet());
  await(kPingresp);
  settle(port_);
}

void Client::acknowledge(const Packet& publish) {
  if (publish.qos == 1) send(reply_packet(version_, kPuback, publish.id));
  if (publish.qos == 2) {
    send(reply_packet(version_, kPubrec, publish.id));
    await(kPubrel, publish.id);
    send(reply_packet(version_, kPubcomp, publish.id));
  }
}

Packet Client::message() {
  Packet publish = await(kPublish);
  acknowledge(publish);
  return publish;
}

Packet Client::message(std::string_view payload) {
  Packet publish = message();
  if (publish.payload != payload) {
    throw Broken(id_ + " expected the message " + std::string(payload) + ", not " + describe(publish));
  }
  return publish;
}

void Client::expect_nothing_but_marker(Client& sender) {
  const std::string topic = unique("marker/");
  subscribe(topic, 1);
  sender.publish(topic, "marker", 1);
  const Packet packet = await(kPublish);
  if (packet.topic != topic) throw Broken(id_ + " expected nothing, but got " + describe(packet));
  acknowledge(packet);
  unsubscribe({topic});
}

void Client::expect_silence(std::chrono::milliseconds duration) {
  if (!waiting_.empty()) throw Broken(id_ + " expected silence, but got " + describe(waiting_.front()));
  std::optional<Packet> packet;
  try {
    packet = next(Clock::now() + duration, "nothing");
  } catch (const Broken& broken) {
    if (std::string_view(broken.what()).ends_with("in vain for nothing")) return;
    throw;
  }
  throw Broken(id_ + " expected silence, but " + (packet ? "got " + describe(*packet) : "the server closed"));
}

std::vector<Packet> Client::read_until_end() {
  std::vector<Packet> packets(waiting_.begin(), waiting_.end());
  waiting_.clear();
  const auto deadline = Clock::now() + kPatience;
  while (auto packet = next(deadline, "the end of the connection")) packets.push_back(*packet);
  drop();
  return packets;
}

std::string Client::read_to_end() {
  const auto deadline = Clock::now() + kPatience;
  while (fill(deadline, "the end of the stream")) {
  }
  drop();
  return std::exchange(buffer_, {});
}

void Client::expect_end(std::initializer_list<uint8_t> reasons) {
  const std::vector<Packet> packets = read_until_end();
  for (size_t i = 0; i < packets.size(); ++i) {
    // [MQTT-3.14.4-1]: nothing after DISCONNECT.
    if (packets[i].type != kDisconnect || i + 1 != packets.size()) {
      throw Broken(id_ + " expected the end of the connection, but got " + describe(packets[i]));
    }
  }
  if (version_ != v5 || reasons.size() == 0) return;
  if (packets.empty()) {
    if (Broker::is_courier()) throw Broken(id_ + " was closed without a DISCONNECT");
    return;
  }
  const uint8_t reason = packets.back().reason;
  if (std::find(reasons.begin(), reasons.end(), reason) != reasons.end() || !Broker::is_courier()) return;
  std::string wanted;
  for (const uint8_t r : reasons) wanted += (wanted.empty() ? "" : " or ") + std::to_string(r);
  throw Broken(id_ + " expected a DISCONNECT with reason " + wanted + ", not " + describe(packets.back()));
}

void Client::disconnect(uint8_t reason, const Properties& properties) {
  send(disconnect_packet(version_, reason, properties));
  read_until_end();
  settle(port_);
}

}  // namespace courier::scenario
