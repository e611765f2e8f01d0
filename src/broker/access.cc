// Who may publish and subscribe where, asked on behalf of a connection; and what happens when the rules
// change: subscriptions that they do not allow any more end.
//
// The filters of a session stand in the directory, which is the feed thread's. So who is to be looked at goes
// there, kSessionsLookedUp at a time, and comes back with its filters:
//
//   rules_changed(), attached() -> look_up_some() -> feed thread -> look_at() -> UNSUBSCRIBE
#include <algorithm>

#include "base/log.h"
#include "broker/shard.h"
#include "mqtt/topic.h"

namespace courier::broker {

using auth::acl::Action;
using auth::acl::Answer;

namespace {

log::Limit access_lines{{.per_second = 5}};  // each is explained, which takes up to a millisecond
constexpr size_t kSessionsLookedUp = 1000;

// Whether rules came with it instead of questions.
bool decided_by_rules(const Client& client) {
  return client.connection && client.connection->extra && client.connection->extra->rules_decide;
}

}  // namespace

auth::acl::Subject Shard::subject(const Connection& connection) const {
  const auth::Identity& identity = connection.identity;
  // A name that nobody has checked is none.
  return {identity.anonymous ? std::string_view() : identity.username.view(), connection.client_id,
          identity.mountpoint, connection.extra ? connection.extra->grants.get() : nullptr};
}

Answer Shard::ask(Connection& connection, Action action, std::string_view topic) {
  return gate_.check(subject(connection), action, topic, connection.decisions);
}

void Shard::say_refused(const Connection& connection, Action action, std::string_view topic,
                        std::string_view what) {
  uint64_t suppressed = 0;
  if (!access_lines.pass(out_.clock.mono_ns(), suppressed)) return;
  log::info(what, {{"client_id", connection.client_id},
                   {"username", connection.identity.username},
                   {"peer", connection.peer.address},
                   {"why", gate_.explain(subject(connection), action, topic).text()},
                   {"suppressed", suppressed}});
}

std::optional<Shard::Access> Shard::why(std::string_view mountpoint, std::string_view client_id,
                                        Action action, std::string_view topic, size_t receivers_max) {
  const Client* client = clients_.find(mountpoint, client_id);
  if (!client) return std::nullopt;
  Access access;
  access.connected = client->connection != nullptr;
  const session::Session& session = client->session;
  access.explanation = gate_.explain(
      client->connection
          ? subject(*client->connection)
          : auth::acl::Subject{session.username, session.client_id, session.mountpoint, nullptr},
      action, topic);
  const bool publish = action == Action::publish;
  if (client->connection) {
    const uint8_t hurdles = client->connection->hurdles;
    access.forbidden = hurdles & (publish ? Connection::no_publish : Connection::no_subscribe);
  }
  if (out_.hooks && access.explanation.allowed && !access.forbidden && !decided_by_rules(*client)) {
    access.hooks = out_.hooks->who(publish ? auth::HookPoint::publish : auth::HookPoint::subscribe,
                                   session.version == mqtt::Version::v5);
  }
  if (!publish || !mqtt::is_topic_name(topic)) return access;
  out_.directory.index().match(session.mountpoint, topic, session.id, routing::Shared::choose_member, match_);
  const auto add = [&](SessionId to, mqtt::Qos qos, bool shared) {
    ++access.receiver_count;
    if (access.receivers.size() < receivers_max) access.receivers.push_back({to, qos, shared});
  };
  for (const auto& receiver : match_.receivers()) add(receiver.session, receiver.qos, false);
  for (const auto& group : match_.groups()) {
    if (group.member.session) add(group.member.session, group.member.options.qos, true);
  }
  return access;
}

Rights Shard::rights(const Connection& connection) {
  const auto* own = connection.extra ? connection.extra->grants.get() : nullptr;
  return {gate_.generation(), own ? own->generation() : 0};
}

void Shard::suspect_inbox(Connection& connection) {
  const session::Inbox& inbox = connection.client->session.inbox;
  if (inbox.count() == 0 || without_rules(connection)) return;
  connection.extra.make().suspects_end = inbox.next();
}

// Whoever may not subscribe to the very topic has no subscription any more that would bring it: a rule that
// allows a filter allows all that it matches, and one that denies a topic denies each filter that does.
bool Shard::still_allowed(Connection& connection, uint64_t seq, const session::Entry& entry) {
  if (!connection.extra || seq >= connection.extra->suspects_end) return true;
  return may(connection, Action::subscribe, entry.message->topic).allowed;
}

void Shard::take_away(Client& client, uint64_t seq, session::Entry& entry) {
  // A group's stays whole: it takes it back when the subscription has ended, and gives it to another member.
  if (entry.origin().group == 0) drop(client, seq, entry, record::DropReason::administrative);
}

void Shard::rules_changed() {
  to_look_up_.clear();
  for (const auto& [id, connection] : connections_) {
    if (connection->client) suspect_inbox(*connection);
    if (connection->client && connection->client->session.subscription_count > 0) {
      to_look_up_.push_back(connection->client->session.id);
    }
  }
  look_up_some();
}

void Shard::look_up(SessionId session) {
  const Client* client = clients_.find_awake(session);
  if (!client || !client->connection || without_rules(*client->connection)) return;
  to_look_up_.push_back(session);
  look_up_some();
}

void Shard::look_up_some() {
  if (looking_up_ || to_look_up_.empty()) return;
  looking_up_ = true;
  const size_t count = std::min(to_look_up_.size(), kSessionsLookedUp);
  std::vector<SessionId> some(to_look_up_.end() - static_cast<ptrdiff_t>(count), to_look_up_.end());
  to_look_up_.resize(to_look_up_.size() - count);
  out_.log.post([directory = &out_.directory, post = &out_.post, shard = index_, some = std::move(some)] {
    std::vector<SubscribedTo> found;
    for (const SessionId session : some) {
      const auto subscriptions = directory->subscriptions(session);
      if (!subscriptions) continue;
      SubscribedTo& one = found.emplace_back();
      one.session = session;
      for (const auto& each : subscriptions->filters) one.filters.push_back(each.filter);
    }
    post->post(shard, TaskMail{[found = std::move(found)](Shard& self) { self.look_at(found); }});
  });
}

void Shard::look_at(const std::vector<SubscribedTo>& found) {
  looking_up_ = false;
  for (const SubscribedTo& one : found) {
    Client* client = clients_.find_awake(one.session);
    if (!client || !client->connection) continue;
    Connection& connection = *client->connection;
    record::Unsubscribe record{{one.session, connection.attach}, connection.identity.mountpoint.str(), {}};
    for (const std::string& filter : one.filters) {
      if (may(connection, Action::subscribe, filter).allowed) continue;
      say_refused(connection, Action::subscribe, filter, "subscription ended: it is not allowed any more");
      record.filters.push_back(filter);
    }
    if (record.filters.empty()) continue;
    std::vector<std::string> filters = record.filters;
    append(std::move(record), ToNobody{connection.id});
    if (wanted(events::Kind::unsubscribe)) tell_unsubscribe(*client, filters);
  }
  look_up_some();
}

}  // namespace courier::broker
