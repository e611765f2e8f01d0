// What hooks decide about packets and messages, and how that is carried out: auth/hooks.h, undecided.h.
//
//   handle() -> wait_in_line() --question--> Hooks --HookMail--> answered() -> work_off_line() -> go_on()
//   send_qos0() -> ask_before_qos0() ------>   "   ------>  delivery_answered() -> write_qos0()
//   pump() -> decided_delivery(), ask_ahead()  "   ------>  delivery_answered() -> pump()
//   decided() -> ask_about_will() --------->   "   ------>  will_answered() -> go_to_its_shard()
//
// Rules come first: what they refuse nobody is asked about. What an answer makes of a packet is not held
// against them again, only against limits: the hook knows better than the client what is right. Nothing else
// of the connection waits, and no other connection does.
#include <algorithm>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "mqtt/properties.h"
#include "mqtt/reason_codes.h"
#include "mqtt/topic.h"

namespace courier::broker {

using auth::HookOutcome;
using auth::HookPoint;
using auth::HookQuestion;
using mqtt::Qos;
using mqtt::ReasonCode;

namespace {

log::Limit hook_lines{{.per_second = 5}};

Undecided& undecided_of(Connection& connection) {
  auto& undecided = connection.extra.make().undecided;
  if (!undecided) undecided = std::make_unique<Undecided>();
  return *undecided;
}

// A hook may name any reason; not every packet may carry it.
ReasonCode reason_in(mqtt::PacketType packet, ReasonCode reason) {
  const bool known =
      mqtt::is_error(reason) && mqtt::may_carry(packet, static_cast<uint8_t>(reason), mqtt::Side::server);
  return known ? reason : ReasonCode::not_authorized;
}

// A copy of its own, whose other members the caller sets.
mqtt::Message* changed_copy(const mqtt::Message& from, const std::optional<std::string>& topic,
                            const std::optional<std::string>& payload,
                            const std::optional<auth::Properties>& properties) {
  const std::string block = properties ? auth::forwarded_block(*properties) : std::string();
  auto* message = mqtt::Message::make(topic ? std::string_view(*topic) : from.topic,
                                      payload ? std::string_view(*payload) : from.payload,
                                      properties ? std::string_view(block) : from.properties);
  message->publisher = from.publisher;
  message->expires_at = from.expires_at;
  message->received_at = from.received_at;
  message->qos = from.qos;
  message->retain = from.retain;
  message->label = from.label;
  return message;
}

bool changes_message(const auth::PublishChanges& changes) {
  return changes.topic || changes.payload || changes.qos || changes.retain || changes.properties;
}

mqtt::MessagePtr changed_message(const mqtt::Message& from, const auth::PublishChanges& changes) {
  mqtt::Message* message = changed_copy(from, changes.topic, changes.payload, changes.properties);
  mqtt::MessagePtr held(message);
  if (changes.qos) message->qos = *changes.qos;
  if (changes.retain) message->retain = *changes.retain;
  if (changes.properties) {
    const auto& seconds = changes.properties->message_expiry_seconds;
    message->expires_at =
        seconds ? from.received_at + std::max<int64_t>(1, int64_t{*seconds} * 1000) : WallMs{0};
  }
  return held;
}

}  // namespace

// The message as it is to go out to one client.
mqtt::MessagePtr delivered_as(const mqtt::MessagePtr& message, const auth::DeliverChanges& changes) {
  if (!changes.topic && !changes.payload && !changes.properties) return message;
  return mqtt::MessagePtr(changed_copy(*message, changes.topic, changes.payload, changes.properties));
}

void Shard::set_hurdles(Connection& connection, const auth::SessionTerms& terms) {
  const auto asks = [&](HookPoint point) { return out_.hooks && out_.hooks->asks(point, connection.v5()); };
  if (terms.rules_decide || connection.extra) connection.extra.make().rules_decide = terms.rules_decide;
  unsigned hurdles = connection.hurdles & Connection::undecided;
  // What waits to be delivered keeps its order: who was asked about that goes on to be.
  if (connection.extra && connection.extra->undecided)
    hurdles |= connection.hurdles & Connection::ask_deliver;
  if (!terms.rules_decide && asks(HookPoint::publish)) hurdles |= Connection::ask_publish;
  if (!terms.rules_decide && asks(HookPoint::subscribe)) hurdles |= Connection::ask_subscribe;
  if (asks(HookPoint::unsubscribe)) hurdles |= Connection::ask_unsubscribe;
  if (asks(HookPoint::deliver)) hurdles |= Connection::ask_deliver;
  if (!terms.may_publish) hurdles |= Connection::no_publish;
  if (!terms.may_subscribe) hurdles |= Connection::no_subscribe;
  if (!terms.may_unsubscribe) hurdles |= Connection::no_unsubscribe;
  connection.hurdles = static_cast<uint8_t>(hurdles);
}

void Shard::hooks_changed() {
  for (const auto& [id, connection] : connections_) {
    if (connection->state == Connection::State::authenticating) continue;
    set_hurdles(*connection, connection->extra ? connection->extra->terms : auth::SessionTerms());
  }
}

auth::HookClient Shard::asked_client(const Connection& connection) const {
  auth::HookClient client{
      connection.identity.mountpoint.str(), connection.client_id.str(), {}, connection.v5()};
  if (!connection.identity.username.empty()) client.username = connection.identity.username.str();
  return client;
}

template <typename Answer>
std::function<void(Answer)> Shard::to_hook_mail(ConnectionId connection, uint64_t number) const {
  return [post = &out_.post, shard = index_, connection, number](Answer answer) {
    post->post(shard, HookMail{connection, number, std::make_unique<HookMail::Answer>(std::move(answer))});
  };
}

void Shard::say_hook_refused(const Connection& connection, std::string_view what, std::string_view topic,
                             std::string_view why) {
  uint64_t suppressed = 0;
  if (!hook_lines.pass(out_.clock.mono_ns(), suppressed)) return;
  log::info(what, {{"client_id", connection.client_id},
                   {"username", connection.identity.username},
                   {"peer", connection.peer.address},
                   {"topic", topic},
                   {"why", "hook: " + std::string(why)},
                   {"suppressed", suppressed}});
}

// --- from the client ---

Undecided::Request& Shard::wait_in_line(Connection& connection, Undecided::Request request) {
  Undecided& undecided = undecided_of(connection);
  undecided.bytes += request.bytes;
  Undecided::Request& placed = undecided.requests.emplace_back(std::move(request));
  connection.hurdles |= Connection::undecided;
  if (undecided.full()) connection.link->pause(Link::deciding);
  if (over_memory()) wait_for_memory(connection);
  return placed;
}

void Shard::wait_in_line(Connection& connection, mqtt::MessagePtr message, PacketId id,
                         std::optional<uint32_t> expiry_seconds) {
  const mqtt::Message& sent = *message;
  Undecided::Request request;
  request.bytes = sent.cost();
  if (sent.qos == Qos::exactly_once) connection.extra.make().taking.push_back(id.value);
  auth::PublishQuestion question;
  const bool asks = (connection.hurdles & Connection::ask_publish) != 0;
  if (asks) {
    question = {asked_client(connection),
                std::string(sent.topic),
                std::string(sent.payload),
                sent.qos,
                sent.retain,
                {}};
    if (connection.v5()) question.properties = auth::of_forwarded(sent.properties);
    question.properties.message_expiry_seconds = expiry_seconds;
  } else {
    request.answer = auth::PublishAnswer{.outcome = HookOutcome::ok};
  }
  request.what = Undecided::Publish{std::move(message), id, sent.qos};
  Undecided::Request& placed = wait_in_line(connection, std::move(request));
  if (!asks) return;
  const Undecided& undecided = *connection.extra->undecided;
  const uint64_t number = undecided.first + undecided.requests.size() - 1;
  placed.question = HookQuestion(
      *out_.hooks,
      out_.hooks->ask(std::move(question), to_hook_mail<auth::PublishAnswer>(connection.id, number)));
}

void Shard::wait_in_line(Connection& connection, const mqtt::Subscribe& packet,
                         std::vector<ReasonCode> refused) {
  Undecided::Request request;
  Undecided::Subscribe subscribe{packet.packet_id,
                                 {},
                                 std::move(refused),
                                 packet.subscription_identifier.value_or(0),
                                 rights(connection)};
  auth::SubscribeQuestion question;
  for (size_t i = 0; i < packet.entries.size(); ++i) {
    const auto& entry = packet.entries[i];
    subscribe.topics.push_back({std::string(entry.filter), entry.options});
    request.bytes += entry.filter.size() + sizeof(subscribe.topics.back());
    if (subscribe.refused[i] == ReasonCode::success) question.topics.push_back(subscribe.topics.back());
  }
  const bool asks = (connection.hurdles & Connection::ask_subscribe) && !question.topics.empty();
  if (!asks) request.answer = auth::SubscribeAnswer{.outcome = HookOutcome::ok};
  request.what = std::move(subscribe);
  if (!asks && !(connection.hurdles & Connection::undecided)) {
    return go_on(connection, std::get<Undecided::Subscribe>(request.what),
                 std::get<auth::SubscribeAnswer>(*request.answer));
  }
  Undecided::Request& placed = wait_in_line(connection, std::move(request));
  if (!asks) return;
  question.client = asked_client(connection);
  if (packet.subscription_identifier)
    question.properties.subscription_identifiers.push_back(*packet.subscription_identifier);
  for (const auto& each : packet.user_properties) {
    if (!question.properties.user_properties) question.properties.user_properties.emplace();
    question.properties.user_properties->emplace_back(each.name, each.value);
  }
  const Undecided& undecided = *connection.extra->undecided;
  const uint64_t number = undecided.first + undecided.requests.size() - 1;
  placed.question = HookQuestion(
      *out_.hooks,
      out_.hooks->ask(std::move(question), to_hook_mail<auth::SubscribeAnswer>(connection.id, number)));
}

void Shard::wait_in_line(Connection& connection, const mqtt::Unsubscribe& packet) {
  Undecided::Request request;
  Undecided::Unsubscribe unsubscribe{packet.packet_id, {packet.filters.begin(), packet.filters.end()}};
  for (const std::string& filter : unsubscribe.filters) request.bytes += filter.size() + sizeof(filter);
  const bool asks = (connection.hurdles & Connection::ask_unsubscribe) != 0;
  if (!asks) request.answer = auth::UnsubscribeAnswer{.outcome = HookOutcome::ok};
  auth::UnsubscribeQuestion question;
  if (asks) question.filters = unsubscribe.filters;
  request.what = std::move(unsubscribe);
  Undecided::Request& placed = wait_in_line(connection, std::move(request));
  if (!asks) return;
  question.client = asked_client(connection);
  for (const auto& each : packet.user_properties) {
    if (!question.properties.user_properties) question.properties.user_properties.emplace();
    question.properties.user_properties->emplace_back(each.name, each.value);
  }
  const Undecided& undecided = *connection.extra->undecided;
  const uint64_t number = undecided.first + undecided.requests.size() - 1;
  placed.question = HookQuestion(
      *out_.hooks,
      out_.hooks->ask(std::move(question), to_hook_mail<auth::UnsubscribeAnswer>(connection.id, number)));
}

// It said what it had to say and leaves; what it said before counts, QoS 0 as well.
void Shard::wait_in_line(Connection& connection, const mqtt::Disconnect& packet) {
  Undecided::Request request;
  request.what = Farewell{packet.reason};
  request.answer = auth::PublishAnswer{.outcome = HookOutcome::ok};
  wait_in_line(connection, std::move(request));
  Undecided& undecided = undecided_of(connection);
  undecided.leaving = true;
  undecided.drops_will = packet.reason == ReasonCode::success;  // [MQTT-3.14.4-3]
  // Also if somebody takes its session over before its turn comes.
  if (undecided.drops_will) connection.client->work.make().will_settled = connection.client->session.attach;
  connection.link->pause(Link::deciding);
}

void Shard::answered(HookMail& mail) {
  Connection* connection = find(mail.connection);
  if (!connection || !connection->extra || !connection->extra->undecided) return;
  if (auto* delivery = std::get_if<auth::DeliverAnswer>(mail.answer.get())) {
    delivery_answered(*connection, mail.number, *delivery);
    return;
  }
  if (connection->state == Connection::State::authenticating) {
    will_answered(*connection, std::get<auth::PublishAnswer>(*mail.answer));
    return;
  }
  Undecided& undecided = *connection->extra.make().undecided;
  if (mail.number < undecided.first || mail.number - undecided.first >= undecided.requests.size()) return;
  Undecided::Request& request = undecided.requests[mail.number - undecided.first];
  request.question.answered();
  struct Keep {
    Undecided::Request& request;
    void operator()(auth::PublishAnswer& answer) const { request.answer = std::move(answer); }
    void operator()(auth::SubscribeAnswer& answer) const { request.answer = std::move(answer); }
    void operator()(auth::UnsubscribeAnswer& answer) const { request.answer = std::move(answer); }
    void operator()(auth::DeliverAnswer&) const {}
  };
  std::visit(Keep{request}, *mail.answer);
  work_off_line(*connection);
}

void Shard::work_off_line(Connection& connection) {
  const ConnectionId id = connection.id;
  struct GoOn {
    Shard& self;
    Connection& connection;
    Undecided::Request& request;
    void operator()(Undecided::Publish& what) const {
      self.go_on(connection, what, std::get<auth::PublishAnswer>(*request.answer));
    }
    void operator()(Undecided::Subscribe& what) const {
      self.go_on(connection, what, std::get<auth::SubscribeAnswer>(*request.answer));
    }
    void operator()(Undecided::Unsubscribe& what) const {
      auto& answer = std::get<auth::UnsubscribeAnswer>(*request.answer);
      if (answer.changes.filters) what.filters = std::move(*answer.changes.filters);
      self.unsubscribe(connection, what.packet_id, std::move(what.filters));
    }
    void operator()(Farewell& what) const {
      mqtt::Disconnect packet;
      packet.reason = what.reason;
      self.handle(connection, packet);
    }
  };
  Undecided& undecided = *connection.extra.make().undecided;
  while (!undecided.requests.empty() && undecided.requests.front().answer) {
    Undecided::Request request = std::move(undecided.requests.front());
    undecided.requests.pop_front();
    undecided.bytes -= request.bytes;
    ++undecided.first;
    if (undecided.requests.empty())
      connection.hurdles &= static_cast<uint8_t>(~unsigned{Connection::undecided});
    std::visit(GoOn{*this, connection, request}, request.what);
    if (!find(id)) return;  // that was its end
  }
  read_again(connection);
}

void Shard::go_on(Connection& connection, Undecided::Publish& request, auth::PublishAnswer& answer) {
  if (request.qos == Qos::exactly_once) std::erase(connection.extra.make().taking, request.packet_id.value);
  const auto refuse = [&](ReasonCode reason, std::string_view why, bool tell = true) {
    const mqtt::Message& message = *request.message;
    if (reason == ReasonCode::not_authorized)  // or else refuse_publish() says it
      say_hook_refused(connection, "publish refused", message.topic, why);
    refuse_publish(connection, message.topic, request.packet_id, request.qos, reason, why, message.label,
                   tell);
  };
  const auth::PublishChanges& changes = answer.changes;
  if (changes.throttle_ms) throttle(connection, *changes.throttle_ms);
  if (answer.outcome == HookOutcome::refused)
    // Its words may name machines of ours: they are for the log.
    return refuse(reason_in(mqtt::PacketType::puback, answer.reason), answer.why, false);
  mqtt::MessagePtr message = std::move(request.message);
  if (changes_message(changes)) {
    request.message = message;
    message = changed_message(*message, changes);
    if (const std::string_view why = topic_fault(message->topic); !why.empty())
      return refuse(ReasonCode::topic_name_invalid, why);
    if (message->payload.size() > out_.limits.packet_bytes_max)
      return refuse(ReasonCode::implementation_specific_error, "the payload became too long");
    if (const quota::Limit* limit = payload_limit(connection, *message))
      return refuse(ReasonCode::quota_exceeded, explain(limit->rule, quota::What::payload_bytes_max));
    if (!mqtt::payload_format_valid(message->properties, message->payload))
      return refuse(ReasonCode::payload_format_invalid, kPayloadNotUtf8);
  }
  publish(connection, std::move(message), request.packet_id, request.qos,
          changes.mountpoint ? std::string_view(*changes.mountpoint)
                             : std::string_view(connection.identity.mountpoint));
}

void Shard::go_on(Connection& connection, Undecided::Subscribe& request, auth::SubscribeAnswer& answer) {
  std::vector<ReasonCode>& reasons = request.refused;
  const auto& topics = answer.changes.topics;
  std::vector<mqtt::Subscribe::Entry> entries;
  size_t asked = 0;  // of those that a hook was asked about
  for (size_t i = 0; i < request.topics.size(); ++i) {
    auto& [filter, options] = request.topics[i];
    if (reasons[i] == ReasonCode::success) {
      std::optional<ReasonCode> refused;
      if (answer.outcome == HookOutcome::refused) {
        refused = answer.reason;
      } else if (topics && asked < topics->size()) {
        const auth::SubscribeChanges::Topic& now = (*topics)[asked];
        refused = now.refused;
        if (!refused && (now.filter.size() > out_.limits.topic_bytes_max ||
                         mqtt::level_count(now.filter) > out_.limits.topic_levels_max)) {
          refused = ReasonCode::topic_filter_invalid;
        }
        if (!refused) {
          filter = now.filter;
          // Options that only some clients of 3.1.1 have are no hook's business.
          const bool non_persistent = options.non_persistent, no_retry = options.no_retry;
          options = now.options;
          options.non_persistent = non_persistent;
          options.no_retry = no_retry;
        }
      }
      ++asked;
      if (refused) {
        reasons[i] = reason_in(mqtt::PacketType::suback, *refused);
        say_hook_refused(connection, "subscription refused", filter,
                         answer.why.empty() ? "this filter is refused" : answer.why);
      }
    }
    entries.push_back({filter, options});
  }
  subscribe(connection, request.packet_id, entries, std::move(reasons), request.subscription_identifier,
            request.allowed_by);
}

void Shard::read_again(Connection& connection) {
  const Undecided& undecided = *connection.extra->undecided;
  if (undecided.leaving || undecided.requests.size() > Undecided::kRequestsMax / 2 ||
      undecided.bytes > Undecided::kRequestBytesMax / 2 || undecided.throttled_until > out_.clock.mono_ns()) {
    return;
  }
  connection.link->resume(Link::deciding);
}

void Shard::throttle(Connection& connection, uint32_t ms) {
  Undecided& undecided = undecided_of(connection);
  undecided.throttled_until =
      std::max(undecided.throttled_until, out_.clock.mono_ns() + MonoNs{ms} * kNsPerMs);
  connection.link->pause(Link::deciding);
  throttled_.push_back(connection.id);
  throttle_ends_ = std::min(throttle_ends_, undecided.throttled_until);
}

void Shard::end_throttles() {
  const MonoNs now = out_.clock.mono_ns();
  if (now < throttle_ends_) return;
  throttle_ends_ = INT64_MAX;
  std::erase_if(throttled_, [&](ConnectionId id) {
    Connection* connection = find(id);
    if (!connection) return true;
    const MonoNs until = connection->extra->undecided->throttled_until;
    if (until > now) {
      throttle_ends_ = std::min(throttle_ends_, until);
      return false;
    }
    read_again(*connection);
    return true;
  });
}

// --- the will ---

void Shard::ask_about_will(Connection& connection) {
  const session::Will& will = *connection.request->will;
  auth::PublishQuestion question{asked_client(connection),
                                 std::string(will.message->topic),
                                 std::string(will.message->payload),
                                 will.message->qos,
                                 will.message->retain,
                                 {}};
  if (connection.v5()) question.properties = auth::of_forwarded(will.message->properties);
  if (will.message_expiry_seconds != 0)
    question.properties.message_expiry_seconds = will.message_expiry_seconds;
  undecided_of(connection).will = HookQuestion(
      *out_.hooks, out_.hooks->ask(std::move(question), to_hook_mail<auth::PublishAnswer>(connection.id, 0)));
}

void Shard::will_answered(Connection& connection, auth::PublishAnswer& answer) {
  connection.extra.make().undecided->will.answered();
  session::Will& will = *connection.request->will;
  if (answer.outcome == HookOutcome::refused) {
    say_hook_refused(connection, "will refused", will.message->topic, answer.why);
    refuse_connect(connection, answer.failed ? ReasonCode::server_unavailable : ReasonCode::not_authorized,
                   "the client may not publish its will");
    return;
  }
  if (changes_message(answer.changes)) {
    will.message = changed_message(*will.message, answer.changes);
    if (answer.changes.properties) {
      // Counted from when it is published.
      const auto& seconds = answer.changes.properties->message_expiry_seconds;
      will.message_expiry_seconds = seconds.value_or(0);
      const auto copy = changed_copy(*will.message, {}, {}, {});
      copy->expires_at = 0;
      will.message = mqtt::MessagePtr(copy);
    }
    if (const std::string_view why = topic_fault(will.message->topic); !why.empty()) {
      refuse_connect(connection, ReasonCode::topic_name_invalid, why);
      return;
    }
    if (will.message->payload.size() > out_.limits.packet_bytes_max) {
      refuse_connect(connection, ReasonCode::implementation_specific_error, "the will became too long");
      return;
    }  // [[limit]]: by may_come()
  }
  go_to_its_shard(connection);
}

// --- to the client ---

HookQuestion Shard::ask_to_deliver(Connection& connection, const mqtt::Message& message, Qos qos, bool retain,
                                   const session::Entry::Extras* extras, uint64_t number) {
  auth::DeliverQuestion question{
      asked_client(connection), std::string(message.topic), std::string(message.payload), qos, retain, {}};
  if (connection.v5()) {
    question.properties = auth::of_forwarded(message.properties);
    if (message.expires_at != 0) question.properties.message_expiry_seconds = seconds_left(message, now());
    if (extras) question.properties.subscription_identifiers = extras->subscription_identifiers;
  }
  return {*out_.hooks,
          out_.hooks->ask(std::move(question), to_hook_mail<auth::DeliverAnswer>(connection.id, number))};
}

void Shard::ask_before_qos0(Connection& connection, const mqtt::MessagePtr& message, bool retain,
                            const session::Entry::Extras* extras) {
  Undecided& undecided = undecided_of(connection);
  if (undecided.qos0_bytes > output_room()) {
    ++connection.dropped;
    metrics_.dropped.output_full[message->label].add();
    return;
  }
  undecided.qos0_bytes += message->cost();
  undecided.qos0.push_back(
      {0, message, retain, extras ? std::make_unique<session::Entry::Extras>(*extras) : nullptr, {}, {}});
  ask_qos0_ahead(connection);
}

// Of those that wait, the first kDeliveriesMax.
void Shard::ask_qos0_ahead(Connection& connection) {
  Undecided& undecided = *connection.extra.make().undecided;
  const size_t end = std::min(undecided.qos0.size(), Undecided::kDeliveriesMax);
  for (; undecided.qos0_asked < end; ++undecided.qos0_asked) {
    Undecided::Qos0& next = undecided.qos0[undecided.qos0_asked];
    next.number = ++undecided.last_delivery;
    next.question = ask_to_deliver(connection, *next.message, Qos::at_most_once, next.retain,
                                   next.extras.get(), next.number);
  }
}

const auth::DeliverChanges* Shard::decided_delivery(Connection& connection, uint64_t seq,
                                                    const session::Entry& entry) {
  Undecided& undecided = undecided_of(connection);
  auto& asked = undecided.inbox;
  while (!asked.empty() && asked.front().seq < seq) {
    undecided.inbox_bytes -= asked.front().bytes;
    asked.pop_front();
  }
  if (asked.empty() || asked.front().seq != seq) ask_about(connection, seq, entry, asked.begin());
  const auto& changes = asked.front().changes;
  return changes ? &*changes : nullptr;
}

void Shard::ask_about(Connection& connection, uint64_t seq, const session::Entry& entry,
                      std::deque<Undecided::Asked>::iterator before) {
  Undecided& undecided = *connection.extra.make().undecided;
  const uint64_t number = ++undecided.last_delivery;
  const size_t bytes = entry.message->cost();
  undecided.inbox_bytes += bytes;
  undecided.inbox.insert(before, {number,
                                  seq,
                                  bytes,
                                  ask_to_deliver(connection, *entry.message, entry.qos, entry.retain,
                                                 entry.extras.get(), number),
                                  {}});
}

// About what comes after the cursor, as far as the window has room for it: answers take their time, but not
// one after the other.
void Shard::ask_ahead(Connection& connection) {
  Undecided& undecided = *connection.extra.make().undecided;
  session::Inbox& inbox = connection.client->session.inbox;
  const size_t most = std::min<size_t>(connection.window - connection.in_flight, Undecided::kDeliveriesMax);
  uint64_t seq = undecided.inbox.empty() ? connection.cursor : undecided.inbox.back().seq + 1;
  for (; seq < inbox.next() && undecided.inbox.size() < most &&
         undecided.inbox_bytes < Undecided::kDeliveryBytesMax;
       ++seq) {
    if (seq >= inbox.gap_begin() && seq < inbox.gap_end()) return;
    const session::Entry* entry = inbox.find(seq);
    if (!entry || entry->acked || entry->leaving || entry->step == session::Step::received) continue;
    ask_about(connection, seq, *entry, undecided.inbox.end());
  }
}

void Shard::delivery_answered(Connection& connection, uint64_t number, auth::DeliverAnswer& answer) {
  Undecided& undecided = *connection.extra.make().undecided;
  const auto decide = [&](auto& waiting) {
    const auto it = std::ranges::find(waiting, number, [](const auto& each) { return each.number; });
    if (it == waiting.end()) return;
    it->question.answered();
    it->changes = std::move(answer.changes);
  };
  decide(undecided.inbox);
  decide(undecided.qos0);
  if (connection.client) want_pump(*connection.client);
  while (!undecided.qos0.empty() && undecided.qos0.front().changes) {
    const Undecided::Qos0 next = std::move(undecided.qos0.front());
    undecided.qos0.pop_front();
    --undecided.qos0_asked;
    undecided.qos0_bytes -= next.message->cost();
    write_qos0(connection, *delivered_as(next.message, *next.changes), next.retain, next.extras.get());
  }
  ask_qos0_ahead(connection);
}

}  // namespace courier::broker
