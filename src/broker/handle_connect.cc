// CONNECT, from its bytes to its CONNACK.
//
//  1. on_connect   legal? a client id? room?                                          (any shard)
//  2. authenticator decides, perhaps on a worker; the answer comes back as AuthMail    (the same shard)
//  3. decided      may it publish its will? (a hook is to be asked: ask_hooks.cc)
//                  the session's shard follows from mountpoint and client id: move there
//  4. attach       who has this name now? take over, or wait until its change is back
//  5. ATTACH is appended (nothing at all for a clean session without a will)
//  6. attached     it is back: CONNACK, then what the inbox holds
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "mqtt/topic.h"

namespace courier::broker {

using mqtt::ReasonCode;

namespace {

log::Limit refusals{{.per_second = 20}};

std::string new_client_id(std::mt19937_64& random) {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id = "courier-";
  for (int i = 0; i < 20; ++i) id.push_back(kDigits[random() % 36]);
  return id;
}

std::unique_ptr<session::Will> own(const mqtt::Will& will) {
  auto message = mqtt::Message::make(will.topic, will.payload, will.forwarded_properties);
  mqtt::MessagePtr held(message);
  message->qos = will.qos;
  message->retain = will.retain;
  return std::make_unique<session::Will>(
      session::Will{std::move(held), will.delay_seconds, will.message_expiry_seconds.value_or(0)});
}

// For whoever decides by them; what a CONNECT does not say is absent.
std::shared_ptr<const auth::Properties> properties_of(const mqtt::Connect& packet) {
  auto out = std::make_shared<auth::Properties>();
  out->session_expiry_seconds = packet.session_expiry_seconds;
  out->receive_maximum = packet.receive_maximum;
  out->maximum_packet_size = packet.maximum_packet_size;
  out->topic_alias_maximum = packet.topic_alias_maximum;
  // Their defaults are as good as not said.
  if (packet.request_response_information) out->request_response_information = true;
  if (!packet.request_problem_information) out->request_problem_information = false;
  if (packet.authentication_method) out->authentication_method = std::string(*packet.authentication_method);
  if (packet.authentication_data) out->authentication_data = std::string(*packet.authentication_data);
  for (const auto& [name, value] : packet.user_properties) {
    if (!out->user_properties) out->user_properties.emplace();
    out->user_properties->emplace_back(name, value);
  }
  return out;
}

}  // namespace

Connection* Shard::on_connect(Link& link, Peer peer, const mqtt::Connect& packet, auth::TlsSession tls) {
  link.pause(Link::connecting);
  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connection.id = ConnectionId(out_.shared.next_connection.fetch_add(1));
  connection.link = &link;
  connection.peer = std::move(peer);
  connection.version = packet.version;
  connection.problem_information = packet.request_problem_information;
  connection.maximum_packet_size = packet.maximum_packet_size.value_or(0xFFFFFFFF);
  connections_.emplace(connection.id, std::move(owned));

  const bool v5 = connection.v5();
  const ConnectionId id = connection.id;
  if (out_.shared.draining.on()) {
    refuse_connect(connection, in_a_connack(reason_to_leave(connection)), "this node lets go of its clients");
  } else if (over_memory()) {
    refuse_connect(connection, v5 ? ReasonCode::quota_exceeded : ReasonCode::server_unavailable,
                   "the broker's memory ceiling is reached");
  } else if (packet.client_id.size() > out_.limits.client_id_bytes_max) {
    refuse_connect(connection, ReasonCode::client_identifier_not_valid, "the client id is too long");
  } else if (packet.client_id.empty() && packet.version == mqtt::Version::v3_1) {
    refuse_connect(connection, ReasonCode::client_identifier_not_valid, "MQTT 3.1 needs a client id");
  } else if (packet.client_id.empty() && packet.version == mqtt::Version::v3_1_1 && !packet.clean_start) {
    // [MQTT-3.1.3-8] of 3.1.1
    refuse_connect(connection, ReasonCode::client_identifier_not_valid,
                   "an empty client id needs a clean session");
  } else if (packet.will && (mqtt::level_count(packet.will->topic) > out_.limits.topic_levels_max ||
                             packet.will->topic.size() > out_.limits.topic_bytes_max ||
                             packet.will->topic.starts_with('$'))) {
    refuse_connect(connection, ReasonCode::topic_name_invalid,
                   "the will's topic exceeds a limit or begins with $");
  } else {
    connection.client_id = packet.client_id;
    if (packet.client_id.empty()) {
      connection.client_id = new_client_id(random_);  // [MQTT-3.1.3-6]
      connection.client_id_assigned = true;
    }
    auto request = std::make_unique<ConnectRequest>();
    request->came_at = out_.clock.mono_ns();
    request->version = packet.version;
    request->clean_start = packet.clean_start;
    request->keep_alive_seconds = packet.keep_alive_seconds;
    // 3.x: a clean session ends with its connection, any other never. 5.0: as asked; absent is 0.
    const uint32_t asked =
        v5 ? packet.session_expiry_seconds.value_or(0) : (packet.clean_start ? 0 : record::kNeverExpires);
    request->expiry_seconds = std::min(asked, out_.limits.session_expiry_seconds_max);
    request->expiry_lowered = request->expiry_seconds != asked;
    if (packet.will) request->will = own(*packet.will);
    request->receive_maximum = packet.receive_maximum.value_or(65'535);
    request->maximum_packet_size = packet.maximum_packet_size.value_or(0xFFFFFFFF);
    request->topic_alias_maximum = packet.topic_alias_maximum.value_or(0);
    request->request_response_information = packet.request_response_information;

    auth::Credentials credentials{connection.peer.mountpoint,
                                  connection.client_id.str(),
                                  {},
                                  {},
                                  connection.peer.address.str(),
                                  connection.peer.listener,
                                  packet.version,
                                  std::move(tls),
                                  packet.clean_start};
    if (packet.username) credentials.username = std::string(*packet.username);
    if (packet.password) credentials.password = std::string(*packet.password);
    if (out_.hooks) {
      if (v5 && out_.hooks->asks(auth::HookPoint::connect, true))
        credentials.properties = properties_of(packet);
      credentials.hangup = request->hangup = std::make_shared<auth::Hangup>();
    }
    connection.request = std::move(request);
    // As it says of itself; once it is known who it is, attach() asks again.
    if (const auto ban =
            ban_on(connection, connection.peer.mountpoint, packet.username.value_or(std::string_view()))) {
      refuse_banned(connection, *ban);
      return find(id);
    }
    if (packet.authentication_method) {
      begin_exchange(connection, credentials, *packet.authentication_method,
                     packet.authentication_data.value_or(std::string_view()));
      return find(id);
    }
    out_.authenticator.authenticate(std::move(credentials),
                                    [post = &out_.post, shard = index_, id](auth::Decision d) {
                                      post->post(shard, AuthMail{id, {{}, std::move(d)}});
                                    });
  }
  return find(id);
}

void Shard::decided(Connection& connection, auth::Decision decision) {
  if (decision.verdict != auth::Verdict::allow) {
    refuse_connect(connection, decision.reason, decision.why, !decision.why_is_ours);
    return;
  }
  connection.identity = std::move(decision.identity);
  if (decision.client_id) {
    if (decision.client_id->empty() || decision.client_id->size() > out_.limits.client_id_bytes_max) {
      refuse_connect(connection, ReasonCode::client_identifier_not_valid,
                     "the client id that its credentials stand for is empty or too long");
      return;
    }
    connection.client_id = *decision.client_id;
  }
  if (auto taken = take(connection, decision); !taken) {
    refuse_connect(connection, ReasonCode::not_authorized, taken.error().message);
    return;
  }
  connection.request->user_properties = std::move(decision.user_properties);
  take_terms(connection, decision.terms);
  if (connection.request->will && (connection.hurdles & Connection::no_publish)) {
    refuse_connect(connection, ReasonCode::not_authorized, "the client may not publish");
    return;
  }
  if (connection.request->will &&
      !may(connection, auth::acl::Action::publish, connection.request->will->message->topic).allowed) {
    say_refused(connection, auth::acl::Action::publish, connection.request->will->message->topic,
                "will refused");
    refuse_connect(connection, ReasonCode::not_authorized, "the client may not publish its will");
    return;
  }
  if (connection.request->will && (connection.hurdles & Connection::ask_publish)) {
    ask_about_will(connection);
    return;
  }
  go_to_its_shard(connection);
}

void Shard::go_to_its_shard(Connection& connection) {
  const uint16_t hash = record::session_hash(connection.identity.mountpoint, connection.client_id);
  const uint32_t shard = hash % shard_count_;
  if (shard == index_) {
    attach(connection);
    return;
  }
  const auto it = connections_.find(connection.id);
  std::unique_ptr<Connection> owned = std::move(it->second);
  connections_.erase(it);
  owned->link->move_to(shard, std::move(owned));
}

void Shard::adopt(Link& link, std::unique_ptr<Connection> owned) {
  Connection& connection = *owned;
  connection.link = &link;
  connections_.emplace(connection.id, std::move(owned));
  attach(connection);
}

// Whether the session that `owner` made may go on with, or be ended by, this connection. Who made it without
// a name does not own it. Names that nobody checked do not count.
bool Shard::may_have(const Connection& connection, std::string_view owner) const {
  const auth::Identity& identity = connection.identity;
  const bool unchecked = identity.anonymous && !identity.username.empty();
  return !out_.limits.sessions_have_owners || unchecked || owner.empty() || identity.username.view() == owner;
}

void Shard::attach(Connection& connection) {
  connection.state = Connection::State::authenticating;  // who waited for a name comes here again
  static constexpr std::string_view kNotTheOwner = "the client id's session belongs to another user";
  // Here, where connections are that a new ban looks for: it hits each of them, now or there.
  if (const auto ban = ban_on(connection, connection.identity.mountpoint, connection.identity.username)) {
    refuse_banned(connection, *ban);
    return;
  }
  if (!may_come(connection)) return;
  const std::string key = name_key(connection.identity.mountpoint, connection.client_id);
  if (const auto tracer = tracers_.find(key); tracer != tracers_.end())
    connection.extra.make().tracer = tracer->second;
  if (const auto change = changing_.find(key); change != changing_.end()) {
    Connection* const rivals[] = {find(change->second.waiting), find(change->second.attaching)};
    for (const Connection* rival : rivals) {
      if (!rival || may_have(connection, rival->identity.username)) continue;
      refuse_connect(connection, ReasonCode::client_identifier_not_valid, kNotTheOwner);
      return;
    }
    if (!counted(connection, rivals)) return;
    // Whoever waits or attaches now has lost to this one. [MQTT-3.1.4-3]
    const ConnectionId losers[] = {std::exchange(change->second.waiting, connection.id),
                                   change->second.attaching};
    connection.state = Connection::State::waiting;
    for (const ConnectionId loser : losers) {
      if (Connection* other = find(loser))
        disconnect(*other, EndCause::taken_over, ReasonCode::session_taken_over);
    }
    return;
  }
  ConnectRequest& request = *connection.request;
  Client* client = clients_.find(connection.identity.mountpoint, connection.client_id);
  if (client && !may_have(connection, client->session.username) &&
      ends_at(client->session) > out_.clock.wall_ms()) {
    refuse_connect(connection, ReasonCode::client_identifier_not_valid, kNotTheOwner);
    return;
  }
  if (!request.again && flaps(connection)) return;
  const bool stored_before = client && !client->session.id.ephemeral();
  const bool needs_record = !alone() || stored_before || request.expiry_seconds > 0 || request.will;
  if (needs_record && !log_state_.accepting) {
    refuse_connect(connection, ReasonCode::server_unavailable, log_state_.reason);
    return;
  }

  Connection* const displaced = client ? client->connection : nullptr;
  if (!counted(connection, {&displaced, 1})) return;

  const bool taken_over = displaced || (client && elsewhere(client->session));
  if (displaced) {
    // Its end is not recorded: the ATTACH that follows says so by itself.
    Connection& old = *displaced;
    owe_again(*client, old.cursor);
    client->connection = nullptr;
    old.client = nullptr;
    disconnect(old, EndCause::taken_over, ReasonCode::session_taken_over);
  }
  if (client && client->session.id.ephemeral()) {
    end_ephemeral(*client);
    client = nullptr;
  }
  if (!needs_record) {
    attach_ephemeral(connection);
    return;
  }

  record::Attach attach;
  if (!alone()) attach.seen = client ? client->session.attach : Position();
  if (client) {
    flush_acks(*client);
    const session::Session& session = client->session;
    const bool over = ends_at(session) <= out_.clock.wall_ms();
    const bool ends = request.clean_start || over || session.expiry_seconds == 0;
    attach.before = session.id;
    attach.ends = ends;
    // A will goes out when the session ends, or when its delay is over. [MQTT-3.1.3-9], [MQTT-3.1.2-8]
    const bool due = taken_over ? session.will && session.will->delay_seconds == 0
                                : session.will_due_at() <= out_.clock.wall_ms();
    if (session.will && (ends || due)) publish_will(*client);
  }
  attach.mountpoint = connection.identity.mountpoint;
  attach.client_id = connection.client_id;
  attach.username = connection.identity.username;
  attach.version = request.version;
  attach.expiry_seconds = request.expiry_seconds;
  attach.window = std::min(request.receive_maximum, inflight_max(connection));
  attach.inbox_messages_max = connection.extra->terms.queued_messages_max.value_or(0);
  if (request.will) {
    attach.will = {request.will->message, request.will->delay_seconds, request.will->message_expiry_seconds};
  }
  changing_[key] = {connection.id, {}};
  connection.state = Connection::State::attaching;
  if (!alone()) append_given_up();  // what is decided of the session holds up to here
  const bool present = static_cast<bool>(attach.resumed());
  const auto index = static_cast<uint32_t>(batch_.size());
  const SessionId before = attach.before;
  const bool ends = attach.ends;
  append(std::move(attach), ToConnack{connection.id, key, present, index});
  if (!out_.shared.interest.wants_any()) return;
  if (ends) tell_end(events::Kind::client_gone, client->session);
  tell_connect(connection, present ? before : SessionId(), present);
}

void Shard::attach_ephemeral(Connection& connection) {
  session::Session session;
  const uint16_t hash = record::session_hash(connection.identity.mountpoint, connection.client_id);
  session.id = SessionId(SessionId::kEphemeralBit | (next_ephemeral_++ << 16) | hash);
  session.mountpoint = connection.identity.mountpoint;
  session.client_id = connection.client_id;
  session.username = connection.identity.username;
  session.version = connection.version;
  session.inbox_messages_max = connection.extra->terms.queued_messages_max.value_or(0);
  session.connected = true;
  Client& client = clients_.add(std::move(session));
  connection.client = &client;
  client.connection = &connection;
  tell_connect(connection, client.session.id, false);
  send_connack(connection, false);
}

void Shard::attached(const ToConnack& pending, Position position) {
  const auto change = changing_.find(pending.name);
  CHECK(change != changing_.end());
  change->second.attaching = ConnectionId();
  Client* client = find_by_key(pending.name);
  Connection* connection = find(pending.connection);
  if (alone()) {
    CHECK(client != nullptr);
  } else if (!client || client->session.attach != position) {
    // Void: the session ended, or went to another node, and this node had not read that yet when it decided.
    // Its client may have been there itself, a moment ago: so it is decided anew, and as each time another
    // has been attached, this comes to an end.
    if (connection) {
      connection->request->again = true;
      change->second.waiting = connection->id;
    }
    change_is_over(pending.name);
    return;
  }
  if (connection) {
    connection->client = client;
    connection->client_id = client->session.client_id;  // a long one stands once
    connection->attach = client->session.attach;
    client->connection = connection;
    send_connack(*connection, pending.session_present);
    // The rules may have changed while it was away.
    if (pending.session_present) suspect_inbox(*connection);
    if (pending.session_present && client->session.subscription_count > 0) look_up(client->session.id);
    if (!alone()) want_limits(*client);  // nobody could while it was on its way
    want_pump(*client);
  } else if (!find(change->second.waiting)) {
    // The client went away before its CONNACK: the connection that the will speaks of never was.
    changing_.erase(change);
    detach(*client, true, client->session.expiry_seconds, client->session.sent_before);
    return;
  }
  change_is_over(pending.name);
}

void Shard::change_is_over(const std::string& key) {
  const auto change = changing_.find(key);
  if (change == changing_.end()) return;
  const ConnectionId waiting = change->second.waiting;
  changing_.erase(change);
  if (Connection* connection = find(waiting)) attach(*connection);
  // Whose ATTACH came back had gone, and who waited was refused: the connection that the log knows of is not.
  Client* client = find_by_key(key);
  if (!client || client->session.id.ephemeral() || client->connection || !client->session.connected) return;
  if (elsewhere(client->session)) return;
  if (changing_.contains(key)) return;
  detach(*client, true, client->session.expiry_seconds, client->session.sent_before);
}

void Shard::send_connack(Connection& connection, bool session_present) {
  const ConnectRequest& request = *connection.request;
  connection.state = Connection::State::active;
  // Hooks that came while it waited have not seen it.
  set_hurdles(connection, connection.extra ? connection.extra->terms : auth::SessionTerms());
  connection.order_after = batch_.empty() ? next_ticket_ - 1 : next_ticket_;
  connection.connected_at = out_.clock.wall_ms();
  connection.promise = static_cast<uint8_t>(promises_.size() - 1);
  connection.window = std::min(request.receive_maximum, inflight_max(connection));
  if (connection.limited) {
    connection.extra->allowance->window_before = std::min(request.receive_maximum, out_.limits.inflight_max);
  }
  connection.topic_alias_maximum = std::min(request.topic_alias_maximum, out_.limits.topic_alias_max);
  connection.expiry_seconds = request.expiry_seconds;
  connection.cursor = connection.client->session.inbox.first();
  watch_authorization(connection);
  connection.keep_alive_seconds = request.keep_alive_seconds;

  mqtt::Connack connack;
  connack.session_present = session_present;  // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  const uint32_t longest = out_.limits.keep_alive_seconds_max;
  if (connection.v5()) {
    if (longest != 0 && (request.keep_alive_seconds == 0 || request.keep_alive_seconds > longest)) {
      connack.server_keep_alive_seconds = static_cast<uint16_t>(std::min<uint32_t>(longest, 65'535));
      connection.keep_alive_seconds = *connack.server_keep_alive_seconds;
    }
    if (request.expiry_lowered) connack.session_expiry_seconds = request.expiry_seconds;
    const Promise& promise = promised(connection);
    if (promise.receive_maximum != 65'535) connack.receive_maximum = promise.receive_maximum;
    connack.maximum_packet_size = promise.packet_bytes_max;
    if (promise.topic_alias_max > 0) connack.topic_alias_maximum = promise.topic_alias_max;
    if (connection.client_id_assigned) connack.assigned_client_id = connection.client_id;
    for (const auto& [name, value] : request.user_properties)
      connack.user_properties.push_back({name, value});
    if (connection.extra && !connection.extra->authentication_method.empty()) {
      connack.authentication_method = connection.extra->authentication_method;
      if (!request.authentication_data.empty()) connack.authentication_data = request.authentication_data;
    }
  }
  connection.link->set_keep_alive(connection.keep_alive_seconds);
  send(connection, connack);
  metrics_.connects_accepted.add();
  metrics_.connack_seconds.observe(static_cast<double>(out_.clock.mono_ns() - request.came_at) * 1e-9);
  connection.request.reset();
  connection.link->resume(Link::connecting);
}

void Shard::refuse_connect(Connection& connection, ReasonCode reason, std::string_view why, bool tell) {
  metrics_.connects_refused(reason).add();
  tell_refused(connection, reason);
  log::info(refusals, "connect refused",
            {{"client_id", connection.client_id},
             {"peer", connection.peer.address},
             {"listener", connection.peer.listener.str()},
             {"reason", mqtt::name(reason)},
             {"why", why}});
  mqtt::Connack connack;
  connack.reason = reason;
  // Who guesses hears nothing of it: not whether there is such a user.
  const bool guesses = reason == ReasonCode::bad_user_name_or_password;
  if (connection.problem_information && !why.empty() && tell && !guesses) {
    connack.reason_string = why;  // [MQTT-3.1.2-29]
  }
  const std::string server = server_for(reason);
  if (!server.empty()) connack.server_reference = server;
  send(connection, connack);
  Link* link = connection.link;
  connections_.erase(connection.id);
  link->close();  // [MQTT-3.1.4-2], [MQTT-3.2.2-7]
}

}  // namespace courier::broker
