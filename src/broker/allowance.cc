// How much a client may do: the limits that match it, and what it was granted when it was let in.
//
//   attach()      -> may_come, counted    refused by the CONNACK, or let in later
//   handle(PUBLISH) -> within_rates       taken, and then the socket is not read until the debt is paid;
//                                         or refused, when that would take longer than the limit's delay_max
//   limits_changed() -> match_anew        for everybody who is connected, some in each Turn
//
// Who can be told is refused with 0x97; QoS 0 is dropped and counted. A 3.x client cannot be told of a
// message that is not taken: one that comes too fast is waited for, however long (its acknowledged messages
// are safe, and closing would only bring it back with the same message); one that is too large ends the
// connection, as a packet past limits.packet_bytes_max does.
#include <algorithm>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"

namespace courier::broker {

using mqtt::Qos;
using mqtt::ReasonCode;
using quota::Allowance;
using quota::Outcome;
using quota::What;

namespace {

log::Limit limit_lines{{.per_second = 10}};

// How many connections are matched anew in one Turn.
constexpr size_t kMatchedAtOnce = 1000;

}  // namespace

quota::Subject Shard::quota_subject(const Connection& connection) const {
  const auth::Identity& identity = connection.identity;
  // A name that nobody has checked is none: it would give a budget of its own to whoever makes up another.
  return {connection.peer.listener, identity.mountpoint,
          identity.anonymous ? std::string_view() : identity.username.view()};
}

quota::LimitPtr Shard::personal_limit(const Connection& connection) {
  if (!connection.extra) return nullptr;
  const auth::SessionTerms& terms = connection.extra->terms;
  quota::Rule rule;
  rule.messages.per_second = terms.messages_per_second_max.value_or(0);
  rule.payload_bytes_max = terms.message_bytes_max.value_or(0);
  rule.inflight_max = terms.inflight_messages_max.value_or(0);
  if (rule == quota::Rule()) return nullptr;
  // The same terms again, and their debts stay.
  rule.name = quota::Rules::kPersonal;
  const Allowance* now = connection.extra->allowance.get();
  if (now && now->personal() && now->personal()->rule == rule) return now->personal();
  return out_.quota.personal(std::move(rule));
}

void Shard::take_terms(Connection& connection, const auth::SessionTerms& terms) {
  ConnectRequest& request = *connection.request;
  const uint32_t asked = request.expiry_seconds;
  if (terms.clean_start) {
    request.clean_start = *terms.clean_start;
    if (!connection.v5()) request.expiry_seconds = request.clean_start ? 0 : record::kNeverExpires;
  }
  // Of 3.x a clean session ends with its connection whatever anybody grants. [MQTT-3.1.2-6] of 3.1.1
  if (terms.session_expiry_seconds && (connection.v5() || !request.clean_start)) {
    request.expiry_seconds = *terms.session_expiry_seconds;
  }
  request.expiry_seconds = std::min(request.expiry_seconds, out_.limits.session_expiry_seconds_max);
  if (request.expiry_seconds != asked) request.expiry_lowered = true;
}

bool Shard::may_come(Connection& connection) {
  if (connection.limited) return true;  // it has been here before
  quota::LimitPtr personal = personal_limit(connection);
  if (quota_.current().empty() && !personal) return true;
  auto made = Allowance::of(quota_.current(), quota_subject(connection), std::move(personal), mono_now());
  if (!made) return true;
  Allowance& allowance = *made;
  connection.extra.make().allowance = std::move(made);
  connection.limited = true;
  const Allowance::Answer answer = allowance.connect(mono_now());
  if (answer.refused) {
    say_limited(connection, *answer.limit, answer.what, Outcome::refused, 0);
    refuse_connect(connection, ReasonCode::connection_rate_exceeded,
                   explain(answer.limit->rule, answer.what));
    return false;
  }
  if (connection.request->will) {
    if (const quota::Limit* limit = payload_limit(connection, *connection.request->will->message)) {
      refuse_connect(connection, ReasonCode::packet_too_large, explain(limit->rule, What::payload_bytes_max));
      return false;
    }
  }
  if (answer.pause == 0) return true;
  delay(connection, answer);
  return false;
}

bool Shard::counted(Connection& connection, std::span<Connection* const> displaced) {
  if (!connection.limited || connection.extra->allowance->entered()) return true;
  std::vector<Allowance*> lenders;
  for (Connection* other : displaced) {
    if (other && other->limited) lenders.push_back(other->extra->allowance.get());
  }
  const quota::Limit* full = connection.extra->allowance->enter(lenders);
  if (!full) return true;
  say_limited(connection, *full, What::connections_max, Outcome::refused, 0);
  refuse_connect(connection, ReasonCode::quota_exceeded, explain(full->rule, What::connections_max));
  return false;
}

bool Shard::within_rates(Connection& connection, const mqtt::Publish& packet, std::string_view topic,
                         auth::acl::LabelId label) {
  const bool must_take = packet.qos != Qos::at_most_once && !connection.v5();
  const size_t payload = packet.payload.size();
  const Allowance::Answer answer =
      connection.extra->allowance->publish(label, topic.size() + payload, payload, !must_take, mono_now());
  if (!answer.limit) return true;
  if (!answer.refused) {
    delay(connection, answer);
    return true;
  }
  say_limited(connection, *answer.limit, answer.what, Outcome::refused, 0);
  const std::string why = explain(answer.limit->rule, answer.what);
  if (must_take) {
    ++connection.dropped;
    metrics_.dropped.refused[label].add();
    disconnect(connection, EndCause::limit_reached, std::nullopt, why);
    return false;
  }
  refuse_publish(connection, topic, packet.packet_id, packet.qos, ReasonCode::quota_exceeded, why, label);
  wait(connection, quota::kPauseAfterRefusal);
  return false;
}

const quota::Limit* Shard::subscription_limit(Connection& connection, uint64_t count) {
  const quota::Limit* limit = connection.extra->allowance->subscriptions(count);
  if (!limit) return nullptr;
  limit->tally.add(What::subscriptions_max, Outcome::refused);
  say_limited(connection, *limit, What::subscriptions_max, Outcome::refused, 0);
  return limit;
}

const quota::Limit* Shard::payload_limit(Connection& connection, const mqtt::Message& message) {
  if (!connection.limited) return nullptr;
  const quota::Limit* limit = connection.extra->allowance->payload(message.label, message.payload.size());
  if (!limit) return nullptr;
  limit->tally.add(What::payload_bytes_max, Outcome::refused);
  say_limited(connection, *limit, What::payload_bytes_max, Outcome::refused, 0);
  return limit;
}

// Deleting is always possible, and so is replacing.
const quota::Limit* Shard::retain_limit(Connection& connection, const mqtt::Message& message,
                                        std::string_view mountpoint) {
  if (message.payload.empty()) return nullptr;
  const Allowance& allowance = *connection.extra->allowance;
  if (!allowance.retained(message.label, UINT64_MAX)) return nullptr;  // none is about that
  const quota::Limit* limit =
      allowance.retained(message.label, out_.directory.retained_count(mountpoint) + 1);
  if (!limit || out_.directory.retained_cost(mountpoint, message.topic)) return nullptr;
  limit->tally.add(What::retained_messages_max, Outcome::refused);
  say_limited(connection, *limit, What::retained_messages_max, Outcome::refused, 0);
  return limit;
}

uint16_t Shard::inflight_max(const Connection& connection) const {
  const uint16_t most = out_.limits.inflight_max;
  return connection.limited ? std::min(most, connection.extra->allowance->inflight_max()) : most;
}

// --- delays ---

void Shard::delay(Connection& connection, const Allowance::Answer& answer) {
  Allowance& allowance = *connection.extra->allowance;
  answer.limit->tally.add(answer.what, Outcome::delayed);
  answer.limit->tally.add_delay(answer.pause);
  ++allowance.delays;
  allowance.delayed_ns += static_cast<uint64_t>(answer.pause);
  say_limited(connection, *answer.limit, answer.what, Outcome::delayed, answer.pause);
  wait(connection, answer.pause);
}

void Shard::wait(Connection& connection, MonoNs pause) {
  Allowance& allowance = *connection.extra->allowance;
  allowance.delayed_until = mono_now() + pause;
  connection.link->pause(Link::limited);
  delays_.push_back({allowance.delayed_until, connection.id});
  std::push_heap(delays_.begin(), delays_.end(), std::greater<Delay>());
  if (delays_.size() < 2 * connections_.size() + 1024) return;
  std::erase_if(delays_, [this](const Delay& each) {
    const Connection* waits = find(each.connection);
    return !waits || !waits->limited || waits->extra->allowance->delayed_until != each.until;
  });
  std::make_heap(delays_.begin(), delays_.end(), std::greater<Delay>());
}

void Shard::end_delays() {
  const MonoNs now = out_.clock.mono_ns();
  while (!delays_.empty() && delays_.front().until <= now) {
    const Delay over = delays_.front();
    std::pop_heap(delays_.begin(), delays_.end(), std::greater<Delay>());
    delays_.pop_back();
    Connection* connection = find(over.connection);
    if (!connection || !connection->limited) continue;
    Allowance& allowance = *connection->extra->allowance;
    if (allowance.delayed_until != over.until) continue;
    allowance.delayed_until = 0;
    connection->link->resume(Link::limited);
    if (connection->state == Connection::State::authenticating) attach(*connection);
  }
}

void Shard::say_limited(Connection& connection, const quota::Limit& limit, What what, Outcome outcome,
                        MonoNs pause) {
  Allowance& allowance = *connection.extra->allowance;
  const MonoNs now = mono_now();
  if (allowance.said_at != INT64_MIN && now - allowance.said_at < quota::kSaidEvery) return;
  allowance.said_at = now;
  log::info(limit_lines, outcome == Outcome::refused ? "limit reached: refused" : "limit reached: delayed",
            {{"limit", limit.rule.name},
             {"what", quota::name(what)},
             {"why", explain(limit.rule, what)},
             {"client_id", connection.client_id},
             {"username", connection.identity.username},
             {"peer", connection.peer.address},
             {"wait_ms", pause / kNsPerMs}});
}

// --- other rules ---

void Shard::limits_changed() {
  std::vector<ConnectionId> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(id);
  match_some(std::move(all));
}

void Shard::match_some(std::vector<ConnectionId> connections) {
  for (size_t n = 0; n < kMatchedAtOnce && !connections.empty(); ++n) {
    Connection* connection = find(connections.back());
    connections.pop_back();
    // Who is not let in yet will be matched when he is, unless he waits for just that.
    if (!connection) continue;
    if (connection->state == Connection::State::authenticating && !connection->limited) continue;
    match_anew(*connection);
  }
  if (connections.empty()) return;
  out_.post.post(index_, TaskMail{[connections = std::move(connections)](Shard& self) mutable {
                   self.match_some(std::move(connections));
                 }});
}

void Shard::match_anew(Connection& connection) {
  const bool attached = connection.state != Connection::State::authenticating;
  quota::LimitPtr personal = personal_limit(connection);
  if (!connection.limited && !personal && quota_.current().empty()) return;
  auto after = Allowance::of(quota_.current(), quota_subject(connection), std::move(personal), mono_now());
  if (!after && !connection.limited) return;
  Connection::Extra& extra = connection.extra.make();
  const std::unique_ptr<Allowance> before = std::move(extra.allowance);
  const uint16_t window = before ? before->window_before : connection.window;
  if (after) {
    after->succeed(before.get(), attached);
    after->window_before = window;
  }
  connection.limited = after != nullptr;
  extra.allowance = std::move(after);
  if (connection.state == Connection::State::active) {
    connection.window = std::min(window, inflight_max(connection));
    if (connection.client) want_pump(*connection.client);
  }
  if (connection.limited || before->delayed_until == 0) return;
  // What it waited for is gone.
  connection.link->resume(Link::limited);
  if (!attached) attach(connection);
}

}  // namespace courier::broker
