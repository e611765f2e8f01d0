// What the world is told (events/): the events of what this shard decides.
//
// A durable one is a record behind the one that it is about, in the same batch: it holds if that holds, and
// is back when that is. What needs no record of its own, as the life of an ephemeral session, has an event
// that stands alone. The rest is best effort and goes past the log.
#include "broker/shard.h"
#include "broker/shared.h"
#include "events/catalogue/fields.h"
#include "events/compose.h"

namespace courier::broker {

using events::Field;
using events::FieldWriter;
using events::Kind;
using mqtt::ReasonCode;

namespace {

void put_client(FieldWriter& out, SessionId session, std::string_view client_id, std::string_view username,
                std::string_view mountpoint) {
  if (session) out.text(Field::session_id, events::session_text(session));
  out.text(Field::client_id, client_id).text(Field::username, username).text(Field::mountpoint, mountpoint);
}

void put_client(FieldWriter& out, const session::Session& session) {
  put_client(out, session.id, session.client_id, session.username, session.mountpoint);
}

// Of who is connected.
void put_protocol(FieldWriter& out, const Client& client) {
  if (client.connection) out.text(Field::protocol, mqtt::name(client.connection->version));
}

void put_door(FieldWriter& out, const Peer& peer, mqtt::Version version) {
  out.text(Field::peer, peer.address)
      .text(Field::listener, peer.listener)
      .text(Field::protocol, mqtt::name(version));
}

}  // namespace

record::Event Shard::event(Kind kind, bool alone) const {
  record::Event event{static_cast<uint8_t>(kind), alone, {}};
  FieldWriter(event.fields).text(Field::node, out_.shared.node);
  return event;
}

void Shard::note(Kind kind, const record::Event& event) {
  if (out_.shared.outbox) out_.shared.outbox->note(kind, event.fields, now());
}

// --- connections ---

// `session`: 0 if its ATTACH will tell.
void Shard::tell_connect(const Connection& connection, SessionId session, bool present) {
  if (wanted(Kind::connect)) {
    record::Event told = event(Kind::connect, session.ephemeral());
    FieldWriter out(told.fields);
    put_client(out, session, connection.client_id, connection.identity.username,
               connection.identity.mountpoint);
    put_door(out, connection.peer, connection.version);
    out.flag(Field::clean_start, connection.request->clean_start)
        .flag(Field::session_present, present)
        .number(Field::expiry_seconds, connection.request->expiry_seconds);
    append(std::move(told));
  }
  if (present) tell_life(Kind::client_wakeup, session, connection);
}

void Shard::tell_life(Kind kind, SessionId session, const Connection& connection) {
  if (!wanted(kind)) return;
  record::Event told = event(kind, false);
  FieldWriter out(told.fields);
  put_client(out, session, connection.client_id, connection.identity.username,
             connection.identity.mountpoint);
  append(std::move(told));
}

// Of a session that its client left, or that ends.
void Shard::tell_end(Kind kind, const session::Session& session) {
  if (!wanted(kind)) return;
  record::Event told = event(kind, session.id.ephemeral());
  FieldWriter out(told.fields);
  put_client(out, session);
  if (kind != Kind::client_offline) out.number(Field::messages, session.inbox.count());
  append(std::move(told));
}

void Shard::tell_refused(const Connection& connection, ReasonCode reason) {
  if (!wanted(Kind::connect_failed)) return;
  record::Event told = event(Kind::connect_failed, true);
  FieldWriter out(told.fields);
  put_client(out, {}, connection.client_id, connection.identity.username, connection.identity.mountpoint);
  put_door(out, connection.peer, connection.version);
  out.text(Field::reason, mqtt::name(reason));
  note(Kind::connect_failed, told);
}

void Shard::tell_disconnect(const Connection& connection, SessionId session, EndCause cause) {
  const bool connected =
      connection.state == Connection::State::attaching || connection.state == Connection::State::active;
  if (!connected || !wanted(Kind::disconnect)) return;
  record::Event told = event(Kind::disconnect, true);
  FieldWriter out(told.fields);
  put_client(out, session, connection.client_id, connection.identity.username,
             connection.identity.mountpoint);
  out.text(Field::peer, connection.peer.address)
      .text(Field::listener, connection.peer.listener)
      .text(Field::reason, name(cause));
  append(std::move(told));
}

// --- subscriptions ---

void Shard::tell_subscribe(const Client& client, std::span<const mqtt::Subscribe::Entry> entries,
                           std::span<const ReasonCode> reasons) {
  record::Event told = event(Kind::subscribe, false);
  FieldWriter out(told.fields);
  put_client(out, client.session);
  put_protocol(out, client);
  std::vector<uint32_t> granted;
  for (size_t i = 0; i < entries.size(); ++i) {
    out.more(Field::filters, entries[i].filter);
    granted.push_back(static_cast<uint32_t>(reasons[i]));
  }
  out.number_list(Field::granted_qos, granted);
  append(std::move(told));
}

void Shard::tell_unsubscribe(const Client& client, std::span<const std::string> filters) {
  record::Event told = event(Kind::unsubscribe, false);
  FieldWriter out(told.fields);
  put_client(out, client.session);
  put_protocol(out, client);
  for (const std::string& filter : filters) out.more(Field::filters, filter);
  append(std::move(told));
}

// --- messages ---

// Whether it has to go by the log, so that nobody can miss what becomes of it.
bool Shard::must_be_told(const mqtt::Message& message) const {
  return message.qos != mqtt::Qos::at_most_once && interest_.wants_any() &&
         (wanted(Kind::publish, message) || wanted(Kind::delivery_complete, message) ||
          wanted(Kind::drop, message));
}

// Topic, payload and the like stand in the PUBLISH in front of it.
void Shard::tell_publish(const Client& client, const mqtt::Message& message) {
  record::Event told = event(Kind::publish, false);
  FieldWriter out(told.fields);
  put_client(out, client.session);
  put_protocol(out, client);
  out.text(Field::label, out_.rules.labels().name(message.label));
  append(std::move(told));
}

record::Event Shard::event_about(Kind kind, const session::Session& session, const mqtt::Message& message,
                                 Position position, mqtt::Qos qos, bool retain) const {
  record::Event told = event(kind, session.id.ephemeral());
  FieldWriter out(told.fields);
  put_client(out, session);
  if (position) out.number(Field::message_id, position.value);
  out.number(Field::qos, static_cast<uint64_t>(qos)).flag(Field::retain, retain);
  events::put_message(told.fields, message, interest_.wants_payloads());
  out.text(Field::label, out_.rules.labels().name(message.label));
  return told;
}

void Shard::put_latency(record::Event& told, const mqtt::Message& message) {
  const WallMs took = std::max<WallMs>(0, now() - message.received_at);
  FieldWriter(told.fields).number(Field::latency_ns, static_cast<uint64_t>(took) * kNsPerMs);
}

// An ephemeral session's stands alone, and now; others wait for the record that says so.
void Shard::tell_complete(Client& client, const session::Entry& entry) {
  record::Event told = event_about(Kind::delivery_complete, client.session, *entry.message, entry.position,
                                   entry.qos, entry.retain);
  put_latency(told, *entry.message);
  if (client.session.id.ephemeral()) {
    append(std::move(told));
  } else {
    client.work.make().told.push_back(std::move(told));
  }
}

// Of an ephemeral session: it is told. Else what is to stand behind the record; nothing if nobody wants it.
std::optional<record::Event> Shard::tell_drop(const Client& client, const session::Entry& entry,
                                              std::string_view reason) {
  if (!wanted(Kind::drop, *entry.message)) return std::nullopt;
  record::Event told =
      event_about(Kind::drop, client.session, *entry.message, entry.position, entry.qos, entry.retain);
  FieldWriter(told.fields).text(Field::reason, reason);
  if (!client.session.id.ephemeral()) return told;
  append(std::move(told));
  return std::nullopt;
}

void Shard::note_message(Kind kind, const session::Session& session, const mqtt::Message& message,
                         Position position, mqtt::Qos qos, bool retain, std::string_view reason) {
  record::Event told = event_about(kind, session, message, position, qos, retain);
  if (kind == Kind::deliver) put_latency(told, message);
  if (kind == Kind::publish) {
    FieldWriter out(told.fields);
    if (const Client* client = find(session.id)) put_protocol(out, *client);
  }
  FieldWriter(told.fields).text(Field::reason, reason);
  note(kind, told);
}

}  // namespace courier::broker
