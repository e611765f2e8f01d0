#include "ledger.h"

#include <algorithm>

#include "mqtt/topic.h"

namespace courier::sim {

uint64_t Ledger::sent(Sent message) {
  message.id = messages_.size() + 1;
  message.first_sent = message.last_sent = tick();
  messages_.push_back(std::move(message));
  return messages_.back().id;
}

void Ledger::sent_again(uint64_t id) {
  messages_[id - 1].last_sent = tick();
}

void Ledger::accepted(uint64_t id) {
  Sent& message = messages_[id - 1];
  if (message.accepted) return;
  message.accepted = true;
  message.accepted_at = tick();
}

void Ledger::unsubscribed(const std::string& subscriber, const std::string& filter) {
  for (Entitlement& e : entitlements_) {
    if (e.subscriber == subscriber && e.filter == filter && e.to == UINT64_MAX) e.to = tick();
  }
}

void Ledger::session_ended(const std::string& subscriber) {
  std::erase_if(entitlements_, [&](const Entitlement& e) { return e.subscriber == subscriber; });
}

const Sent* Ledger::find(const std::string& payload) const {
  const uint64_t id = std::strtoull(payload.c_str(), nullptr, 10);
  return id == 0 || id > messages_.size() ? nullptr : &messages_[id - 1];
}

void Ledger::delivered(const std::string& receiver, const std::string& topic, const std::string& payload,
                       mqtt::Qos qos, bool retained, bool ordered) {
  ++delivered_count_;
  const Sent* message = find(payload);
  if (!message || message->topic != topic) {
    wrong(receiver + " got \"" + payload + "\" on " + topic + ", which nobody published there");
    return;
  }
  const bool first = ++deliveries_[{receiver, message->id}] == 1;
  if (message->qos == mqtt::Qos::exactly_once && qos == mqtt::Qos::exactly_once && !retained) {
    if (++exactly_once_deliveries_[{receiver, message->id}] > 1) {
      wrong(receiver + " got QoS 2 message " + payload + " twice");
    }
  }
  if (!first || retained || !ordered || drops || message->is_will) return;
  check_order(receiver, *message);
}

// [MQTT-4.6.0-5] A publisher that lost its connection sends all again that was not acknowledged, in order:
// the node routes 1 2 and then 1 2 once more. Who subscribes between the first two gets 2 1 2, rightly: the 1
// it missed was published to others. So a late one is a fault only if the subscription was held, without a
// gap, all the while in which the node may have routed it first: from its first sending until its
// acknowledgement or, since the node routes a publisher's messages in order, until the first delivery of a
// later one. That later one may itself have come through any subscription.
void Ledger::check_order(const std::string& receiver, const Sent& message) {
  if (two_ways && message.qos == mqtt::Qos::at_most_once) return;
  auto& first_deliveries = first_deliveries_[receiver + "|" + message.publisher + "|" + message.topic + "|" +
                                             std::to_string(static_cast<int>(message.qos))];
  first_deliveries.emplace(message.id, tick());
  uint64_t routed_before = message.accepted ? message.accepted_at : now_, overtaken_by = 0;
  for (auto later = first_deliveries.upper_bound(message.id); later != first_deliveries.end(); ++later) {
    routed_before = std::min(routed_before, later->second);
    overtaken_by = later->first;
  }
  if (overtaken_by == 0 || !held(receiver, message.topic, message.first_sent, routed_before)) return;
  wrong(receiver + " got message " + std::to_string(message.id) + " after " + std::to_string(overtaken_by) +
        " of the same publisher on " + message.topic);
}

bool Ledger::held(const std::string& subscriber, const std::string& topic, uint64_t from, uint64_t to) const {
  // Filters may overlap: one takes over where another is given up.
  for (bool further = true; further && from < to;) {
    further = false;
    for (const Entitlement& e : entitlements_) {
      if (e.subscriber != subscriber || e.from > from || e.to <= from || !mqtt::matches(e.filter, topic))
        continue;
      from = e.to;
      further = true;
    }
  }
  return from >= to;
}

bool Ledger::may_be_retained(const std::string& topic, const std::string& payload) const {
  const Sent* got = find(payload);
  if (!got || got->topic != topic || !got->retain) return false;
  // At QoS 1 what is sent again is published again. A later one at QoS 2 that was taken already is not: then
  // the earlier one comes after it, and stays.
  const auto published_after = [&](const Sent& later) {
    return got->qos != mqtt::Qos::at_least_once || later.first_sent > got->last_sent ||
           (later.qos == mqtt::Qos::at_least_once && later.last_sent > got->last_sent);
  };
  return std::none_of(messages_.begin(), messages_.end(), [&](const Sent& later) {
    return later.topic == topic && later.retain && later.accepted && later.first_sent > got->first_sent &&
           (!got->accepted || later.first_sent > got->accepted_at) && published_after(later);
  });
}

bool Ledger::must_have_retained(const std::string& topic) const {
  const bool expires = std::any_of(messages_.begin(), messages_.end(),
                                   [&](const Sent& m) { return m.topic == topic && m.retain && m.expires; });
  return !expires && std::any_of(messages_.begin(), messages_.end(),
                                 [&](const Sent& m) { return m.topic == topic && m.retain && m.accepted; });
}

size_t Ledger::accepted_count() const {
  return static_cast<size_t>(
      std::count_if(messages_.begin(), messages_.end(), [](const Sent& m) { return m.accepted; }));
}

std::vector<std::string> Ledger::judge(uint64_t dropped, uint64_t expired) const {
  std::vector<std::string> faults = faults_;
  std::vector<std::string> missing, missing_old;
  std::set<std::pair<std::string, uint64_t>> seen_missing;
  for (const Entitlement& e : entitlements_) {
    for (const Sent& m : messages_) {
      if (m.is_will || !m.accepted || m.qos == mqtt::Qos::at_most_once || e.qos == mqtt::Qos::at_most_once)
        continue;
      if (m.first_sent <= e.from || m.accepted_at >= e.to || !mqtt::matches(e.filter, m.topic)) continue;
      // Filters may overlap; it is one message.
      if (!deliveries_.contains({e.subscriber, m.id}) && seen_missing.emplace(e.subscriber, m.id).second) {
        (m.expires ? missing_old : missing)
            .push_back(e.subscriber + " never got message " + std::to_string(m.id) + " (QoS " +
                       std::to_string(static_cast<int>(m.qos)) + " on " + m.topic +
                       "), which was acknowledged");
      }
    }
  }
  for (const uint64_t id : wills_due_) {
    const Sent& will = messages_[id - 1];
    if (std::none_of(entitlements_.begin(), entitlements_.end(), [&](const Entitlement& e) {
          return e.from < will.first_sent && mqtt::matches(e.filter, will.topic);
        })) {
      continue;
    }
    const bool seen = std::any_of(deliveries_.begin(), deliveries_.end(),
                                  [&](const auto& d) { return d.first.second == id; });
    if (!seen) missing.push_back("will " + std::to_string(id) + " was never published");
  }
  if (missing_old.size() > expired + dropped) {
    faults.insert(faults.end(), missing_old.begin(), missing_old.end());
  }
  if (missing.size() > dropped) faults.insert(faults.end(), missing.begin(), missing.end());
  for (const auto& [key, times] : deliveries_) {
    if (wills_forbidden_.contains(key.second)) {
      faults.push_back("will " + std::to_string(key.second) +
                       " was published although its client took it back");
    }
  }
  return faults;
}

}  // namespace courier::sim
