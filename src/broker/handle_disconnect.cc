// The end of a connection, whoever ends it: DISCONNECT, a socket that closed, a time that ran out, a
// take-over.
//
// The session's part of it is one DETACH record (and the will, when it is due at once). A clean session
// without a will ends here and now.
#include <algorithm>

#include "base/log.h"
#include "broker/no_link.h"
#include "broker/shard.h"
#include "broker/shared.h"

namespace courier::broker {

using mqtt::ReasonCode;

namespace {
log::Limit connection_ends{{.per_second = 200}};
log::Limit violations{{.per_second = 20}};

bool is_leaving(const Connection& connection) {
  return (connection.hurdles & Connection::undecided) && connection.extra->undecided->leaving;
}
}  // namespace

// What ends a connection before its CONNACK, as far as that has a word for it: section 3.2.2.2.
ReasonCode Shard::in_a_connack(ReasonCode reason) {
  if (reason == ReasonCode::session_taken_over) return ReasonCode::server_busy;
  if (reason == ReasonCode::server_shutting_down) return ReasonCode::server_unavailable;
  if (reason == ReasonCode::administrative_action) return ReasonCode::not_authorized;
  return reason;
}

// Of a node that lets go of its clients.
ReasonCode Shard::reason_to_leave(const Connection& connection) const {
  return connection.v5() && out_.shared.draining.knows_servers() ? ReasonCode::use_another_server
                                                                 : ReasonCode::server_shutting_down;
}

// The Server Reference that goes with it; "" with all but one reason, or if there is none.
std::string Shard::server_for(ReasonCode reason) {
  return reason == ReasonCode::use_another_server ? out_.shared.draining.next_server() : "";
}

void Shard::handle(Connection& connection, const mqtt::Disconnect& packet) {
  if (packet.session_expiry_seconds) {
    if (connection.expiry_seconds == 0 && *packet.session_expiry_seconds != 0) {  // section 3.14.2.2.2
      disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error,
                 "a session without expiry cannot get one at its end");
      return;
    }
    connection.expiry_seconds =
        std::min(*packet.session_expiry_seconds, out_.limits.session_expiry_seconds_max);
    if (const auto& most = connection.extra->terms.session_expiry_seconds) {
      connection.expiry_seconds = std::min(connection.expiry_seconds, *most);
    }
  }
  if (connection.hurdles & Connection::undecided) [[unlikely]] {
    wait_in_line(connection, packet);
    return;
  }
  // Only 0x00 takes the will back. [MQTT-3.14.4-3]
  const bool drops_will = packet.reason == ReasonCode::success;
  Link* link = connection.link;
  forget(connection, EndCause::client_disconnect, drops_will);
  link->close();
}

void Shard::on_violation(Connection& connection, const mqtt::Violation& violation) {
  metrics_.violations.add();
  log::info(violations, "protocol violation",
            {{"client_id", connection.client_id},
             {"peer", connection.peer.address},
             {"what", violation.what},
             {"clause", violation.clause}});
  disconnect(connection, EndCause::protocol_violation, violation.reason, violation.what);
}

void Shard::on_end(Connection& connection, EndCause cause) {
  if (cause == EndCause::client_closed && is_leaving(connection)) {
    // It said goodbye, and what it said before still waits for hooks.
    static thread_local NoLink nowhere;
    connection.link = &nowhere;
    return;
  }
  if (cause == EndCause::connect_timeout) {
    const bool answered = connection.extra && connection.extra->exchange && !connection.extra->stepping;
    refuse_connect(connection, answered ? ReasonCode::not_authorized : ReasonCode::server_busy,
                   answered ? "the client did not answer in time (limits.authenticate_timeout)"
                            : "it was not decided in time who it is (limits.authenticate_timeout)");
    return;
  }
  if (cause == EndCause::keep_alive_timeout && connection.state == Connection::State::authenticating) {
    refuse_connect(connection, ReasonCode::not_authorized, "the client did not answer in time");
    return;
  }
  if (cause == EndCause::keep_alive_timeout) {
    disconnect(connection, cause, ReasonCode::keep_alive_timeout);  // [MQTT-3.1.2-22]
    return;
  }
  if (cause == EndCause::packet_timeout) {
    disconnect(connection, cause, ReasonCode::quota_exceeded, "a packet did not come whole in time");
    return;
  }
  forget(connection, cause, false);
}

void Shard::disconnect(Connection& connection, EndCause cause, std::optional<ReasonCode> reason,
                       std::string_view why) {
  Link* link = connection.link;
  if (reason && connection.v5()) {
    const std::string server = server_for(*reason);
    if (connection.state == Connection::State::active) {
      mqtt::Disconnect packet;
      packet.reason = *reason;
      if (connection.problem_information && !why.empty()) packet.reason_string = why;
      if (!server.empty()) packet.server_reference = server;
      send(connection, packet);
    } else {
      mqtt::Connack packet;  // no DISCONNECT before the CONNACK [MQTT-3.14.0-1]
      packet.reason = in_a_connack(*reason);
      if (!server.empty()) packet.server_reference = server;
      send(connection, packet);
    }
  }
  forget(connection, cause, false, why);
  link->close();
}

void Shard::forget(Connection& connection, EndCause cause, bool drops_will, std::string_view why) {
  metrics_.ended[static_cast<size_t>(cause)]->add();
  if (log::enabled(log::Level::info)) {
    log::info(connection_ends, "connection ended",
              {{"client_id", connection.client_id},
               {"username", connection.identity.username},
               {"peer", connection.peer.address},
               {"listener", connection.peer.listener.str()},
               {"cause", name(cause)},
               {"why", why},
               {"version", mqtt::name(connection.version)},
               {"seconds", connection.connected_at == 0 ? 0 : (now() - connection.connected_at) / 1000},
               {"messages_in", connection.messages_in},
               {"messages_out", connection.messages_out},
               {"bytes_in", connection.bytes_in},
               {"bytes_out", connection.bytes_out},
               {"dropped", connection.dropped}});
  }
  const auto held = connections_.find(connection.id);
  std::unique_ptr<Connection> owned;
  if (held != connections_.end()) {
    owned = std::move(held->second);
    connections_.erase(held);
  }
  drops_will = drops_will || (is_leaving(connection) && connection.extra->undecided->drops_will);
  Client* client = std::exchange(connection.client, nullptr);
  if (!client) {  // taken over, or never attached
    tell_disconnect(connection, {}, cause);
    return;
  }
  flush_acks(*client);  // what it said comes before that it left
  tell_disconnect(connection, client->session.id, cause);
  client->connection = nullptr;
  if (client->session.id.ephemeral()) {
    end_ephemeral(*client);
    return;
  }
  detach(*client, drops_will, connection.expiry_seconds, connection.cursor);
}

void Shard::detach(Client& client, bool drops_will, uint32_t expiry_seconds, uint64_t sent_up_to) {
  flush_acks(client);
  session::Session& session = client.session;
  owe_again(client, sent_up_to);
  const bool ends = expiry_seconds == 0;
  if (drops_will) client.work.make().will_settled = session.attach;
  if (session.will && !drops_will && (ends || session.will->delay_seconds == 0)) publish_will(client);
  append(record::Detach{{session.id, session.attach}, ends, drops_will, expiry_seconds, sent_up_to});
  tell_end(ends ? events::Kind::client_gone : events::Kind::client_offline, session);
  if (ends) changing_[name_key(session.mountpoint, session.client_id)];
}

void Shard::owe_again(Client& client, uint64_t until) {
  session::Inbox& inbox = client.session.inbox;
  until = std::min({until, inbox.next(), inbox.gap_begin()});
  for (uint64_t seq = inbox.first(); seq < until; ++seq) {
    if (session::Entry* entry = inbox.find(seq)) entry->transmitted = false;
  }
  if (client.work) client.work.make().evict_cursor = 0;  // they can make room again
}

void Shard::end_ephemeral(Client& client) {
  const SessionId id = client.session.id;
  flush_acks(client);
  // Also if its SUBSCRIBE is still on the way, or it unsubscribed and owes a shared group an answer.
  if (client.subscribed) {
    append(record::Detach{{id, Position()}, true, true, 0, 0});
  }
  tell_end(events::Kind::client_gone, client.session);
  erase_client(client);
}

size_t Shard::drain(size_t count) {
  std::vector<ConnectionId> ids;
  for (const auto& [id, connection] : connections_) {
    if (ids.size() == count) break;
    ids.push_back(id);
  }
  for (const ConnectionId id : ids) {
    Connection* connection = find(id);
    if (!connection) continue;
    disconnect(*connection, EndCause::server_shutdown, reason_to_leave(*connection));
  }
  return connections_.size();
}

bool Shard::kick(std::string_view mountpoint, std::string_view client_id, ReasonCode reason) {
  const Client* client = clients_.find_awake(mountpoint, client_id);
  if (!client || !client->connection) return false;
  disconnect(*client->connection, EndCause::administrative, reason);
  return true;
}

}  // namespace courier::broker
