// Enhanced authentication of 5.0: a method that CONNECT named, and AUTH packets until it is decided.
// Section 4.12.
//
//   CONNECT(method, data) -> Exchange -> AUTH 0x18 -> AUTH 0x18 ... -> CONNACK(method, data)
//   later: AUTH 0x19(method, data) -> a new Exchange, the same way -> AUTH 0x00, or DISCONNECT
//
// Until the CONNACK nothing but AUTH and DISCONNECT is taken from the client, and each of its answers must
// come within kAnswerSeconds. While it re-authenticates everything goes on as before.
#include <algorithm>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"

namespace courier::broker {

using mqtt::ReasonCode;

namespace {

log::Limit refused_reauthentications{{.per_second = 5}};

// As a keep-alive: half as much again is waited.
constexpr uint32_t kAnswerSeconds = 5;
constexpr WallMs kLastSecond = UINT32_MAX;

}  // namespace

void Shard::begin_exchange(Connection& connection, const auth::Credentials& credentials,
                           std::string_view method, std::string_view data) {
  auto exchange = out_.authenticator.begin(method, credentials);
  if (!exchange) {
    refuse_connect(connection, ReasonCode::bad_authentication_method,
                   "this authentication method is not offered");  // [MQTT-4.12.0-1]
    return;
  }
  Connection::Extra& extra = connection.extra.make();
  extra.authentication_method = method;
  extra.exchange = std::move(exchange);
  step(connection, data);
}

void Shard::step(Connection& connection, std::string_view data) {
  Connection::Extra& extra = connection.extra.make();
  extra.stepping = true;
  // The exchange lives until its answer is here, whatever becomes of the connection.
  extra.exchange->step(std::string(data), [post = &out_.post, shard = index_, id = connection.id,
                                           kept = extra.exchange](auth::Exchange::Step answer) {
    post->post(shard, AuthMail{id, std::move(answer)});
  });
}

void Shard::stepped(Connection& connection, auth::Exchange::Step answer) {
  if (!connection.extra || !connection.extra->exchange) {
    decided(connection, *std::move(answer.decision));
    return;
  }
  Connection::Extra& extra = connection.extra.make();
  extra.stepping = false;
  const bool connecting = connection.state == Connection::State::authenticating;
  if (!answer.decision) {
    mqtt::Auth packet;
    packet.reason = ReasonCode::continue_authentication;
    packet.authentication_method = extra.authentication_method;  // [MQTT-4.12.0-5]
    packet.authentication_data = answer.data;
    send(connection, packet);
    if (connecting) {
      connection.link->set_keep_alive(kAnswerSeconds);
      connection.link->resume(Link::connecting);
    }
    return;
  }
  extra.exchange.reset();
  if (!connecting) {
    reauthenticated(connection, *std::move(answer.decision), answer.data);
    return;
  }
  connection.request->authentication_data = std::move(answer.data);
  decided(connection, *std::move(answer.decision));
}

void Shard::reauthenticated(Connection& connection, auth::Decision decision, std::string_view data) {
  // Not every reason of a CONNACK has a place in a DISCONNECT; this one has.
  const auto refuse = [&](std::string_view why) {
    disconnect(connection, EndCause::not_authorized, ReasonCode::not_authorized, why);
  };
  if (decision.verdict != auth::Verdict::allow && decision.why_is_ours) {
    log::info(
        refused_reauthentications, "re-authentication refused",
        {{"client_id", connection.client_id}, {"peer", connection.peer.address}, {"why", decision.why}});
    return refuse("re-authentication was refused");
  }
  if (decision.verdict != auth::Verdict::allow) return refuse(decision.why);
  const auth::Identity& before = connection.identity;
  if (decision.identity.username != before.username || decision.identity.mountpoint != before.mountpoint ||
      (decision.client_id && connection.client_id != *decision.client_id)) {
    return refuse("re-authentication cannot change who the client is");
  }
  if (auto taken = take(connection, decision); !taken) {
    return refuse(taken.error().message);
  }
  connection.decisions.clear();
  match_anew(connection);
  watch_authorization(connection);
  mqtt::Auth packet;
  packet.authentication_method = connection.extra->authentication_method;
  if (!data.empty()) packet.authentication_data = data;
  send(connection, packet);
  suspect_inbox(connection);
  if (connection.client->session.subscription_count > 0) look_up(connection.client->session.id);
}

// What a decision gives a connection besides its name. An error: the client is to be refused.
Result<void> Shard::take(Connection& connection, const auth::Decision& decision) {
  auto grants = out_.rules.grants().compile(decision.grants);
  if (!grants) return fail(std::move(grants).error());
  if (*grants || connection.extra) connection.extra.make().grants = *std::move(grants);
  set_hurdles(connection, decision.terms);
  connection.authorized_until = 0;
  if (decision.expires_at) {
    // It was judged by the clock of this machine. What was left then is what counts, whatever that says.
    const WallMs ahead = out_.clock.wall_ms() - out_.shared.machine_clock->wall_ms();
    const WallMs ends = std::clamp<WallMs>(*decision.expires_at, 0, kLastSecond * 1000) + ahead;
    // To the nearest second: the cluster's time a millisecond behind this machine's costs no whole second.
    connection.authorized_until =
        static_cast<uint32_t>(std::clamp<WallMs>((ends + 500) / 1000, 1, kLastSecond));
  }
  if (connection.extra || decision.terms != auth::SessionTerms()) {
    Connection::Extra& extra = connection.extra.make();
    extra.terms = decision.terms;
    extra.connected_until = 0;
    if (const uint32_t most = decision.terms.connection_seconds_max.value_or(0); most != 0) {
      const WallMs since = connection.connected_at != 0 ? connection.connected_at : out_.clock.wall_ms();
      // Rounded up: not sooner than was granted.
      extra.connected_until =
          static_cast<uint32_t>(std::clamp<WallMs>((since + 999) / 1000 + most, 1, UINT32_MAX));
      if (connection.authorized_until == 0 || connection.authorized_until > extra.connected_until) {
        connection.authorized_until = extra.connected_until;
      }
    }
  }
  return {};
}

void Shard::handle(Connection& connection, const mqtt::Auth& packet) {
  const bool connecting = connection.state == Connection::State::authenticating;
  const auto violation = [&](std::string_view why) {
    if (connecting) {
      refuse_connect(connection, ReasonCode::protocol_error, why);
    } else {
      disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error, why);
    }
  };
  const Connection::Extra* extra = connection.extra.get();
  if (!extra || extra->authentication_method.empty()) {
    // No method was agreed in CONNECT, so the client must not send it. [MQTT-4.12.0-6]
    return violation("AUTH without an authentication method");
  }
  if (packet.authentication_method != extra->authentication_method) {  // [MQTT-4.12.0-5], [MQTT-4.12.1-1]
    return violation("AUTH with another authentication method than CONNECT's");
  }
  const bool again = packet.reason == ReasonCode::re_authenticate;
  if (extra->stepping || again == static_cast<bool>(extra->exchange) || (again && connecting)) {
    return violation("this AUTH is not the client's next");
  }
  if (again) {
    auth::Credentials credentials;
    credentials.mountpoint = connection.peer.mountpoint.str();
    credentials.client_id = connection.client_id.str();
    if (!connection.identity.username.empty()) credentials.username = connection.identity.username.str();
    credentials.peer = connection.peer.address.str();
    credentials.listener = connection.peer.listener.str();
    credentials.version = connection.version;
    auto exchange = out_.authenticator.begin(extra->authentication_method, credentials);
    if (!exchange) return violation("this authentication method is not offered any more");
    connection.extra.make().exchange = std::move(exchange);
  } else if (connecting) {
    connection.link->pause(Link::connecting);
    connection.link->set_keep_alive(0);
  }
  step(connection, packet.authentication_data.value_or(std::string_view()));
}

}  // namespace courier::broker
