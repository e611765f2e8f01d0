// What goes out to a client: QoS 0 at once, QoS 1 and 2 from its inbox, in order, within its window.
#include <algorithm>

#include "broker/shard.h"
#include "broker/shared.h"
#include "broker/trace_line.h"

namespace courier::broker {

using mqtt::Qos;
using session::Step;

namespace {

bool is_expired(const mqtt::Message& message, WallMs now) {
  return message.expires_at != 0 && message.expires_at <= now;
}

void name_subscriptions(mqtt::Delivery& delivery, const session::Entry::Extras* extras) {
  if (!extras) return;
  delivery.subscription_identifiers = extras->subscription_identifiers.data();
  delivery.subscription_identifier_count = extras->subscription_identifiers.size();
}

// A topic alias adds three bytes to the properties.
constexpr size_t kAliasBytes = 3;

}  // namespace

// What is left of the message expiry interval, in whole seconds, at least 1 and never more than there were,
// also if the node that took it is ahead by a moment. [MQTT-3.3.2-6]
uint32_t Shard::seconds_left(const mqtt::Message& message, WallMs now) {
  if (message.expires_at == 0) return 0;
  const int64_t left = (message.expires_at - std::max(now, message.received_at) + 999) / 1000;
  return static_cast<uint32_t>(std::clamp<int64_t>(left, 1, UINT32_MAX));
}

AliasesOut::Use AliasesOut::use(std::string_view topic, uint16_t maximum) {
  if (maximum == 0) return {};
  if (const auto it = by_topic_.find(topic); it != by_topic_.end()) return {it->second, true};
  uint16_t alias = 0;
  if (topics_.size() < maximum) {
    topics_.emplace_back(topic);
    alias = static_cast<uint16_t>(topics_.size());
  } else {
    // Round robin: cheap, and good enough where topics repeat at all.
    alias = static_cast<uint16_t>(next_victim_ + 1);
    next_victim_ = static_cast<uint16_t>((next_victim_ + 1) % maximum);
    by_topic_.erase(topics_[alias - 1]);
    topics_[alias - 1] = topic;
  }
  by_topic_.emplace(topic, alias);
  return {alias, false};
}

void Shard::send_qos0(Connection& connection, const mqtt::MessagePtr& message, bool retain,
                      const session::Entry::Extras* extras) {
  if (connection.hurdles & Connection::ask_deliver) [[unlikely]] {
    ask_before_qos0(connection, message, retain, extras);
    return;
  }
  write_qos0(connection, *message, retain, extras);
}

void Shard::write_qos0(Connection& connection, const mqtt::Message& message, bool retain,
                       const session::Entry::Extras* extras) {
  const WallMs now = this->now();
  const auto dropped = [&](ByLabel<Counter>& reason, std::string_view why) {
    ++connection.dropped;
    reason[message.label].add();
    if (wanted(events::Kind::drop, message)) [[unlikely]]
      note_message(events::Kind::drop, connection.client->session, message, {}, Qos::at_most_once, retain,
                   why);
  };
  if (is_expired(message, now)) return dropped(metrics_.dropped.expired, "expired");
  if (connection.link->unsent_bytes() > output_room())
    return dropped(metrics_.dropped.output_full, "output_full");
  mqtt::Delivery delivery;
  delivery.retain = retain;
  delivery.message_expiry_seconds = seconds_left(message, now);
  name_subscriptions(delivery, extras);
  const size_t size = mqtt::encoded_size(message, delivery, connection.version);
  if (size > connection.maximum_packet_size)
    return dropped(metrics_.dropped.too_large, "packet_too_large");  // [MQTT-3.1.2-25]
  if (connection.topic_alias_maximum > 0 && size + kAliasBytes <= connection.maximum_packet_size) {
    const auto alias = connection.extra.make().aliases_out.use(message.topic, connection.topic_alias_maximum);
    delivery.topic_alias = alias.alias;
    delivery.topic_known_by_alias = alias.known;
  }
  if (Tracer* tracer = connection.tracer()) (*tracer)(false, trace_line(message, delivery));
  mqtt::encode_delivery(connection.link->output(), message, delivery, connection.version);
  ++connection.messages_out;
  count_delivered(message, Qos::at_most_once);
  if (wanted(events::Kind::deliver, message)) [[unlikely]]
    note_message(events::Kind::deliver, connection.client->session, message, {}, Qos::at_most_once, retain);
}

void Shard::time_delivery(const mqtt::Message& message) {
  metrics_.delivery_seconds[message.label].observe(static_cast<double>(now() - message.received_at) * 1e-3);
}

void Shard::hold(Connection& connection, Connection::Held held) {
  Connection::Extra& extra = connection.extra.make();
  if (extra.held_bytes > output_room()) {
    ++connection.dropped;
    metrics_.dropped.output_full[held.message->label].add();
    return;
  }
  extra.held_bytes += held.message->cost();
  extra.held.push_back(std::move(held));
}

void Shard::release_held(Connection& connection) {
  Connection::Extra* extra = connection.extra.get();
  if (!extra) return;
  extra->held_bytes = 0;
  for (const Connection::Held& held : std::exchange(extra->held, {})) {
    send_qos0(connection, held.message, held.retain, held.extras.get());
  }
}

bool Shard::transmit(Connection& connection, uint64_t seq, session::Entry& entry,
                     const mqtt::Message& message) {
  mqtt::Delivery delivery;
  delivery.qos = entry.qos;
  delivery.dup = seq < connection.client->session.sent_before;  // [MQTT-3.3.1-1]
  delivery.retain = entry.retain;
  delivery.packet_id = session::packet_id_of(seq);
  delivery.message_expiry_seconds = seconds_left(message, now());
  name_subscriptions(delivery, entry.extras.get());
  const size_t size = mqtt::encoded_size(message, delivery, connection.version);
  if (size > connection.maximum_packet_size) return false;
  if (connection.topic_alias_maximum > 0 && size + kAliasBytes <= connection.maximum_packet_size) {
    const auto alias = connection.extra.make().aliases_out.use(message.topic, connection.topic_alias_maximum);
    delivery.topic_alias = alias.alias;
    delivery.topic_known_by_alias = alias.known;
  }
  if (Tracer* tracer = connection.tracer()) (*tracer)(false, trace_line(message, delivery));
  mqtt::encode_delivery(connection.link->output(), message, delivery, connection.version);
  entry.transmitted = true;
  ++connection.in_flight;
  ++connection.messages_out;
  if (delivery.dup) metrics_.transmitted_again.add();
  if (wanted(events::Kind::deliver, message)) [[unlikely]]
    note_message(events::Kind::deliver, connection.client->session, message, entry.position, entry.qos,
                 entry.retain);
  return true;
}

void Shard::want_pump(Client& client) {
  if (client.pump_wanted || !client.connection) return;
  client.pump_wanted = true;
  pump_list_.push_back(client.session.id);
}

void Shard::pump_all() {
  for (size_t i = 0; i < pump_list_.size(); ++i) {  // pumping may add to the list
    Client* client = find(pump_list_[i]);
    if (!client) continue;
    client->pump_wanted = false;
    if (!client->connection) continue;
    pump(*client->connection);
    if (client->session.walks) ask_for_retained(*client->connection);
  }
  pump_list_.clear();
}

void Shard::pump(Connection& connection) {
  Client& client = *connection.client;
  session::Inbox& inbox = client.session.inbox;
  const WallMs now = this->now();
  while (connection.in_flight < connection.window) {
    if (connection.link->unsent_bytes() > output_room() / 2) {
      connection.blocked = true;
      return;
    }
    connection.cursor = std::max(connection.cursor, inbox.first());
    const uint64_t seq = connection.cursor;
    if (seq >= inbox.next()) return;
    if (seq >= inbox.gap_begin() && seq < inbox.gap_end()) {
      load(client);
      return;
    }
    session::Entry* entry = inbox.find(seq);
    if (!entry || entry->acked || entry->leaving) {
      ++connection.cursor;
      continue;
    }
    // Its packet id may still be out with an earlier message: it waits.
    if (seq >= 65'535) {
      const session::Entry* same_id = inbox.find(seq - 65'535);
      if (same_id && same_id->transmitted) return;
    }
    if (entry->step == Step::received) {
      send(connection,
           mqtt::Pubrel{{session::packet_id_of(seq), mqtt::ReasonCode::success, {}, {}}});  // [MQTT-4.4.0-1]
      entry->transmitted = true;
      ++connection.in_flight;
      ++connection.cursor;
      continue;
    }
    if (entry->step == Step::queued) {
      if (is_expired(*entry->message, now)) {
        expire(client, seq, *entry);
        ++connection.cursor;
        continue;
      }
      if (connection.extra && !still_allowed(connection, seq, *entry)) {
        take_away(client, seq, *entry);
        ++connection.cursor;
        continue;
      }
    }
    mqtt::MessagePtr changed;
    if (connection.hurdles & Connection::ask_deliver) [[unlikely]] {
      const auth::DeliverChanges* changes = decided_delivery(connection, seq, *entry);
      ask_ahead(connection);
      if (!changes) return;
      changed = delivered_as(entry->message, *changes);
    }
    if (entry->qos == Qos::exactly_once && entry->step == Step::queued) {
      if (!client.session.id.ephemeral()) {
        ask_to_send(connection);
        return;
      }
      inbox.set_step(seq, Step::sent);
    }
    if (!transmit(connection, seq, *entry, changed ? *changed : *entry->message))
      drop(client, seq, *entry, record::DropReason::packet_too_large);
    ++connection.cursor;
  }
}

// The retained messages of a large SUBSCRIBE come in pieces: the next when the client has taken most of what
// is here, so that they wait in the index instead of in its inbox.
void Shard::ask_for_retained(Connection& connection) {
  Client& client = *connection.client;
  if (client.walk_pending || connection.subacks_pending > 0 || !log_state_.accepting) return;
  if (connection.link->unsent_bytes() > output_room() / 2) {
    connection.blocked = true;
    return;
  }
  if (client.session.inbox.count() > connection.window) return;
  client.walk_pending = true;
  const session::RetainedWalk& walk = client.session.walks->front();
  append(record::RetainedNext{client.session.id, client.session.mountpoint.str(), walk.filter, walk.options,
                              walk.subscription_identifier, walk.since, walk.after, under(connection)});
}

// QoS 2 goes out only after its SENT is back: asks for as many as the window has room for.
void Shard::ask_to_send(Connection& connection) {
  Client& client = *connection.client;
  session::Inbox& inbox = client.session.inbox;
  record::Sent sent{{{client.session.id, connection.attach}, {}}};
  const uint64_t end = std::min(inbox.next(), connection.cursor + (connection.window - connection.in_flight));
  for (uint64_t seq = connection.cursor; seq < end; ++seq) {
    session::Entry* entry = inbox.find(seq);
    if (!entry || entry->qos != Qos::exactly_once || entry->step != Step::queued) continue;
    if (entry->step_pending || entry->leaving || entry->acked) continue;
    if (!still_allowed(connection, seq, *entry)) continue;  // pump() comes to it
    entry->step_pending = true;
    sent.messages.push_back(ref_of(seq, *entry));
  }
  if (!sent.messages.empty()) append(std::move(sent));
}

}  // namespace courier::broker
