// What the server sends us: PUBLISH and PUBREL.
#include <algorithm>

#include "client/engine.h"

namespace courier::client {

namespace {

bool by_value(PacketId a, PacketId b) {
  return a.value < b.value;
}

}  // namespace

void Engine::handle_publish(mqtt::Publish publish, MonoNs now) {
  if (!resolve_alias(publish)) return;
  const PacketId id = publish.packet_id;
  const bool manual = options_->acknowledge_manually && publish.qos != Qos::at_most_once;

  if (publish.qos == Qos::exactly_once) {
    const auto place = std::lower_bound(received_.begin(), received_.end(), id, by_value);
    if (place != received_.end() && *place == id) {
      // Delivered before and not yet released: only the acknowledgement was lost. [MQTT-4.3.3-10]
      const bool waits = rare_ && [&] {
        for (size_t i = 0; i < rare_->due.size(); ++i) {
          if (rare_->due[i].id == id) return true;
        }
        return false;
      }();
      if (!waits) send(mqtt::Pubrec{{.packet_id = id}}, now);
      return;
    }
    received_.insert(place, id);
  }
  if (publish.qos != Qos::at_most_once) {
    // Unfinished QoS 2 exchanges, plus what the application has not acknowledged of QoS 1.
    size_t unfinished = received_.size() + (publish.qos == Qos::at_least_once ? 1 : 0);
    if (rare_) {
      for (size_t i = 0; i < rare_->due.size(); ++i) unfinished += rare_->due[i].qos == Qos::at_least_once;
    }
    if (unfinished > options_->receive_maximum.value_or(65'535)) {
      return violate(ReasonCode::receive_maximum_exceeded,
                     "more messages in flight than our Receive Maximum");
    }
  }
  if (manual) rare().due.push_back({.id = id, .qos = publish.qos});
  if (!manual) {
    delivering_ = id;
    delivering_qos_ = publish.qos;
  }
  handler_.on_message(publish);
  if (state_ == State::connected) acknowledge_delivering(now);
}

void Engine::acknowledge_delivering(MonoNs now) {
  if (const PacketId id = std::exchange(delivering_, PacketId{}))
    send_acknowledgement(id, delivering_qos_, now);
}

bool Engine::resolve_alias(mqtt::Publish& publish) {
  if (!publish.topic_alias) return true;  // the decoder has refused an empty topic without an alias
  const uint16_t alias = *publish.topic_alias;
  if (alias == 0 || alias > options_->topic_alias_maximum) {
    violate(ReasonCode::topic_alias_invalid, "topic alias beyond our Topic Alias Maximum");
    return false;
  }
  auto& aliases = rare().aliases_in;
  if (!publish.topic.empty()) {
    if (aliases.size() < alias) aliases.resize(alias);
    aliases[alias - 1] = publish.topic;
    return true;
  }
  if (alias > aliases.size() || aliases[alias - 1].empty()) {
    violate(ReasonCode::protocol_error, "topic alias that was never set");
    return false;
  }
  publish.topic = aliases[alias - 1];
  return true;
}

void Engine::send_acknowledgement(PacketId id, Qos qos, MonoNs now) {
  switch (qos) {
    case Qos::at_most_once:
      return;
    case Qos::at_least_once:
      return send(mqtt::Puback{{.packet_id = id}}, now);
    case Qos::exactly_once:
      return send(mqtt::Pubrec{{.packet_id = id}}, now);
  }
}

void Engine::acknowledge(PacketId id, MonoNs now) {
  if (!rare_ || state_ != State::connected) return;
  auto& due = rare_->due;
  for (size_t i = 0; i < due.size(); ++i) {
    if (due[i].id == id && !due[i].ready) {
      due[i].ready = true;
      break;
    }
  }
  while (!due.empty() && due.front().ready) {
    const auto next = due.pop_front();
    send_acknowledgement(next.id, next.qos, now);
  }
}

// The connection is gone. What the application has not acknowledged, the server has not been told of: it
// comes again, and is then a new delivery.
void Engine::forget_unacknowledged() {
  if (!rare_) return;
  for (size_t i = 0; i < rare_->due.size(); ++i) {
    if (rare_->due[i].qos == Qos::exactly_once) std::erase(received_, rare_->due[i].id);
  }
  rare_->due.clear();
}

void Engine::handle_pubrel(const mqtt::Pubrel& pubrel, MonoNs now) {
  const auto place = std::lower_bound(received_.begin(), received_.end(), pubrel.packet_id, by_value);
  const bool known = place != received_.end() && *place == pubrel.packet_id;
  if (known) received_.erase(place);
  const ReasonCode reason = known ? ReasonCode::success : ReasonCode::packet_identifier_not_found;
  send(mqtt::Pubcomp{{.packet_id = pubrel.packet_id, .reason = reason}}, now);  // [MQTT-4.3.3-11]
}

}  // namespace courier::client
