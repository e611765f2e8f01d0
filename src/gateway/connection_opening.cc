// What comes before a session: the PROXY header, then a CONNECT in time.
#include <utility>
#include <variant>

#include "base/log.h"
#include "broker/shard.h"
#include "gateway/connection.h"
#include "gateway/shard_thread.h"
#include "mqtt/encoder.h"
#include "net/proxy_header.h"

namespace courier::gateway {

namespace {

log::Limit proxy_lines({.per_second = 10});
log::Limit refused_lines({.per_second = 20});
log::Limit late_lines({.per_second = 10});
log::Limit busy_lines({.per_second = 1});
log::Limit told_lines({.per_second = 5});

// Only what 3.x has a code for is answered there: a CONNECT that is malformed ends without a CONNACK.
// [MQTT-3.1.4-1]
bool answered(const mqtt::Violation& violation) {
  if (!violation.version) return false;
  return *violation.version == mqtt::Version::v5 ||
         violation.reason == mqtt::ReasonCode::unsupported_protocol_version;  // [MQTT-3.1.2-2]
}

}  // namespace

std::optional<size_t> Connection::take_proxy_header(std::string_view bytes) {
  const net::ProxyExpectation expectation = opening_->proxy->expectation(opening_->peer);
  const bool trusted =
      expectation == net::ProxyExpectation::may_come || expectation == net::ProxyExpectation::must_come;
  const bool required = opening_->proxy->mode() == net::ProxyMode::required;
  net::ProxyDecoded decoded = net::decode_proxy_header(bytes);
  if (std::holds_alternative<net::ProxyNeedMore>(decoded)) return std::nullopt;
  if (std::holds_alternative<net::NotProxy>(decoded)) {
    if (required) {
      refuse_proxy("no header came");
      return std::nullopt;
    }
    begin();
    return 0;
  }
  if (!trusted) {
    refuse_proxy("the peer is not trusted to send a header");
    return std::nullopt;
  }
  if (const auto* violation = std::get_if<net::ProxyViolation>(&decoded)) {
    refuse_proxy(violation->what);
    return std::nullopt;
  }
  auto& header = std::get<net::ProxyHeader>(decoded);
  opening_->probe = header.local;
  if (!header.local && header.source) opening_->client = *std::move(header.source);
  if (header.tls && header.tls->identifies_client()) {
    opening_->tls = std::make_shared<net::TlsSession>();
    net::TlsSession& session = *opening_->tls;
    session.version = header.tls->version;
    session.cipher = header.tls->cipher;
    session.server_name = header.authority;
    session.certificate.emplace().common_name = header.tls->common_name;
  }
  begin();
  return header.size;
}

bool Connection::enter(const admission::Arrival& arrival) {
  opening_->arrived = true;
  counted_ = arrival.counted;
  source_ = arrival.source;
  switch (arrival.verdict) {
    case admission::Verdict::admit:
      return true;
    case admission::Verdict::tell:
      opening_->refused_for = arrival.limit;
      return true;
    case admission::Verdict::delay:
      move(ConnectionState::delayed);
      want(0);
      thread_->wheel().arm(*this, thread_->now() + arrival.wait);
      return false;
    case admission::Verdict::close:
      listener_->turned_away(arrival.limit, opening_->client);
      destroy();
      return false;
  }
  return false;
}

// Its turn: on with what it was about to do, and with what had come already.
void Connection::wait_is_over() {
  thread_->admission().waited();
  thread_->wheel().arm_coarse(*this, opening_->deadline);
  if (opening_->header_due) {
    move(ConnectionState::proxy_header);
  } else {
    begin();
  }
  want(net::kReadable);
  if (input_) go_on();
}

// The bytes are the client's own from here on.
void Connection::begin() {
  opening_->header_due = false;
  if (!opening_->arrived && !enter(thread_->admission().arrive(
                                opening_->client, !listener_->options().slow_handshake, thread_->now()))) {
    return;
  }
  if (!listener_->options().transport) {
    plain_ = true;
    move(ConnectionState::connect);
    return;
  }
  move(ConnectionState::handshake);
  opening_->handshake = std::make_shared<Handshake>(*this, listener_->transport()->accept(thread_->wall()));
}

void Connection::shake_hands(std::string_view wire) {
  Handshake& handshake = *opening_->handshake;
  handshake.wire.assign(wire);
  if (!listener_->options().slow_handshake) {
    handshake.work();
    shook();
    return;
  }
  handshake.away = true;  // and nothing is read meanwhile
  if (thread_->work_off(opening_->handshake)) return;
  listener_->transport_failed("handshakes_waiting");
  log::warn(busy_lines, "connection closed: too many TLS handshakes wait",
            {{"listener", listener_->options().name}, {"peer", opening_->client.to_string()}});
  destroy();
}

void Connection::shook() {
  const std::shared_ptr<Handshake> handshake = opening_->handshake;
  handshake->away = false;
  if (!handshake->reply.empty()) gathered().wire.append(std::exchange(handshake->reply, {}));
  if (!handshake->result) {
    broke(handshake->result.error());
    return;
  }
  switch (*handshake->result) {
    case net::TransportState::opening:
      break;
    case net::TransportState::ended:
    case net::TransportState::open: {
      const bool ended = *handshake->result == net::TransportState::ended;
      transport_ = std::move(handshake->transport);
      if (auto session = transport_->tls()) {
        opening_->tls = std::make_shared<net::TlsSession>(*std::move(session));
      }
      opening_->handshake.reset();
      move(ConnectionState::connect);
      if (!handshake->plain.empty()) take(handshake->plain);
      if (state_ >= ConnectionState::closing) return;
      if (ended) {
        peer_ended();
        return;
      }
      break;
    }
  }
  if (reading()) want(interest_ | net::kReadable);
}

void Connection::refuse_proxy(std::string_view why) {
  listener_->proxy_errors.add();
  log::warn(proxy_lines, "connection closed: bad PROXY header",
            {{"listener", listener_->options().name}, {"peer", opening_->peer.to_string()}, {"why", why}});
  destroy();
}

// Its CONNECT came, and is to hear why it gets no further. That is cheap, and only a few get here.
void Connection::turn_away(const mqtt::Connect& packet) {
  const admission::Limit limit = opening_->refused_for;
  const bool quota = limit == admission::Limit::source_connections;
  listener_->turned_away(limit, opening_->client);
  (quota ? thread_->metrics().refused_quota : thread_->metrics().refused_rate).add();
  log::info(told_lines, "connect refused",
            {{"client_id", packet.client_id},
             {"peer", opening_->client.to_string()},
             {"listener", listener_->options().name},
             {"reason", admission::name(limit)},
             {"see", admission::setting(limit)}});
  mqtt::Connack connack;
  connack.reason = quota ? mqtt::ReasonCode::quota_exceeded : mqtt::ReasonCode::connection_rate_exceeded;
  if (packet.request_problem_information) {
    connack.reason_string =
        quota ? "too many connections from your address" : "too many connections at a time";
  }
  mqtt::encode(output(), connack, packet.version);
  close();
  says_why_ = true;
}

void Connection::on_connect(const mqtt::Connect& packet) {
  if (opening_->refused_for != admission::Limit::none) {
    turn_away(packet);
    return;
  }
  const std::unique_ptr<Opening> opening = std::move(opening_);
  thread_->wheel().cancel(*this);
  thread_->no_longer_apart(*this);
  move(ConnectionState::serving);
  broker::Peer peer{opening->client.to_string(), listener_->options().name, listener_->options().mountpoint};
  broker::Connection* connection =
      thread_->shard().on_connect(*this, std::move(peer), packet, std::move(opening->tls));
  if (state_ != ConnectionState::serving) return;
  connection_ = connection;
  connection_->bytes_in += opening->bytes_in;
  set_timer();
}

// [MQTT-3.1.0-1], [MQTT-4.13.1-1]
void Connection::refuse(const mqtt::Violation& violation) {
  thread_->metrics().violations.add();
  log::info(refused_lines, "connection closed: not a CONNECT",
            {{"listener", listener_->options().name},
             {"peer", opening_->client.to_string()},
             {"reason", mqtt::name(violation.reason)},
             {"why", violation.reason == mqtt::ReasonCode::packet_too_large
                         ? "a CONNECT of more bytes than limits.connect_bytes_max"
                         : mqtt::describe(violation)}});
  if (answered(violation)) {
    thread_->metrics().refused.add();
    mqtt::Connack connack;
    connack.reason = violation.reason;
    mqtt::encode(output(), connack, *violation.version);
  }
  close();
  says_why_ = true;  // what it sent on is unread, most likely
}

void Connection::connect_timed_out() {
  if (!opening_->probe) {
    if (state_ == ConnectionState::proxy_header && opening_->bytes_in > 0) {
      refuse_proxy("the header did not come whole in time");
      return;
    }
    thread_->metrics().connect_timeouts.add();
    log::info(late_lines, "connection closed: no CONNECT in time",
              {{"listener", listener_->options().name},
               {"peer", opening_->client.to_string()},
               {"bytes_in", opening_->bytes_in}});
  }
  destroy();
}

}  // namespace courier::gateway
