// What the clients of a simulation were promised and what they got: the judge that looks only from outside.
//
// Rules it holds the node to
// 1. A message whose publisher was acknowledged reaches every subscriber that was entitled to it (a stored
// session
//    whose SUBACK came before the PUBLISH was first sent and that did not unsubscribe), unless it was dropped
//    by a stated limit.
// 2. QoS 2 on both sides: at most once; accepted: exactly once.
// 3. Per publisher, topic and QoS, first deliveries come in the order of publishing, while the subscription
//    has no gap.
// 4. Nothing is delivered that was not published to that topic.
// 5. A stored session that was once acknowledged is present at every later CONNACK.
// 6. The retained message of a topic is the last one accepted, or one sent later (at QoS 1: sent again
// later).
// 7. A will is published once if its connection ended ungracefully after its CONNACK, and never after
// DISCONNECT.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mqtt/protocol.h"

namespace courier::sim {

struct Sent {
  uint64_t id = 0;  // unique; the payload says it
  std::string publisher, topic;
  mqtt::Qos qos{};
  bool retain = false;
  uint64_t first_sent = 0;  // logical time
  bool accepted = false;    // PUBACK or PUBREC with success came
  uint64_t accepted_at = 0;
  bool is_will = false;
  bool expires = false;    // it has a message expiry interval
  uint64_t last_sent = 0;  // on whichever connection
};

struct Entitlement {
  std::string subscriber;  // or "$share/..." for a group
  std::string filter;
  mqtt::Qos qos{};
  uint64_t from = 0;         // logical time of the SUBACK
  uint64_t to = UINT64_MAX;  // logical time at which the UNSUBSCRIBE was sent
};

class Ledger {
 public:
  bool verbose = false;  // clients print what they do
  // Inboxes are so small that messages are dropped, or the log stalls so that some are refused. One that was
  // and is published again (the answer was lost) comes late, which is nobody's fault.
  bool drops = false;
  // Of a cluster: messages of QoS 0 go beside the log, but for retained ones and what must not overtake
  // others. Those that go by the log may be overtaken themselves.
  bool two_ways = false;

  uint64_t tick() { return ++now_; }

  uint64_t sent(Sent message);
  void sent_again(uint64_t id);
  void accepted(uint64_t id);
  void entitled(Entitlement entitlement) { entitlements_.push_back(std::move(entitlement)); }
  // From here on, `subscriber` need not get what is accepted later through `filter`.
  void unsubscribed(const std::string& subscriber, const std::string& filter);
  // Its session was given up, or ended by its own expiry: what it had is nobody's.
  void session_ended(const std::string& subscriber);
  // An application got a message; `receiver` is its client id or its group's name.
  void delivered(const std::string& receiver, const std::string& topic, const std::string& payload,
                 mqtt::Qos qos, bool retained, bool ordered);
  void wrong(std::string what) { faults_.push_back(std::move(what)); }
  void will_must_fire(uint64_t id) { wills_due_.insert(id); }
  void will_must_not_fire(uint64_t id) { wills_forbidden_.insert(id); }
  // What the retained message of a topic may be now: the last accepted one and what was sent after it.
  bool may_be_retained(const std::string& topic, const std::string& payload) const;
  bool must_have_retained(const std::string& topic) const;

  // Everything is quiet: what is missing now is lost. `dropped` is how many drops for a full inbox the node
  // admitted, `expired` how many messages it gave up because of their age.
  std::vector<std::string> judge(uint64_t dropped, uint64_t expired) const;
  size_t accepted_count() const;
  size_t delivered_count() const { return delivered_count_; }

 private:
  const Sent* find(const std::string& payload) const;
  void check_order(const std::string& receiver, const Sent& message);
  // A subscription of it matched the topic during all of that time.
  bool held(const std::string& subscriber, const std::string& topic, uint64_t from, uint64_t to) const;

  uint64_t now_ = 0;
  std::vector<Sent> messages_;  // index: id - 1
  std::vector<Entitlement> entitlements_;
  std::map<std::pair<std::string, uint64_t>, int> deliveries_;  // (receiver, id) → times
  std::map<std::pair<std::string, uint64_t>, int> exactly_once_deliveries_;
  // receiver|publisher|topic|qos → id → logical time
  std::map<std::string, std::map<uint64_t, uint64_t>> first_deliveries_;
  std::set<uint64_t> wills_due_, wills_forbidden_;
  std::vector<std::string> faults_;
  size_t delivered_count_ = 0;
};

}  // namespace courier::sim
