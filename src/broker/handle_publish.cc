// PUBLISH and PUBREL from a client.
//
//  1. the topic (alias)
//  2. our Receive Maximum; a QoS 2 duplicate is answered again and goes no further
//  3. the topic's limits, the payload's format; may this client publish here? so much?
//     (a hook is to be asked: it waits in line for the answer, see ask_hooks.cc)
//  4. can a promise be made now (log, memory, retained room, full inboxes)?
//  5. straight to the receivers, when no promise needs the log; else a record, and the answer waits for it
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "mqtt/properties.h"
#include "mqtt/topic.h"

namespace courier::broker {

using mqtt::Qos;
using mqtt::ReasonCode;

namespace {

log::Limit refused_publishes{{.per_second = 10}};

mqtt::MessagePtr own(const Connection& connection, std::string_view topic, const mqtt::Publish& packet,
                     WallMs now, auth::acl::LabelId label) {
  auto message = mqtt::Message::make(topic, packet.payload, packet.forwarded_properties);
  mqtt::MessagePtr held(message);
  message->publisher = connection.client->session.id;
  message->received_at = now;
  if (packet.message_expiry_seconds) {
    // An interval of 0 has ended at once; 1 ms keeps it apart from "never".
    message->expires_at = now + std::max<int64_t>(1, int64_t{*packet.message_expiry_seconds} * 1000);
  }
  message->qos = packet.qos;
  message->retain = packet.retain;
  message->label = label;
  return held;
}

// Those who are here get it; it is not kept.
mqtt::MessagePtr not_retained(const mqtt::Message& from) {
  auto message = mqtt::Message::make(from.topic, from.payload, from.properties);
  mqtt::MessagePtr held(message);
  message->publisher = from.publisher;
  message->received_at = from.received_at;
  message->expires_at = from.expires_at;
  message->qos = from.qos;
  message->label = from.label;
  return held;
}

}  // namespace

void Shard::handle(Connection& connection, const mqtt::Publish& packet) {
  // Counted at the end, when its label is known.
  struct Received {
    ShardMetrics& metrics;
    Qos qos;
    auth::acl::LabelId label = auth::acl::kNoLabel;
    ~Received() { metrics.received[static_cast<size_t>(qos)][label].add(); }
  } received{metrics_, packet.qos};
  ++connection.messages_in;

  // 1.
  std::string_view topic = packet.topic;
  if (packet.topic_alias) {
    const size_t alias = *packet.topic_alias;
    if (alias == 0 || alias > promised(connection).topic_alias_max) {  // [MQTT-3.3.2-8], [MQTT-3.3.2-9]
      disconnect(connection, EndCause::protocol_violation, ReasonCode::topic_alias_invalid,
                 "the topic alias is 0 or above the maximum");
      return;
    }
    auto& aliases = connection.extra.make().aliases_in;
    if (aliases.size() < alias) aliases.resize(alias);
    std::string& known = aliases[alias - 1];
    if (!topic.empty()) known = topic;
    topic = known;
  }
  if (topic.empty()) {
    disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error,
               "a PUBLISH without a topic uses an alias that was never set");
    return;
  }

  // 2.
  session::Session& session = connection.client->session;
  if (packet.qos == Qos::exactly_once) {
    if (session.taken.contains(packet.packet_id)) {
      answer_publisher(connection, packet.packet_id, Qos::exactly_once,
                       ReasonCode::success);  // [MQTT-4.3.3-10]
      return;
    }
    const auto& taking = connection.extra->taking;
    if (std::find(taking.begin(), taking.end(), packet.packet_id.value) != taking.end())
      return;  // answer is coming
  }
  if (packet.qos != Qos::at_most_once && connection.v5()) {
    if (connection.unanswered >= promised(connection).receive_maximum) {  // [MQTT-3.3.4-9] is the client's
      disconnect(connection, EndCause::protocol_violation, ReasonCode::receive_maximum_exceeded,
                 "more unanswered messages than the Receive Maximum");
      return;
    }
    ++connection.unanswered;
  }

  // 3.
  const auto refuse = [&](ReasonCode reason, std::string_view why) {
    refuse_publish(connection, topic, packet.packet_id, packet.qos, reason, why, received.label);
  };
  if (const std::string_view why = topic_fault(topic); !why.empty()) {
    refuse(ReasonCode::topic_name_invalid, why);
    return;
  }
  if (connection.v5() && !mqtt::payload_format_valid(packet.forwarded_properties, packet.payload)) {
    refuse(ReasonCode::payload_format_invalid, kPayloadNotUtf8);
    return;
  }
  const auth::acl::Answer allowed = may(connection, auth::acl::Action::publish, topic);
  received.label = allowed.label;
  if (connection.limited && !within_rates(connection, packet, topic, allowed.label)) return;
  if (!allowed.allowed) {
    say_refused(connection, auth::acl::Action::publish, topic, "publish refused");
    refuse(ReasonCode::not_authorized, "publishing to this topic is not allowed");
    return;
  }
  mqtt::MessagePtr message = own(connection, topic, packet, now(), allowed.label);
  if (connection.hurdles & (Connection::ask_publish | Connection::undecided | Connection::no_publish))
      [[unlikely]] {
    if (connection.hurdles & Connection::no_publish) {
      refuse(ReasonCode::not_authorized, "the client may not publish");
      return;
    }
    wait_in_line(connection, std::move(message), packet.packet_id, packet.message_expiry_seconds);
    return;
  }
  publish(connection, std::move(message), packet.packet_id, packet.qos, connection.identity.mountpoint);
}

// Why nobody may publish there; "" if they may.
std::string_view Shard::topic_fault(std::string_view topic) const {
  if (topic.size() > out_.limits.topic_bytes_max || mqtt::level_count(topic) > out_.limits.topic_levels_max)
    return "the topic is longer or deeper than allowed";
  // $SYS is the broker's own, and $share is no topic; other $ topics are reserved to servers.
  // [MQTT-4.7.2-1]
  if (topic.front() == '$') return "topics that begin with $ are the broker's";
  return {};
}

// Steps 4 and 5. `qos` is the handshake that its client is owed, `message->qos` what becomes of the message.
void Shard::publish(Connection& connection, mqtt::MessagePtr message, PacketId id, Qos qos,
                    std::string_view mountpoint) {
  session::Session& session = connection.client->session;
  const auto refuse = [&](ReasonCode reason, std::string_view why) {
    refuse_publish(connection, message->topic, id, qos, reason, why, message->label);
  };

  // 4.
  const quota::Limit* full =
      message->retain && connection.limited ? retain_limit(connection, *message, mountpoint) : nullptr;
  if (message->retain && (full || !may_retain(mountpoint, *message))) {
    if (connection.v5() && qos != Qos::at_most_once) {
      refuse(ReasonCode::quota_exceeded, full ? explain(full->rule, quota::What::retained_messages_max)
                                              : "no room for more retained messages");
      return;
    }
    metrics_.dropped.refused[message->label].add();
    message = not_retained(*message);
  }
  const bool promises = qos != Qos::at_most_once;
  if ((promises || message->retain) && (!log_state_.accepting || over_memory())) {
    if (!promises) {
      metrics_.dropped.refused[message->label].add();  // QoS 0: nobody is told, but it is counted
      return;
    }
    if (connection.v5()) {
      refuse(ReasonCode::quota_exceeded,
             log_state_.accepting ? "the broker's memory ceiling is reached" : log_state_.reason);
      return;
    }
    // 3.x cannot be told. It is not read until there is room: a stalled log says so, memory is looked at.
    if (!log_state_.accepting) {
      connection.link->pause(Link::log_stalled);
    } else {
      wait_for_memory(connection);
    }
  }
  if (promises && (out_.shared.full_inboxes.any() || out_.shared.full_groups.any()) && connection.v5() &&
      receiver_is_full(mountpoint, *message)) {
    refuse(ReasonCode::quota_exceeded, "a receiver's inbox is full");
    return;
  }

  // 5.
  uint32_t& on_their_way = connection.logged[static_cast<size_t>(qos)];
  const bool told = wanted(events::Kind::publish, *message);
  if (!message->retain && on_their_way == 0 && may_overtake_nothing(connection) && !must_be_told(*message) &&
      route_directly(connection, message, qos, mountpoint)) {
    if (told) [[unlikely]]
      note_message(events::Kind::publish, session, *message, {}, message->qos, message->retain);
    if (qos == Qos::exactly_once) {
      session.taken.insert(id);
      stir(*connection.client);
    }
    if (promises) {
      answer_publisher(connection, id, qos,
                       match_.empty() ? ReasonCode::no_matching_subscribers : ReasonCode::success);
    }
    return;
  }
  ++on_their_way;
  record::Publish record{message, std::string(mountpoint), {}, under(connection)};
  if (!promises) {
    append(std::move(record), Uncount{connection.id});
    if (told) tell_publish(*connection.client, *message);
    return;
  }
  const auto index = static_cast<uint32_t>(batch_.size());
  if (qos == Qos::exactly_once) {
    connection.extra.make().taking.push_back(id.value);
    append(std::move(record));
    if (told) tell_publish(*connection.client, *message);
    if (!session.id.ephemeral()) {
      append(record::Qos2In{{session.id, connection.attach}, id}, ToPublisher{connection.id, id, qos, index});
      return;
    }
    batch_pending_.push_back(ToPublisher{connection.id, id, qos, index});
    return;
  }
  append(std::move(record), ToPublisher{connection.id, id, qos, index});
  if (told) tell_publish(*connection.client, *message);
}

// Whether the retained messages have room for this one. Deleting is always possible, and replacing by what is
// no larger.
bool Shard::may_retain(std::string_view mountpoint, const mqtt::Message& message) const {
  if (message.payload.empty()) return true;
  const size_t count = out_.directory.retained_count(), bytes = out_.directory.retained_bytes();
  const Limits& limits = out_.limits;
  const size_t cost = message.cost();
  if (count < limits.retained_messages_max && bytes + cost <= limits.retained_bytes_max) return true;
  const std::optional<size_t> before = out_.directory.retained_cost(mountpoint, message.topic);
  return before && (cost <= *before || bytes + (cost - *before) <= limits.retained_bytes_max);
}

void Shard::refuse_publish(Connection& connection, std::string_view topic, PacketId id, Qos qos,
                           ReasonCode reason, std::string_view why, auth::acl::LabelId label, bool tell) {
  ++connection.dropped;
  metrics_.dropped.refused[label].add();
  if (reason != ReasonCode::not_authorized) {  // which was said, with its rule
    log::info(refused_publishes, "publish refused",
              {{"client_id", connection.client_id},
               {"username", connection.identity.username},
               {"peer", connection.peer.address},
               {"topic", topic},
               {"reason", mqtt::name(reason)},
               {"why", why}});
  }
  if (qos == Qos::at_most_once) {
    return;  // QoS 0 has no answer
  }
  answer_publisher(connection, id, qos, reason, tell ? why : std::string_view());
}

// Whether all that this connection, or its client's earlier one, published through the log is with its
// receivers' shards.
bool Shard::may_overtake_nothing(Connection& connection) {
  if (connection.order_after != 0) {
    if (!is_back(connection.order_after)) return false;
    connection.order_after = 0;
    connection.order_burst = burst_;
  }
  return connection.order_burst <= out_.shared.bursts_posted.load(std::memory_order_acquire);
}

// Whether nothing that this message promises needs the log; if so it is on its way to the receivers.
bool Shard::route_directly(Connection& connection, const mqtt::MessagePtr& message, Qos qos,
                           std::string_view mountpoint) {
  const bool promises = message->qos != Qos::at_most_once;
  if (promises && !alone()) return false;  // who gets it may be anywhere
  if (qos == Qos::exactly_once && !connection.client->session.id.ephemeral()) return false;
  out_.directory.index().match(mountpoint, message->topic, message->publisher, routing::Shared::choose_member,
                               match_);
  if (promises) {
    const auto stored = [](SessionId session) { return !session.ephemeral(); };
    for (const auto& receiver : match_.receivers()) {
      if (receiver.qos != Qos::at_most_once && stored(receiver.session)) return false;
    }
    // A group may have stored members that are not connected, so it always takes the log.
    if (!match_.groups().empty()) return false;
  }
  // One mail a shard; the own one's is handled at once.
  const auto add = [&](SessionId session, Qos granted, bool retain, std::span<const uint32_t> identifiers) {
    direct_[session.hash() % shard_count_].to.push_back(
        {session, mqtt::lower(message->qos, granted), retain, false, record::extras_of(identifiers)});
  };
  for (const auto& receiver : match_.receivers()) {
    add(receiver.session, receiver.qos, receiver.retain_as_published && message->retain,
        match_.identifiers(receiver));
  }
  for (const auto& group : match_.groups()) {
    if (!group.member.session) continue;
    add(group.member.session, group.member.options.qos,
        group.member.options.retain_as_published && message->retain,
        record::listed(group.member.subscription_identifier));
  }
  for (uint32_t shard = 0; shard < shard_count_; ++shard) {
    record::Delivery& delivery = direct_[shard];
    if (delivery.to.empty()) continue;
    delivery.message = message;
    if (shard == index_) {
      receive(delivery, Way::direct);
      delivery.to.clear();
      delivery.message = {};
    } else {
      post_direct(out_.post, out_.shared.backlog, shard, std::move(delivery));
    }
  }
  return true;
}

bool Shard::receiver_is_full(std::string_view mountpoint, const mqtt::Message& message) {
  out_.directory.index().match(mountpoint, message.topic, message.publisher, routing::Shared::name_group,
                               match_);
  return std::ranges::any_of(match_.receivers(),
                             [&](const routing::Receiver& receiver) {
                               return receiver.qos != Qos::at_most_once &&
                                      out_.shared.full_inboxes.contains(receiver.session);
                             }) ||
         std::ranges::any_of(match_.groups(), [&](const auto& matched) {
           return out_.shared.full_groups.contains(matched.group);
         });
}

void Shard::answer_publisher(Connection& connection, PacketId id, Qos qos, ReasonCode reason,
                             std::string_view why) {
  mqtt::PublishReply reply{id, reason, {}, {}};
  if (connection.problem_information && !why.empty()) reply.reason_string = why;
  if (qos == Qos::exactly_once) {
    if (mqtt::is_error(reason) && connection.unanswered > 0) --connection.unanswered;
    send(connection, mqtt::Pubrec{reply});
  } else {
    if (connection.unanswered > 0) --connection.unanswered;
    send(connection, mqtt::Puback{reply});
  }
}

void Shard::handle(Connection& connection, const mqtt::Pubrel& packet) {
  session::Session& session = connection.client->session;
  if (!session.taken.contains(packet.packet_id)) {
    // 3.x: as if it had been here. [MQTT-4.3.3-11]
    send(connection, mqtt::Pubcomp{{packet.packet_id, ReasonCode::packet_identifier_not_found, {}, {}}});
    return;
  }
  if (session.id.ephemeral()) {
    session.taken.erase(packet.packet_id);
    if (connection.unanswered > 0) --connection.unanswered;
    send(connection, mqtt::Pubcomp{{packet.packet_id, ReasonCode::success, {}, {}}});
    return;
  }
  append(record::Released{{session.id, connection.attach}, packet.packet_id},
         ToPubcomp{connection.id, packet.packet_id});
}

}  // namespace courier::broker
