// What one connection waits for hooks about: auth/hooks.h, asked in ask_hooks.cc.
//
//   from the client   PUBLISH, SUBSCRIBE, UNSUBSCRIBE in their order, and the DISCONNECT that follows them.
//                     Their questions are asked at once, the answers come in any order, and what is first in
//                     line goes on when it is decided: what a client says stays in the order in which it said
//                     it. Past kRequestsMax or kRequestBytesMax its socket is not read.
//   to the client     QoS 0 messages here, in their order. Those of QoS 1 and 2 stay in the inbox: what is
//                     kept here is only what was asked about them, ahead of Connection::cursor.
//
// Owned by the shard of its connection, and goes with it: that cancels what is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "auth/hooks.h"
#include "base/clock.h"
#include "base/ids.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"
#include "session/inbox.h"

namespace courier::broker {

// Which rules speak of a connection: the generations of those in force, and of its own.
struct Rights {
  uint32_t rules = 0, grants = 0;
  bool operator==(const Rights&) const = default;
};

struct UndecidedPublish {
  mqtt::MessagePtr message;  // as the client sent it
  PacketId packet_id;
  mqtt::Qos qos{};  // what its client is owed, whatever becomes of the message
};
struct UndecidedSubscribe {
  PacketId packet_id;
  std::vector<auth::SubscribeQuestion::Topic> topics;
  std::vector<mqtt::ReasonCode> refused;  // one for each; success: it was asked about
  uint32_t subscription_identifier = 0;
  Rights allowed_by;
};
struct UndecidedUnsubscribe {
  PacketId packet_id;
  std::vector<std::string> filters;
};
struct Farewell {  // DISCONNECT
  mqtt::ReasonCode reason{};
};

struct Undecided {
  static constexpr size_t kRequestsMax = 64;
  static constexpr size_t kRequestBytesMax = 1024 * 1024;
  static constexpr size_t kDeliveriesMax = 64;  // questions about messages to one client
  static constexpr size_t kDeliveryBytesMax = 1024 * 1024;

  using Publish = UndecidedPublish;
  using Subscribe = UndecidedSubscribe;
  using Unsubscribe = UndecidedUnsubscribe;
  struct Request {
    std::variant<Publish, Subscribe, Unsubscribe, Farewell> what;
    size_t bytes = 0;
    auth::HookQuestion question;
    // Nothing: not here yet.
    std::optional<std::variant<auth::PublishAnswer, auth::SubscribeAnswer, auth::UnsubscribeAnswer>> answer;
  };
  std::deque<Request> requests;
  uint64_t first = 0;          // the number of requests.front()
  size_t bytes = 0;            // of all
  bool leaving = false;        // the last is its DISCONNECT
  bool drops_will = false;     // by that
  MonoNs throttled_until = 0;  // by an answer: not read before

  bool full() const { return requests.size() >= kRequestsMax || bytes >= kRequestBytesMax; }

  // The will of a CONNECT.
  auth::HookQuestion will;

  struct Qos0 {
    uint64_t number = 0;  // 0: it was not asked about yet
    mqtt::MessagePtr message;
    bool retain = false;
    std::unique_ptr<session::Entry::Extras> extras;
    auth::HookQuestion question;
    std::optional<auth::DeliverChanges> changes;  // nothing: not decided
  };
  std::deque<Qos0> qos0;
  size_t qos0_bytes = 0;
  size_t qos0_asked = 0;  // the first of them; the others are to be asked about

  struct Asked {
    uint64_t number = 0;
    uint64_t seq = 0;  // in the inbox
    size_t bytes = 0;
    auth::HookQuestion question;
    std::optional<auth::DeliverChanges> changes;  // nothing: not decided
  };
  std::deque<Asked> inbox;  // in order of seq; those below the cursor are done
  size_t inbox_bytes = 0;
  uint64_t last_delivery = 0;  // the numbers of both count up to it
};

// A message as it is to go out to one client.
mqtt::MessagePtr delivered_as(const mqtt::MessagePtr& message, const auth::DeliverChanges& changes);

}  // namespace courier::broker
