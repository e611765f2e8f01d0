// Deadlines of sessions that are not connected: the will's delay, the session's expiry. And of connections:
// the end of what let them in.
#include <algorithm>
#include <functional>

#include "base/log.h"
#include "broker/shard.h"

namespace courier::broker {

using mqtt::ReasonCode;

namespace {
constexpr size_t kStaleDeadlinesMax = 1024;
// When a session is due that another node acts for: it may not be there any more.
constexpr WallMs kOthersLookedAfterMs = 1000;
}  // namespace

void Shard::start() {
  acting_ = true;
  log_state_ = out_.log.state();
  begin_grace();
}

// Phones whose connection the end of a run has cut need a moment to come back before their sessions may end.
void Shard::begin_grace() {
  started_at_ = out_.clock.wall_ms();
  grace_until_ = started_at_ + int64_t{out_.limits.reconnect_grace_seconds} * 1000;
}

// A session that ends with its connection is over; any other that was here before the start has its grace.
WallMs Shard::ends_at(const session::Session& session) const {
  const WallMs at = session.expires_at();
  if (at == session::Session::kNever || session.expiry_seconds == 0 || session.detached_at > started_at_)
    return at;
  return std::max(at, grace_until_);
}

// A phone that comes and goes all day pushes its session's end further and further: the entry that is there
// stays, and what it is for is looked up when its time comes.
void Shard::schedule(Client& client) {
  const session::Session& session = client.session;
  if (session.connected) return;
  const WallMs will_at =
      client.work->will_settled == session.attach ? session::Session::kNever : session.will_due_at();
  look_again_at(client, std::min(will_at, ends_at(session)));
}

void Shard::look_again_at(Client& client, WallMs at) {
  if (at >= client.deadline) return;
  client.deadline = at;
  deadlines_.push_back({at, client.session.id});
  std::push_heap(deadlines_.begin(), deadlines_.end(), std::greater<Deadline>());
  if (deadlines_.size() < 2 * clients_.size() + kStaleDeadlinesMax) return;
  std::erase_if(deadlines_, [this](const Deadline& deadline) {
    return clients_.deadline(deadline.session) != deadline.at;
  });
  std::make_heap(deadlines_.begin(), deadlines_.end(), std::greater<Deadline>());
}

void Shard::watch_authorization(const Connection& connection) {
  if (connection.authorized_until == 0) return;
  authorizations_.push_back({connection.authorized_until, connection.id});
  std::push_heap(authorizations_.begin(), authorizations_.end(), std::greater<Authorization>());
  if (authorizations_.size() < 2 * connections_.size() + kStaleDeadlinesMax) return;
  std::erase_if(authorizations_, [this](const Authorization& each) {
    const Connection* holder = find(each.connection);
    return !holder || holder->authorized_until != each.until;
  });
  std::make_heap(authorizations_.begin(), authorizations_.end(), std::greater<Authorization>());
}

void Shard::end_unauthorized() {
  const auto now = static_cast<uint32_t>(out_.clock.wall_ms() / 1000);
  while (!authorizations_.empty() && authorizations_.front().until <= now) {
    const Authorization over = authorizations_.front();
    std::pop_heap(authorizations_.begin(), authorizations_.end(), std::greater<Authorization>());
    authorizations_.pop_back();
    Connection* connection = find(over.connection);
    if (!connection || connection->authorized_until != over.until) continue;
    if (connection->extra && connection->extra->connected_until == over.until) {
      disconnect(*connection, EndCause::limit_reached, ReasonCode::maximum_connect_time,
                 "it was let in for so long and no longer");
    } else {
      disconnect(*connection, EndCause::not_authorized, ReasonCode::not_authorized, "its token has expired");
    }
  }
}

void Shard::on_time() {
  if (!stirred_.empty()) trim_idle();
  if (!authorizations_.empty()) end_unauthorized();
  if (!throttled_.empty()) [[unlikely]]
    end_throttles();
  if (!delays_.empty()) [[unlikely]]
    end_delays();
  if (!to_judge_.empty()) [[unlikely]]
    judge_some();
  if (!acting_ || deadlines_.empty()) return;
  const WallMs now = out_.clock.wall_ms();
  while (!deadlines_.empty() && deadlines_.front().at <= now) {
    const Deadline deadline = deadlines_.front();
    std::pop_heap(deadlines_.begin(), deadlines_.end(), std::greater<Deadline>());
    deadlines_.pop_back();
    if (clients_.deadline(deadline.session) != deadline.at) continue;
    Client* client = find(deadline.session);
    client->deadline = session::Session::kNever;
    due(*client);
  }
}

void Shard::due(Client& client) {
  const session::Session& session = client.session;
  std::string key = name_key(session.mountpoint, session.client_id);
  if (session.connected || client.connection || changing_.contains(key)) return;
  const WallMs now = out_.clock.wall_ms();
  if (!acts_for(session)) {
    look_again_at(client, now + kOthersLookedAfterMs);
    return;
  }
  const bool ends = ends_at(session) <= now;
  // The will goes out after its delay, or when the session ends. [MQTT-3.1.3-9]
  if (session.will && (ends || session.will_due_at() <= now)) publish_will(client);
  if (!ends) {
    schedule(client);
    return;
  }
  log::debug("session expired", {{"client_id", session.client_id}});
  metrics_.sessions_expired.add();
  changing_[std::move(key)];
  append(
      record::Detach{{session.id, session.attach}, true, true, session.expiry_seconds, session.sent_before});
  tell_end(events::Kind::session_expired, session);
}

void Shard::publish_will(Client& client) {
  const session::Session& session = client.session;
  if (client.work->will_settled == session.attach) return;
  client.work.make().will_settled = session.attach;
  const session::Will& will = *session.will;
  auto message = mqtt::Message::make(will.message->topic, will.message->payload, will.message->properties);
  mqtt::MessagePtr held(message);
  message->qos = will.message->qos;
  message->retain = will.message->retain;
  if (message->retain && !may_retain(session.mountpoint, *message)) {
    message->retain = false;  // those who are here get it; it is not kept
    metrics_.dropped.refused[message->label].add();
  }
  message->publisher = session.id;
  message->received_at = out_.clock.wall_ms();
  if (will.message_expiry_seconds != 0) {
    message->expires_at = message->received_at + int64_t{will.message_expiry_seconds} * 1000;
  }
  metrics_.wills_published.add();
  append(record::Publish{held, session.mountpoint.str(), {session.id, session.attach}, {}});
  if (wanted(events::Kind::publish, *held)) tell_publish(client, *held);
}

}  // namespace courier::broker
