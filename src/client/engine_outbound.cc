// What we send to the server and it acknowledges: PUBLISH, SUBSCRIBE, UNSUBSCRIBE.
#include <algorithm>

#include <fmt/format.h>

#include "client/engine.h"
#include "client/errc.h"
#include "client/properties.h"
#include "mqtt/encoder.h"
#include "mqtt/topic.h"

namespace courier::client {
namespace {

mqtt::Publish view(const HeldPublish& held) {
  return {.retain = held.retain,
          .qos = held.qos,
          .topic = held.topic,
          .payload = held.payload,
          .message_expiry_seconds = held.message_expiry_seconds,
          .topic_alias = held.topic_alias,
          .forwarded_properties = held.forwarded_properties};
}

Completion failure(RequestId request, errc code) {
  return {.request = request, .error = make_error_code(code)};
}

}  // namespace

// ---- PUBLISH

Result<void> Engine::check_publish(const OutgoingMessage& message) const {
  const bool topic_ok = mqtt::is_topic_name(message.topic) && mqtt::is_utf8(message.topic);
  if (!topic_ok) {
    return fail(
        errc::invalid_argument,
        fmt::format(
            "\"{}\" is not a topic to publish to: it must be UTF-8, not be empty and not contain + or #",
            message.topic));
  }
  if (auto ok = client::check(message.properties); !ok) return ok;
  if (message.topic_alias == 0) return fail(errc::invalid_argument, "topic alias 0 is not legal");
  if (state_ != State::connected) return {};
  if (message.qos > server_.maximum_qos) {  // [MQTT-3.2.2-11]
    return fail(errc::not_supported,
                fmt::format("the server takes QoS {} at most", int(server_.maximum_qos)));
  }
  if (message.retain && !server_.retain_available) {  // [MQTT-3.2.2-14]
    return fail(errc::not_supported, "the server keeps no retained messages");
  }
  if (message.topic_alias.value_or(0) > server_.topic_alias_maximum) {  // [MQTT-3.3.2-9]
    return fail(errc::not_supported,
                fmt::format("the server takes topic aliases up to {}", server_.topic_alias_maximum));
  }
  return {};
}

Result<RequestId> Engine::publish(const OutgoingMessage& message, MonoNs now) {
  if (auto ok = check_publish(message); !ok) return fail(ok.error());
  std::string forwarded;
  if (options_->version == Version::v5) forwarded = encode_forwarded(message.properties);
  if (message.topic.size() + message.payload.size() + forwarded.size() + 64 > kRemainingLengthMax) {
    return fail(errc::message_too_large, "an MQTT packet holds at most 256 MB");
  }

  if (message.qos == Qos::at_most_once) {
    if (state_ != State::connected) return fail(errc::not_connected, "not connected");
    const mqtt::Publish publish{.retain = message.retain,
                                .topic = message.topic,
                                .payload = message.payload,
                                .message_expiry_seconds = message.properties.message_expiry_seconds,
                                .topic_alias = message.topic_alias,
                                .forwarded_properties = forwarded};
    if (!encode_publish(publish, now)) {
      return fail(errc::message_too_large,
                  fmt::format("the server takes packets of {} bytes at most", server_.maximum_packet_size));
    }
    return RequestId{};
  }

  auto held = std::make_unique<HeldPublish>(
      HeldPublish{.topic = message.topic,
                  .payload = message.payload,
                  .forwarded_properties = std::move(forwarded),
                  .message_expiry_seconds = message.properties.message_expiry_seconds,
                  .qos = message.qos,
                  .retain = message.retain,
                  .topic_alias = message.topic_alias});
  const RequestId request(++last_request_);
  if (queue_.empty() && !resending_ && may_send()) {
    if (!start_publish(request, std::move(held), now)) return request;
    return fail(errc::message_too_large,
                fmt::format("the server takes packets of {} bytes at most", server_.maximum_packet_size));
  }
  if (queue_.size() >= options_->queue_messages_max ||
      queue_bytes_ + held->cost() > options_->queue_bytes_max) {
    return fail(errc::queue_full, fmt::format("{} messages ({} bytes) wait for the server already",
                                              queue_.size(), queue_bytes_));
  }
  queue_bytes_ += held->cost();
  queue_.push_back({request, std::move(held)});
  return request;
}

// [MQTT-3.3.4-7]: never more unacknowledged than the server's Receive Maximum.
bool Engine::may_send() const {
  return state_ == State::connected && !slots_.full() &&
         inflight_ < std::min(server_.receive_maximum, options_->inflight_maximum);
}

std::error_code Engine::start_publish(RequestId request, std::unique_ptr<HeldPublish> publish, MonoNs now) {
  const PacketId id =
      slots_.add({.state = Slot::State::sent, .request = request, .publish = std::move(publish)});
  return send_publish(id, now);
}

// Sends what the slot holds; frees the slot if it is nothing that this server takes.
std::error_code Engine::send_publish(PacketId id, MonoNs now) {
  Slot& slot = *slots_.find(id);
  const HeldPublish& held = *slot.publish;
  mqtt::Publish publish = view(held);
  publish.packet_id = id;
  publish.dup = slot.sent_before;  // [MQTT-3.3.1-1]
  const bool supported = held.qos <= server_.maximum_qos && (!held.retain || server_.retain_available);
  if (publish.topic_alias.value_or(0) > server_.topic_alias_maximum) publish.topic_alias.reset();
  if (supported && encode_publish(publish, now)) {
    ++inflight_;
    return {};
  }
  slots_.finish(slot);
  return make_error_code(supported ? errc::message_too_large : errc::not_supported);
}

// False, and nothing written, if it is larger than the server's Maximum Packet Size. [MQTT-3.2.2-15]
bool Engine::encode_publish(const mqtt::Publish& publish, MonoNs now) {
  mqtt::Publish wire = publish;
  wire.topic_alias = choose_alias(publish.topic, publish.topic_alias);
  bool known = false;
  if (wire.topic_alias && rare_) {
    const auto told = rare_->aliases_out.find(*wire.topic_alias);
    known = told != rare_->aliases_out.end() && told->second == publish.topic;
    if (known) wire.topic = {};
  }
  const size_t before = output_.size();
  mqtt::encode(output_, wire, options_->version);
  if (output_.size() - before > server_.maximum_packet_size) {
    output_.resize(before);
    return false;
  }
  if (wire.topic_alias && !known) {
    rare().aliases_out[*wire.topic_alias] = publish.topic;
    if (!publish.topic_alias) rare().assigned.emplace(publish.topic, *wire.topic_alias);
  }
  last_sent_ = now;
  return true;
}

// The caller's alias, or one of the server's that is still free: the first topics get them, and keep them for
// the connection.
std::optional<uint16_t> Engine::choose_alias(std::string_view topic, std::optional<uint16_t> wanted) {
  if (options_->version != Version::v5) return std::nullopt;
  if (wanted || !options_->assign_topic_aliases || server_.topic_alias_maximum == 0) return wanted;
  auto& assigned = rare().assigned;
  if (const auto found = assigned.find(std::string(topic)); found != assigned.end()) return found->second;
  if (assigned.size() >= server_.topic_alias_maximum) return std::nullopt;
  return static_cast<uint16_t>(assigned.size() + 1);
}

// Sends what waited for room: first what an earlier connection left, then the queue.
void Engine::pump(MonoNs now) {
  if (state_ != State::connected) return;
  std::vector<Completion> impossible;
  if (resending_) {
    resending_ = false;
    for (size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      if (slot.state == Slot::State::to_release) {
        slot.state = Slot::State::released;
        ++inflight_;
        send(mqtt::Pubrel{{.packet_id = slots_.id_of(i)}}, now);
      } else if (slot.state == Slot::State::to_send) {
        if (!may_send()) {
          resending_ = true;
          break;
        }
        slot.state = Slot::State::sent;
        const RequestId request = slot.request;
        const size_t size = slots_.size();
        if (const auto error = send_publish(slots_.id_of(i), now)) impossible.push_back({request, error});
        i -= size - slots_.size();  // the front may have left; at i = 0 it wraps and ++i mends it
      }
    }
  }
  while (!resending_ && !queue_.empty() && may_send()) {
    Queued next = queue_.pop_front();
    queue_bytes_ -= next.publish->cost();
    const auto error = start_publish(next.request, std::move(next.publish), now);
    if (error) impossible.push_back({next.request, error});
  }
  ask_waiting(now);
  for (const Completion& completion : impossible) handler_.on_published(completion);
}

void Engine::suspend_session() {
  inflight_ = 0;
  resending_ = false;
  forget_unacknowledged();
  if (rare_) {
    rare_->aliases_in.clear();
    rare_->aliases_out.clear();
    rare_->assigned.clear();
  }
  std::vector<std::unique_ptr<HeldRequest>> unanswered;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    switch (slot.state) {
      case Slot::State::sent:
        slot.state = Slot::State::to_send;
        slot.sent_before = true;
        break;
      case Slot::State::released:
        slot.state = Slot::State::to_release;
        break;
      case Slot::State::asked:
        unanswered.push_back(std::move(slot.asked));
        break;
      case Slot::State::to_send:
      case Slot::State::to_release:
      case Slot::State::done:
        break;
    }
  }
  for (size_t i = slots_.size(); i-- > 0;) {
    // From the back, because finishing the front moves the rest.
    if (slots_[i].state == Slot::State::asked) slots_.finish(slots_[i]);
  }
  std::erase_if(unanswered, [](const auto& request) { return request->restored; });
  if (unanswered.empty()) return;
  auto& waiting = rare().requests;
  waiting.insert(waiting.begin(), std::make_move_iterator(unanswered.begin()),
                 std::make_move_iterator(unanswered.end()));
}

// After CONNACK. [MQTT-3.2.2-5]: if the server has no session, ours is void too.
void Engine::resume_session(bool present, MonoNs now) {
  std::vector<Completion> completions;
  if (!present) {
    received_.clear();
    for (size_t i = slots_.size(); i-- > 0;) {
      Slot& slot = slots_[i];
      if (slot.state == Slot::State::to_release) {
        // PUBREC was received: the server had taken the message over.
        completions.push_back({.request = slot.request});
      } else if (slot.state == Slot::State::to_send && slot.publish->qos == Qos::exactly_once &&
                 slot.sent_before) {
        completions.push_back(failure(slot.request, errc::session_lost));
      } else if (slot.state == Slot::State::to_send) {
        queue_bytes_ += slot.publish->cost();
        queue_.push_front({slot.request, std::move(slot.publish)});
      }
      slots_.finish(slot);
    }
    if (options_->restore_subscriptions && !subscriptions_.empty()) {
      auto& waiting = rare().requests;
      auto remembered = std::exchange(subscriptions_, {});
      for (auto& request : remembered) request->restored = true;
      waiting.insert(waiting.begin(), std::make_move_iterator(remembered.begin()),
                     std::make_move_iterator(remembered.end()));
    }
  }
  resending_ = true;
  ask_waiting(now);  // before the publishes: their effects may be subscribed to
  pump(now);
  std::reverse(completions.begin(), completions.end());
  for (const Completion& completion : completions) handler_.on_published(completion);
}

void Engine::fail_all(std::error_code code) {
  std::vector<RequestId> publishes;
  std::vector<std::unique_ptr<HeldRequest>> requests;
  if (rare_) requests = std::exchange(rare_->requests, {});
  for (size_t i = slots_.size(); i-- > 0;) {
    Slot& slot = slots_[i];
    if (slot.state == Slot::State::asked)
      requests.push_back(std::move(slot.asked));
    else if (slot.state != Slot::State::done)
      publishes.insert(publishes.begin(), slot.request);
    slots_.finish(slot);
  }
  while (!queue_.empty()) publishes.push_back(queue_.pop_front().request);
  queue_bytes_ = 0;
  inflight_ = 0;
  for (RequestId request : publishes) handler_.on_published({.request = request, .error = code});
  for (const auto& request : requests) {
    if (request->restored) continue;
    const Completion completion{.request = request->request, .error = code};
    request->subscribe ? handler_.on_subscribed(completion) : handler_.on_unsubscribed(completion);
  }
}

void Engine::complete_publish(Slot& slot, const mqtt::PublishReply& reply) {
  const Completion completion{.request = slot.request,
                              .reason = reply.reason,
                              .reason_string = reply.reason_string.value_or(""),
                              .user_properties = reply.user_properties};
  slots_.finish(slot);
  --inflight_;
  handler_.on_published(completion);
}

void Engine::handle_puback(const mqtt::Puback& puback, MonoNs now) {
  Slot* slot = slots_.find(puback.packet_id);
  if (slot == nullptr) return;  // completed already; a server that repeats itself does no harm
  if (slot->state != Slot::State::sent || slot->publish->qos != Qos::at_least_once) {
    return violate(ReasonCode::protocol_error, "PUBACK for something else than a QoS 1 PUBLISH");
  }
  complete_publish(*slot, puback);
  pump(now);
}

void Engine::handle_pubrec(const mqtt::Pubrec& pubrec, MonoNs now) {
  Slot* slot = slots_.find(pubrec.packet_id);
  if (slot == nullptr) {
    return send(
        mqtt::Pubrel{{.packet_id = pubrec.packet_id, .reason = ReasonCode::packet_identifier_not_found}},
        now);
  }
  const bool first = slot->state == Slot::State::sent && slot->publish->qos == Qos::exactly_once;
  if (!first && slot->state != Slot::State::released) {
    return violate(ReasonCode::protocol_error, "PUBREC for something else than a QoS 2 PUBLISH");
  }
  if (is_error(pubrec.reason)) {
    complete_publish(*slot, pubrec);
    return pump(now);
  }
  slot->state = Slot::State::released;
  slot->publish.reset();
  send(mqtt::Pubrel{{.packet_id = pubrec.packet_id}}, now);  // [MQTT-4.3.3-4]
}

void Engine::handle_pubcomp(const mqtt::Pubcomp& pubcomp, MonoNs now) {
  Slot* slot = slots_.find(pubcomp.packet_id);
  if (slot == nullptr) return;
  if (slot->state != Slot::State::released) {
    return violate(ReasonCode::protocol_error, "PUBCOMP without PUBREL");
  }
  // After a PUBREC the server has the message, even if it has forgotten the id since. [MQTT-4.3.3-7]
  mqtt::PublishReply reply = pubcomp;
  if (reply.reason == ReasonCode::packet_identifier_not_found) reply.reason = ReasonCode::success;
  complete_publish(*slot, reply);
  pump(now);
}

// ---- SUBSCRIBE, UNSUBSCRIBE

Result<void> Engine::check_subscription(const Subscription& subscription) const {
  const std::string& filter = subscription.filter;
  const auto shared = mqtt::parse_shared(filter);
  const bool legal = mqtt::is_utf8(filter) && filter.size() <= kStringBytesMax &&
                     (mqtt::is_shared(filter) ? shared.has_value() : mqtt::is_topic_filter(filter));
  if (!legal) {
    return fail(
        errc::invalid_argument,
        fmt::format("\"{}\" is not a topic filter: + must fill a whole level, # must be the last level, "
                    "and a shared one reads $share/GROUP/FILTER",
                    filter));
  }
  if (shared && subscription.options.no_local) {  // [MQTT-3.8.3-4]
    return fail(errc::invalid_argument, "No Local is not legal on a shared subscription");
  }
  if (state_ != State::connected) return {};
  if (shared && !server_.shared_available) {
    return fail(errc::not_supported, "the server has no shared subscriptions");
  }
  if (!server_.wildcards_available && mqtt::has_wildcard(filter)) {
    return fail(errc::not_supported, "the server has no wildcard subscriptions");
  }
  return {};
}

Result<RequestId> Engine::subscribe(std::vector<Subscription> subscriptions, MonoNs now,
                                    std::optional<uint32_t> subscription_identifier,
                                    UserPropertyList user_properties) {
  if (subscriptions.empty()) return fail(errc::invalid_argument, "nothing to subscribe to");
  for (const Subscription& each : subscriptions) {
    if (auto ok = check_subscription(each); !ok) return fail(ok.error());
  }
  if (subscription_identifier &&
      (*subscription_identifier == 0 || *subscription_identifier > kRemainingLengthMax)) {
    return fail(errc::invalid_argument, "a subscription identifier is between 1 and 268,435,455");
  }
  if (subscription_identifier && state_ == State::connected && !server_.identifiers_available) {
    return fail(errc::not_supported, "the server has no subscription identifiers");
  }
  if (rare_ && rare_->requests.size() >= kRequestsMax) {
    return fail(errc::queue_full, "too many subscriptions wait for a connection");
  }
  auto request = std::make_unique<HeldRequest>();
  request->request = RequestId(++last_request_);
  request->entries = std::move(subscriptions);
  request->subscription_identifier = subscription_identifier;
  request->user_properties = std::move(user_properties);
  const RequestId id = request->request;
  ask(std::move(request), now);
  return id;
}

Result<RequestId> Engine::unsubscribe(std::vector<std::string> filters, MonoNs now,
                                      UserPropertyList user_properties) {
  if (filters.empty()) return fail(errc::invalid_argument, "nothing to unsubscribe from");
  if (rare_ && rare_->requests.size() >= kRequestsMax) {
    return fail(errc::queue_full, "too many subscriptions wait for a connection");
  }
  auto request = std::make_unique<HeldRequest>();
  request->request = RequestId(++last_request_);
  request->subscribe = false;
  request->user_properties = std::move(user_properties);
  for (std::string& filter : filters) {
    const Subscription entry{.filter = std::move(filter), .options = {}};
    if (auto ok = check_subscription(entry); !ok) return fail(ok.error());
    request->entries.push_back(entry);
  }
  const RequestId id = request->request;
  ask(std::move(request), now);
  return id;
}

void Engine::ask(std::unique_ptr<HeldRequest> request, MonoNs now) {
  if (state_ != State::connected || slots_.full()) {
    rare().requests.push_back(std::move(request));
    return;
  }
  const HeldRequest& asked = *request;
  const PacketId id = slots_.add(
      {.state = Slot::State::asked, .request = asked.request, .publish = {}, .asked = std::move(request)});
  if (asked.subscribe) {
    mqtt::Subscribe packet{.packet_id = id,
                           .entries = {},
                           .subscription_identifier = asked.subscription_identifier,
                           .user_properties = views_of(asked.user_properties)};
    for (const auto& [filter, options] : asked.entries) packet.entries.push_back({filter, options});
    send(packet, now);
  } else {
    mqtt::Unsubscribe packet{
        .packet_id = id, .filters = {}, .user_properties = views_of(asked.user_properties)};
    for (const auto& entry : asked.entries) packet.filters.push_back(entry.filter);
    send(packet, now);
  }
}

void Engine::ask_waiting(MonoNs now) {
  if (!rare_ || rare_->requests.empty()) return;
  auto waiting = std::exchange(rare_->requests, {});
  for (auto& request : waiting) ask(std::move(request), now);
}

void Engine::handle_suback(const mqtt::Suback& suback, MonoNs now) {
  Slot* slot = slots_.find(suback.packet_id);
  if (slot == nullptr || slot->state != Slot::State::asked || !slot->asked->subscribe) {
    return violate(ReasonCode::protocol_error, "SUBACK without SUBSCRIBE");
  }
  if (suback.reasons.size() != slot->asked->entries.size()) {
    return violate(ReasonCode::protocol_error, "SUBACK does not answer each filter");
  }
  auto request = std::move(slot->asked);
  slots_.finish(*slot);
  pump(now);
  const Completion completion{.request = request->request,
                              .reasons = suback.reasons,
                              .reason_string = suback.reason_string.value_or(""),
                              .user_properties = suback.user_properties};
  const bool restored = request->restored;
  const bool told = !restored || !completion.ok();  // an application hears of a restore only if it failed
  if (options_->restore_subscriptions) remember(std::move(request), suback.reasons);
  if (told) handler_.on_subscribed(completion);
}

void Engine::handle_unsuback(const mqtt::Unsuback& unsuback, MonoNs now) {
  Slot* slot = slots_.find(unsuback.packet_id);
  if (slot == nullptr || slot->state != Slot::State::asked || slot->asked->subscribe) {
    return violate(ReasonCode::protocol_error, "UNSUBACK without UNSUBSCRIBE");
  }
  if (options_->version == Version::v5 && unsuback.reasons.size() != slot->asked->entries.size()) {
    return violate(ReasonCode::protocol_error, "UNSUBACK does not answer each filter");
  }
  auto request = std::move(slot->asked);
  slots_.finish(*slot);
  pump(now);
  forget(request->entries);
  handler_.on_unsubscribed({.request = request->request,
                            .reasons = unsuback.reasons,
                            .reason_string = unsuback.reason_string.value_or(""),
                            .user_properties = unsuback.user_properties});
}

// A granted filter is restored after a loss of the session; it replaces an older subscription to the same.
void Engine::remember(std::unique_ptr<HeldRequest> request, std::span<const ReasonCode> reasons) {
  std::vector<Subscription> granted;
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (!mqtt::is_error(reasons[i])) granted.push_back(std::move(request->entries[i]));
  }
  if (granted.empty()) return;
  forget(granted);
  request->entries = std::move(granted);
  request->restored = false;
  subscriptions_.push_back(std::move(request));
}

void Engine::forget(const std::vector<Subscription>& entries) {
  for (auto& held : subscriptions_) {
    std::erase_if(held->entries, [&](const Subscription& known) {
      return std::any_of(entries.begin(), entries.end(),
                         [&](const Subscription& gone) { return gone.filter == known.filter; });
    });
  }
  std::erase_if(subscriptions_, [](const auto& held) { return held->entries.empty(); });
}

}  // namespace courier::client
