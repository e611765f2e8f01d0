// SUBSCRIBE and UNSUBSCRIBE.
//
//  1. each filter by itself: legal, within limits, allowed?
//  2. one record for those that are; the SUBACK waits until the index knows them
#include <algorithm>
#include <unordered_map>

#include "broker/shard.h"
#include "broker/shared.h"
#include "mqtt/topic.h"

namespace courier::broker {

using mqtt::Qos;
using mqtt::ReasonCode;

namespace {

// SUBSCRIBEs of one connection on their way through the log; beyond, it is not read until there are fewer.
constexpr uint32_t kSubscribesPendingMax = 16;

// A filter that is there already is replaced, not added. [MQTT-3.8.4-3]
bool has(const Client& client, std::string_view filter) {
  return client.filters.contains(filter_hash(filter));
}
}  // namespace

void Shard::handle(Connection& connection, const mqtt::Subscribe& packet) {
  Client& client = *connection.client;
  const Limits& limits = out_.limits;
  std::vector<ReasonCode> reasons;
  record::Subscribe record;
  // Those on their way count: a client need not wait for its SUBACKs.
  const uint32_t before = client.session.subscription_count + connection.filters_pending;
  uint32_t total = before;
  // A filter that a packet names twice is subscribed to as it was named last. [MQTT-3.8.4-3]
  std::unordered_map<std::string_view, size_t> named;
  for (const auto& entry : packet.entries) {
    const auto refuse = [&](ReasonCode reason) { reasons.push_back(reason); };
    std::string_view filter = entry.filter;
    if (mqtt::is_shared(filter)) {
      const auto shared = mqtt::parse_shared(filter);
      if (!shared) {  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
        refuse(ReasonCode::topic_filter_invalid);
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
      refuse(ReasonCode::topic_filter_invalid);
    } else if (filter.size() > limits.topic_bytes_max ||
               mqtt::level_count(filter) > limits.topic_levels_max) {
      refuse(ReasonCode::topic_filter_invalid);
    } else if (!may(connection, auth::acl::Action::subscribe, entry.filter).allowed) {
      say_refused(connection, auth::acl::Action::subscribe, entry.filter, "subscription refused");
      refuse(ReasonCode::not_authorized);
    } else if ((total >= limits.subscriptions_per_client_max && !has(client, entry.filter) &&
                !named.contains(entry.filter)) ||
               over_memory() || !log_state_.accepting) {
      refuse(ReasonCode::quota_exceeded);
    } else if (connection.limited && !has(client, entry.filter) && !named.contains(entry.filter) &&
               subscription_limit(connection, total + 1)) {
      refuse(ReasonCode::quota_exceeded);
    } else {
      reasons.push_back(static_cast<ReasonCode>(entry.options.qos));  // [MQTT-3.9.3-1]
      const auto [at, first] = named.try_emplace(entry.filter, record.entries.size());
      if (!first) {
        record.entries[at->second].options = entry.options;
        continue;
      }
      record.entries.push_back({std::string(entry.filter), entry.options});
      if (!has(client, entry.filter)) ++total;
    }
  }
  if (record.entries.empty()) {
    send(connection, mqtt::Suback{packet.packet_id, std::move(reasons), {}, {}});
    return;
  }
  record.by = {client.session.id, connection.attach};
  record.mountpoint = connection.identity.mountpoint.str();
  record.subscription_identifier = packet.subscription_identifier.value_or(0);
  record.window = connection.window;
  client.subscribed = true;
  // A SUBSCRIBE of twenty bytes may bring a hundred thousand in retained messages.
  if (++connection.subacks_pending >= kSubscribesPendingMax) connection.link->pause(Link::subscribing);
  connection.filters_pending += total - before;
  append(std::move(record),
         ToSuback{connection.id, packet.packet_id, std::move(reasons), total - before, gate_.generation()});
}

void Shard::handle(Connection& connection, const mqtt::Unsubscribe& packet) {
  record::Unsubscribe record{{connection.client->session.id, connection.attach},
                             connection.identity.mountpoint.str(),
                             {packet.filters.begin(), packet.filters.end()}};
  append(std::move(record), ToUnsuback{connection.id, packet.packet_id});
}

}  // namespace courier::broker
