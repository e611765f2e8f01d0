#include "sim_client.h"

#include <algorithm>
#include <cstdio>

#include "mqtt/topic.h"

namespace courier::sim {

using mqtt::Qos;

namespace {
// Who is entitled to what comes through a shared subscription: the group as one.
std::string receiver_name(const std::string& id, const std::string& filter) {
  return filter.starts_with("$share/") ? filter : id;
}
std::string inner_filter(const std::string& filter) {
  const auto shared = mqtt::parse_shared(filter);
  return shared ? std::string(shared->filter) : filter;
}
std::string what(const mqtt::Packet& packet) {
  if (const auto* p = std::get_if<mqtt::Publish>(&packet)) {
    return "PUBLISH " + std::string(p->payload) + " on " + std::string(p->topic) + " qos " +
           std::to_string(static_cast<int>(p->qos)) + " id " + std::to_string(p->packet_id.value) +
           (p->dup ? " dup" : "") + (p->retain ? " retain" : "");
  }
  if (const auto* p = std::get_if<mqtt::Connack>(&packet))
    return "CONNACK " + std::string(name(p->reason)) + (p->session_present ? " present" : "");
  if (const auto* p = std::get_if<mqtt::Puback>(&packet))
    return "PUBACK " + std::to_string(p->packet_id.value);
  if (const auto* p = std::get_if<mqtt::Pubrec>(&packet))
    return "PUBREC " + std::to_string(p->packet_id.value);
  if (const auto* p = std::get_if<mqtt::Pubrel>(&packet))
    return "PUBREL " + std::to_string(p->packet_id.value);
  if (const auto* p = std::get_if<mqtt::Pubcomp>(&packet))
    return "PUBCOMP " + std::to_string(p->packet_id.value);
  if (const auto* p = std::get_if<mqtt::Disconnect>(&packet))
    return "DISCONNECT " + std::string(name(p->reason));
  if (const auto* p = std::get_if<mqtt::Suback>(&packet)) {
    std::string text = "SUBACK " + std::to_string(p->packet_id.value);
    for (const auto reason : p->reasons) text += " " + std::string(name(reason));
    return text;
  }
  if (std::get_if<mqtt::Unsuback>(&packet)) return "UNSUBACK";
  return "another packet";
}

}  // namespace

void SimClient::go_to(World& world) {
  // Whether the end of its connection is safe is known there only where it was.
  if (world_ != &world) will_taken_back_ = 0;
  world_ = &world;
}

void SimClient::connect(std::mt19937_64& random) {
  asked_clean_ = must_start_clean_ || (role_.starts_clean && random() % 4 == 0);
  must_start_clean_ = asked_clean_;  // until it is answered
  if (ledger_.verbose) std::printf("%s connects%s\n", role_.id.c_str(), asked_clean_ ? " clean" : "");
  // Whatever becomes of this CONNECT: it may have ended the session.
  if (asked_clean_) session_is_gone();
  wire_ = world_->open(role_.version);
  wire_->slow = role_.slow;
  acknowledged_ = false;
  mqtt::Connect packet;
  packet.version = role_.version;
  packet.client_id = role_.id;
  packet.clean_start = !role_.stored || asked_clean_;
  if (role_.version == mqtt::Version::v5) {
    if (role_.stored) packet.session_expiry_seconds = role_.expiry_seconds;
    packet.receive_maximum = role_.receive_maximum;
  }
  std::string payload;
  if (role_.will) {
    will_ = ledger_.sent({0, role_.id, "will/" + role_.id, role_.will_qos, false, 0, false, 0, true});
    payload = std::to_string(will_);
    mqtt::Will will;
    will.qos = role_.will_qos;
    will.delay_seconds = role_.will_delay_seconds;
    const std::string topic = "will/" + role_.id;
    will.topic = topic;
    will.payload = payload;
    packet.will = will;
    wire_->send(packet);
  } else {
    wire_->send(packet);
  }
  for (Out& out : outgoing_) out.sent = false;
  answers_.clear();
  subscriptions_asked_.clear();
  if (!role_.stored) {
    subscriptions_known_.clear();
    receiving_.clear();
  }
}

void SimClient::disconnect() {
  if (!connected()) return;
  will_taken_back_ = std::exchange(will_, 0);
  if (ledger_.verbose) std::printf("%s disconnects\n", role_.id.c_str());
  wire_->send(mqtt::Disconnect{});
  farewell_ = wire_;
  lost();
}

void SimClient::reset() {
  if (!wire_) return;
  if (ledger_.verbose)
    std::printf("%s resets, will %llu\n", role_.id.c_str(), static_cast<unsigned long long>(will_));
  if (acknowledged_ && !wire_->closed() && will_ != 0 && role_.will_delay_seconds == 0)
    ledger_.will_must_fire(will_);
  will_ = 0;
  wire_->reset();
  lost();
}

void SimClient::machine_stopped() {
  if (wire_ && acknowledged_ && will_ != 0 && role_.will_delay_seconds == 0) ledger_.will_must_fire(will_);
  will_ = will_taken_back_ = 0;  // nobody knows whether the DISCONNECT was safe
  farewell_ = nullptr;
  lost();
  stopped_meanwhile_ = true;
}

void SimClient::cut_off() {
  will_taken_back_ = 0;  // nobody knows whether the DISCONNECT was safe
  if (!wire_) return;
  if (acknowledged_ && will_ != 0 && role_.will_delay_seconds == 0) ledger_.will_must_fire(will_);
  will_ = 0;
  cut_at_ = world_->clock().wall_ms();
}

void SimClient::session_is_gone() {
  was_stored_ = false;
  outgoing_.clear();
  receiving_.clear();
  subscriptions_known_.clear();
  if (role_.entitled) {
    ledger_.session_ended(role_.id);
  }
}

void SimClient::calm_down() {
  role_.starts_clean = role_.unsubscribes = role_.disorderly = role_.slow = false;
  if (wire_) wire_->slow = false;
}

void SimClient::lost() {
  if (wire_ && acknowledged_) {
    left_at_ = cut_at_ != 0 ? cut_at_ : world_->clock().wall_ms();
    stopped_meanwhile_ = false;
  }
  cut_at_ = 0;
  wire_ = nullptr;
  acknowledged_ = false;
  answers_.clear();
  if (role_.stored) return;
  outgoing_.clear();  // a clean session forgets
  receiving_.clear();
  for (const auto& filter : subscriptions_known_) ledger_.unsubscribed(role_.id, filter);
  subscriptions_known_.clear();
}

void SimClient::publish(std::mt19937_64& random) {
  if (!connected() || role_.topics.empty() || outgoing_.size() >= role_.outgoing_max) return;
  Out out;
  out.topic = role_.topics[random() % role_.topics.size()];
  out.qos = static_cast<Qos>(random() % 3);
  out.retain = random() % 8 == 0;
  out.expires = role_.version == mqtt::Version::v5 && role_.message_expiry_seconds != 0 && random() % 2 == 0;
  out.message = ledger_.sent({0, role_.id, out.topic, out.qos, out.retain, 0, false, 0, false, out.expires});
  if (out.qos == Qos::at_most_once) {
    mqtt::Publish packet;
    const std::string payload = std::to_string(out.message);
    packet.topic = out.topic;
    packet.payload = payload;
    packet.retain = out.retain;
    if (out.expires) packet.message_expiry_seconds = role_.message_expiry_seconds;
    if (ledger_.verbose)
      std::printf("%s -> PUBLISH %s on %s qos 0%s\n", role_.id.c_str(), payload.c_str(), out.topic.c_str(),
                  out.retain ? " retain" : "");
    wire_->send(packet);
    return;
  }
  out.id = free_id();
  outgoing_.push_back(std::move(out));
  send_outgoing();
}

PacketId SimClient::free_id() {
  for (;;) {
    const uint16_t id = next_id_++;
    if (id != 0 &&
        std::none_of(outgoing_.begin(), outgoing_.end(), [&](const Out& o) { return o.id.value == id; })) {
      return PacketId(id);
    }
  }
}

void SimClient::send_outgoing() {
  for (Out& out : outgoing_) {
    if (out.sent) continue;
    out.sent = true;
    if (out.received) {
      wire_->send(mqtt::Pubrel{{out.id, {}, {}, {}}});
      continue;
    }
    mqtt::Publish packet;
    const std::string payload = std::to_string(out.message);
    packet.topic = out.topic;
    packet.payload = payload;
    packet.qos = out.qos;
    packet.retain = out.retain;
    if (out.expires) packet.message_expiry_seconds = role_.message_expiry_seconds;
    packet.packet_id = out.id;
    ledger_.sent_again(out.message);
    if (ledger_.verbose)
      std::printf("%s -> PUBLISH %s qos %d id %d\n", role_.id.c_str(), payload.c_str(),
                  static_cast<int>(out.qos), out.id.value);
    wire_->send(packet);
  }
}

void SimClient::send_answer(std::mt19937_64& random) {
  // A disorderly one forgets its oldest for a long time.
  const size_t oldest = role_.disorderly && answers_.size() > 1 && random() % 50 != 0 ? 1 : 0;
  const size_t which = role_.disorderly ? oldest + random() % (answers_.size() - oldest) : 0;
  wire_->send(answers_[which]);
  answers_.erase(answers_.begin() + static_cast<ptrdiff_t>(which));
}

void SimClient::unsubscribe(std::mt19937_64& random) {
  if (!role_.unsubscribes || !connected() || subscriptions_known_.empty() || !subscriptions_asked_.empty())
    return;
  auto which = subscriptions_known_.begin();
  std::advance(which, static_cast<ptrdiff_t>(random() % subscriptions_known_.size()));
  if (ledger_.verbose) std::printf("%s unsubscribes %s\n", role_.id.c_str(), which->c_str());
  mqtt::Unsubscribe packet;
  packet.packet_id = PacketId(60'001);
  packet.filters.push_back(*which);
  if (role_.entitled) ledger_.unsubscribed(receiver_name(role_.id, *which), inner_filter(*which));
  wire_->send(packet);
  subscriptions_known_.erase(which);
}

bool SimClient::act(std::mt19937_64& random) {
  if (!wire_) return false;
  if (!answers_.empty() && (random() % 3 == 0)) {
    send_answer(random);
    return true;
  }
  if (const auto packet = wire_->receive()) {
    on(*packet);
    return true;
  }
  if (wire_->closed()) {
    // The node ended it. Whether its will fires is the node's affair: it said why it closed.
    will_ = 0;
    lost();
    return true;
  }
  if (!answers_.empty() && (!role_.disorderly || random() % 50 == 0)) {
    send_answer(random);
    return true;
  }
  if (acknowledged_ && subscriptions_asked_.empty() && !subscribed()) {
    mqtt::Subscribe packet;
    for (const auto& [filter, qos] : role_.filters) {
      if (subscriptions_known_.contains(filter)) continue;
      packet.packet_id = PacketId(60'000);
      packet.entries.push_back({filter, {qos, false, false, mqtt::RetainHandling::send}});
      if (ledger_.verbose) std::printf("%s subscribes %s\n", role_.id.c_str(), filter.c_str());
      subscriptions_asked_.insert(filter);
    }
    wire_->send(packet);
    return true;
  }
  return false;
}

void SimClient::on(const mqtt::Packet& packet) {
  if (ledger_.verbose) std::printf("%s <- %s\n", role_.id.c_str(), what(packet).c_str());
  if (const auto* p = std::get_if<mqtt::Connack>(&packet)) on_connack(*p);
  if (const auto* p = std::get_if<mqtt::Publish>(&packet)) on_publish(*p);
  if (const auto* p = std::get_if<mqtt::Puback>(&packet))
    settle_out(p->packet_id, false, is_error(p->reason));
  if (const auto* p = std::get_if<mqtt::Pubrec>(&packet)) settle_out(p->packet_id, true, is_error(p->reason));
  if (const auto* p = std::get_if<mqtt::Pubcomp>(&packet)) {
    std::erase_if(outgoing_, [&](const Out& o) { return o.id == p->packet_id && o.received; });
  }
  if (const auto* p = std::get_if<mqtt::Pubrel>(&packet)) {
    receiving_.erase(p->packet_id.value);
    answers_.push_back(mqtt::Pubcomp{{p->packet_id, {}, {}, {}}});
  }
  if (const auto* p = std::get_if<mqtt::Suback>(&packet)) {
    size_t i = 0;
    for (const auto& filter : subscriptions_asked_) {
      if (i < p->reasons.size() && !is_error(p->reasons[i])) {
        subscriptions_known_.insert(filter);
        // A group is entitled from its first member on; clean members leave, so they entitle nobody.
        if (role_.stored && role_.entitled) {
          ledger_.entitled({receiver_name(role_.id, filter), inner_filter(filter), role_.filters.at(filter),
                            ledger_.tick(), UINT64_MAX});
        }
      }
      ++i;
    }
    subscriptions_asked_.clear();
  }
}

void SimClient::on_connack(const mqtt::Connack& packet) {
  if (is_error(packet.reason)) return;
  acknowledged_ = true;
  must_start_clean_ = false;
  // The end of the connection before is safe, since this one's beginning is.
  if (will_taken_back_ != 0) ledger_.will_must_not_fire(std::exchange(will_taken_back_, 0));
  if (role_.stored && was_stored_) {
    const WallMs away_ms = world_->clock().wall_ms() - left_at_;
    // A start gives everybody a grace, and knows only roughly when the run before it ended.
    const uint32_t least = stopped_meanwhile_
                               ? std::min(role_.expiry_seconds, world_->limits().reconnect_grace_seconds)
                               : role_.expiry_seconds;
    const bool may_have_ended = role_.expiry_seconds != 0xFFFFFFFF && away_ms >= int64_t{least} * 1000;
    if (!packet.session_present && !may_have_ended) {
      ledger_.wrong(role_.id + "'s session was acknowledged before and is gone");
    }
    if (may_have_ended) {
      session_is_gone();
      if (packet.session_present) {
        // It may be another, of a connection between whose CONNACK never came. Nobody knows; it starts
        // afresh.
        must_start_clean_ = true;
        reset();
        return;
      }
    }
  }
  if (asked_clean_ && packet.session_present) {
    ledger_.wrong(role_.id + "'s session is present though it asked for a new one");
  }
  if (!role_.stored && packet.session_present) ledger_.wrong(role_.id + "'s clean session was present");
  was_stored_ |= role_.stored;
  send_outgoing();
}

void SimClient::on_publish(const mqtt::Publish& packet) {
  const std::string topic(packet.topic), payload(packet.payload);
  std::string receiver = role_.id;
  bool shared = false;
  for (const auto& [filter, qos] : role_.filters) {
    if (filter.starts_with("$share/") && mqtt::matches(inner_filter(filter), topic)) {
      receiver = filter;
      shared = true;
    }
  }
  const auto deliver = [&] {
    ledger_.delivered(receiver, topic, payload, packet.qos, packet.retain, !shared);
  };
  switch (packet.qos) {
    case Qos::at_most_once:
      deliver();
      return;
    case Qos::at_least_once:
      deliver();
      answers_.push_back(mqtt::Puback{{packet.packet_id, {}, {}, {}}});
      return;
    case Qos::exactly_once:
      if (receiving_.insert(packet.packet_id.value).second) deliver();
      answers_.push_back(mqtt::Pubrec{{packet.packet_id, {}, {}, {}}});
      return;
  }
}

void SimClient::settle_out(PacketId id, bool received, bool refused) {
  const auto it = std::find_if(outgoing_.begin(), outgoing_.end(), [&](const Out& o) { return o.id == id; });
  if (it == outgoing_.end()) return;
  if (refused) {
    outgoing_.erase(it);
    return;
  }
  ledger_.accepted(it->message);
  if (!received) {
    outgoing_.erase(it);
    return;
  }
  it->received = true;
  answers_.push_back(mqtt::Pubrel{{id, {}, {}, {}}});
}

}  // namespace courier::sim
