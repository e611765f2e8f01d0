// SUBSCRIBE and UNSUBSCRIBE.
//
//  1. each filter by itself: legal, allowed?
//     (a hook is to be asked: it waits in line for the answer, see ask_hooks.cc)
//  2. within limits? One record for those that are; the SUBACK waits until the index knows them
#include <algorithm>
#include <unordered_map>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "mqtt/topic.h"

namespace courier::broker {

using mqtt::Qos;
using mqtt::ReasonCode;

namespace {

log::Limit refused_filters{{.per_second = 10}};

// SUBSCRIBEs of one connection on their way through the log; beyond, it is not read until there are fewer.
constexpr uint32_t kSubscribesPendingMax = 16;

// A filter that is there already is replaced, not added. [MQTT-3.8.4-3]
bool has(const Client& client, std::string_view filter) {
  return client.filters.contains(filter_hash(filter));
}

void say_refused_filter(const Connection& connection, std::string_view filter, ReasonCode reason,
                        std::string_view why) {
  log::info(refused_filters, "subscription refused",
            {{"client_id", connection.client_id},
             {"username", connection.identity.username},
             {"peer", connection.peer.address},
             {"filter", filter},
             {"reason", mqtt::name(reason)},
             {"why", why}});
}

}  // namespace

void Shard::handle(Connection& connection, const mqtt::Subscribe& packet) {
  const Limits& limits = out_.limits;
  std::vector<ReasonCode> reasons;
  for (const auto& entry : packet.entries) {
    const auto refuse = [&](ReasonCode reason, std::string_view why) {
      reasons.push_back(reason);
      say_refused_filter(connection, entry.filter, reason, why);
    };
    std::string_view filter = entry.filter;
    if (mqtt::is_shared(filter)) {
      const auto shared = mqtt::parse_shared(filter);
      if (!shared) {  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
        refuse(ReasonCode::topic_filter_invalid, "$share needs a group's name and a filter");
        continue;
      }
      if (entry.options.no_local) {  // [MQTT-3.8.3-4]
        disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error,
                   "No Local on a shared subscription");
        return;
      }
      filter = shared->filter;
    }
    if (!mqtt::is_topic_filter(filter)) {
      refuse(ReasonCode::topic_filter_invalid, "this is no topic filter");
    } else if (filter.size() > limits.topic_bytes_max ||
               mqtt::level_count(filter) > limits.topic_levels_max) {
      refuse(ReasonCode::topic_filter_invalid, "the filter is longer or deeper than allowed");
    } else if (connection.hurdles & Connection::no_subscribe) {
      refuse(ReasonCode::not_authorized, "the client may not subscribe");
    } else if (!may(connection, auth::acl::Action::subscribe, entry.filter).allowed) {
      say_refused(connection, auth::acl::Action::subscribe, entry.filter, "subscription refused");
      reasons.push_back(ReasonCode::not_authorized);
    } else {
      reasons.push_back(ReasonCode::success);
    }
  }
  if (connection.hurdles & (Connection::ask_subscribe | Connection::undecided)) [[unlikely]] {
    wait_in_line(connection, packet, std::move(reasons));
    return;
  }
  subscribe(connection, packet.packet_id, packet.entries, std::move(reasons),
            packet.subscription_identifier.value_or(0), rights(connection));
}

// Step 2. `reasons`: one for each filter, of which success says that it is legal and allowed, by
// `allowed_by`.
void Shard::subscribe(Connection& connection, PacketId id, std::span<const mqtt::Subscribe::Entry> entries,
                      std::vector<ReasonCode> reasons, uint32_t subscription_identifier, Rights allowed_by) {
  Client& client = *connection.client;
  const Limits& limits = out_.limits;
  record::Subscribe record;
  // Those on their way count: a client need not wait for its SUBACKs.
  const uint32_t before = client.session.subscription_count + connection.filters_pending;
  uint32_t total = before;
  // A filter that a packet names twice is subscribed to as it was named last. [MQTT-3.8.4-3]
  std::unordered_map<std::string_view, size_t> named;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (reasons[i] != ReasonCode::success) continue;
    const auto& entry = entries[i];
    const bool more = !has(client, entry.filter) && !named.contains(entry.filter);
    const bool no_room =
        (more && total >= limits.subscriptions_per_client_max) || over_memory() || !log_state_.accepting;
    if (no_room || (more && connection.limited && subscription_limit(connection, total + 1))) {
      reasons[i] = ReasonCode::quota_exceeded;
      if (no_room) say_refused_filter(connection, entry.filter, reasons[i], "no room for more subscriptions");
      continue;
    }
    reasons[i] = static_cast<ReasonCode>(entry.options.qos);  // [MQTT-3.9.3-1]
    const auto [at, first] = named.try_emplace(entry.filter, record.entries.size());
    if (!first) {
      record.entries[at->second].options = entry.options;
      continue;
    }
    record.entries.push_back({std::string(entry.filter), entry.options});
    if (!has(client, entry.filter)) ++total;
  }
  if (record.entries.empty()) {
    send(connection, mqtt::Suback{id, std::move(reasons), {}, {}});
    return;
  }
  record.by = {client.session.id, connection.attach};
  record.mountpoint = connection.identity.mountpoint.str();
  record.subscription_identifier = subscription_identifier;
  record.window = connection.window;
  client.subscribed = true;
  // A SUBSCRIBE of twenty bytes may bring a hundred thousand in retained messages.
  if (++connection.subacks_pending >= kSubscribesPendingMax) connection.link->pause(Link::subscribing);
  connection.filters_pending += total - before;
  append(std::move(record), ToSuback{connection.id, id, reasons, total - before, allowed_by});
  if (wanted(events::Kind::subscribe)) tell_subscribe(client, entries, reasons);
}

void Shard::handle(Connection& connection, const mqtt::Unsubscribe& packet) {
  if (connection.hurdles & (Connection::ask_unsubscribe | Connection::undecided | Connection::no_unsubscribe))
      [[unlikely]] {
    if (connection.hurdles & Connection::no_unsubscribe) {
      // 3.x gets its UNSUBACK, too, which cannot say that nothing has changed. [MQTT-3.10.4-4]
      send(connection,
           mqtt::Unsuback{
               packet.packet_id, std::vector(packet.filters.size(), ReasonCode::not_authorized), {}, {}});
      return;
    }
    wait_in_line(connection, packet);
    return;
  }
  unsubscribe(connection, packet.packet_id, {packet.filters.begin(), packet.filters.end()});
}

void Shard::unsubscribe(Connection& connection, PacketId id, std::vector<std::string> filters) {
  record::Unsubscribe record{
      {connection.client->session.id, connection.attach}, connection.identity.mountpoint.str(), filters};
  append(std::move(record), ToUnsuback{connection.id, id});
  if (wanted(events::Kind::unsubscribe)) tell_unsubscribe(*connection.client, filters);
}

}  // namespace courier::broker
