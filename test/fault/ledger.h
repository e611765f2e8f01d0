// What the clients of a crash test were promised and what they got. Kept outside the broker, which is judged
// by it alone.
//
// A message is named by a number that its payload begins with. It is `open` until its publisher hears of it;
// then accepted, refused, or unsure (nobody can say: its publisher's session is gone). A will is a message
// too: sent when its connection is made, accepted when that connection ends without a DISCONNECT.
//
// What it holds the broker to
// 1. An accepted message reaches every receiver that was entitled to it from its sending to its acceptance.
// 2. QoS 2 published and subscribed: never twice.
// 3. First deliveries of a topic, which has one publisher, come in the order of publishing, for whoever
//    was entitled to them when they were sent.
// 4. Nothing is delivered that was not published to that topic.
// 5. A topic's retained message is the one accepted last or one sent after it.
//
// Used on one thread. Receivers are clients, or groups that share a subscription; at most kReceiversMax.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/protocol.h"

namespace courier::fault {

inline constexpr size_t kReceiversMax = 64;

struct Receiver {
  std::string name;
  mqtt::Qos qos{};      // of its subscriptions
  bool ordered = true;  // not so for a group: its members are several
};

struct Topic {
  std::string name;
  mqtt::Qos qos{};  // of everything published to it
  bool retain = false;
  bool ordered = true;
};

class Ledger {
 public:
  using ReceiverIndex = uint32_t;
  using TopicIndex = uint32_t;
  using MessageId = uint64_t;

  ReceiverIndex add(Receiver receiver);
  TopicIndex add(Topic topic);

  // A SUBACK came: from now on the receiver must get what matches.
  void entitle(ReceiverIndex receiver, const std::string& filter);
  // An UNSUBSCRIBE is about to be sent: from now on it need not.
  void withdraw(ReceiverIndex receiver, const std::string& filter);

  // `deletes`: an empty payload, which takes the retained message away.
  MessageId sent(TopicIndex topic, bool deletes = false);
  void accepted(MessageId id);
  void refused(MessageId id);
  void unsure(MessageId id);
  void delivered(ReceiverIndex receiver, std::string_view topic, std::string_view payload);
  void wrong(std::string what);

  // The retained messages as one client finds them, when nothing is open. retained() is called for each;
  // missing_retained() counts what is still to come.
  void begin_retained();
  void retained(std::string_view topic, std::string_view payload);
  size_t missing_retained() const;

  // Deliveries that must still come.
  uint64_t owed() const { return owed_; }
  // Nothing may be owed or open: forgets what is older than the round before.
  void settle();
  // Faults for everything owed, and for retained messages that are gone.
  void judge_owed();
  void judge_retained();

  const std::vector<std::string>& faults() const { return faults_; }
  uint64_t accepted_count() const { return accepted_; }
  uint64_t refused_count() const { return refused_; }
  uint64_t delivered_count() const { return delivered_; }
  // Who was promised how much and got how much, as a table.
  std::string reconciliation() const;

  // "123 …" as payload(123, 20); at least as long as the number.
  static std::string payload(MessageId id, size_t size);

 private:
  using Mask = uint64_t;  // of receivers
  enum class State : uint8_t { open, accepted, refused, unsure };
  struct Message {
    TopicIndex topic = 0;
    State state = State::open;
    bool deletes = false;
    Mask entitled = 0;  // without interruption since it was sent
    Mask delivered = 0;
  };
  struct TopicBook {
    Topic topic;
    MessageId retained_since = 0;           // accepted last
    std::vector<MessageId> retained_later;  // sent after it, or it is one of them
    std::optional<MessageId> found;         // by the client that looks for it
    uint64_t sent = 0, accepted = 0, refused = 0, unsure = 0;
  };
  struct ReceiverBook {
    Receiver receiver;
    std::vector<std::string> filters;
    std::vector<MessageId> newest;  // by topic: the last first delivery
    uint64_t must = 0, got = 0, again = 0, twice = 0, late = 0;
  };

  Message* find(MessageId id);
  TopicBook* topic_named(std::string_view name);
  Mask entitled_to(const std::string& topic) const;
  void close(MessageId id, State state);
  bool may_be_absent(const TopicBook& book) const;

  std::vector<TopicBook> topics_;
  std::map<std::string, TopicIndex, std::less<>> topics_by_name_;
  std::vector<ReceiverBook> receivers_;
  std::deque<Message> messages_;
  MessageId first_ = 1;           // of messages_
  MessageId settled_before_ = 1;  // everything below was settled
  uint64_t owed_ = 0;
  uint64_t accepted_ = 0, refused_ = 0, delivered_ = 0;
  std::vector<std::string> faults_;
};

}  // namespace courier::fault
