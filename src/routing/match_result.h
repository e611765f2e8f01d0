// Who receives one publish: the answer of SubscriptionIndex::match().
//
// Owned by one thread and reused for every match of that thread: it keeps its memory, so that matching
// allocates nothing once it has grown to the size of the usual answer.
//
// However many filters of a session match, the session stands here once, with the highest QoS among them
// and the subscription identifiers of all. [MQTT-3.3.4-2], [MQTT-3.3.4-4]
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"
#include "routing/group_id.h"

namespace courier::routing {

// One subscription as the index keeps it. Retain Handling matters only while a SUBSCRIBE is handled, so the
// index does not keep it: it reads back as its default.
struct Subscriber {
  SessionId session;
  mqtt::SubscriptionOptions options;
  uint32_t subscription_identifier = 0;  // 1 to 268,435,455; 0 = none
  bool operator==(const Subscriber&) const = default;
};

struct Receiver {
  SessionId session;
  // How many subscription identifiers; read them with MatchResult::identifiers().
  uint32_t identifier_count = 0;
  uint32_t identifier = 0;  // the identifier if there is one; where they begin if there are several
  mqtt::Qos qos{};          // the highest granted; not yet lowered to the message's
  bool retain_as_published = false;
};

// A shared subscription that matched. Exactly one of its members receives the message.
struct GroupMatch {
  GroupId group;
  // The member whose turn it is, if one was asked for and any is connected; else its session is 0.
  Subscriber member;
};

class SubscriberSet;
class IndexedGroups;
enum class Shared : uint8_t;

class MatchResult {
 public:
  MatchResult();

  std::span<const Receiver> receivers() const { return receivers_; }
  std::span<const GroupMatch> groups() const { return groups_; }
  bool empty() const { return receivers_.empty() && groups_.empty(); }

  // In no particular order; the same number twice if two subscriptions carry it, as section 3.3.4 says.
  // Valid until the next match.
  std::span<const uint32_t> identifiers(const Receiver& receiver) const {
    return receiver.identifier_count <= 1
               ? std::span(&receiver.identifier, receiver.identifier_count)
               : std::span(identifiers_).subspan(receiver.identifier, receiver.identifier_count);
  }

  void clear();

 private:
  friend class SubscriptionIndex;
  friend class FilterTrie;

  // One level of the topic, split and hashed when the trie first gets that deep.
  struct Level {
    std::string_view text;
    uint64_t hash;
  };
  // Where the trie goes next: a node, or the child of a node by the topic's level at `depth`.
  struct Visit {
    uint32_t node, depth;
    bool by_edge;
  };
  struct ExtraIdentifier {
    uint32_t receiver, identifier;
  };

  // Turns sets_ into receivers_ and groups_.
  void collapse(const IndexedGroups& groups, Shared shared);
  void take(const Subscriber& subscriber, bool look, bool remember);
  void merge(uint32_t at, const Subscriber& subscriber);
  void settle_identifiers();

  std::vector<Receiver> receivers_;
  std::vector<GroupMatch> groups_;
  std::vector<uint32_t> identifiers_;
  std::vector<ExtraIdentifier> extra_identifiers_;

  SessionId publisher_;
  std::vector<const SubscriberSet*> sets_;  // those that matched; only while the index is locked
  std::vector<uint32_t> seen_;              // open-addressed: 1 + index into receivers_; 0 = free
  std::vector<Level> levels_;
  std::vector<Visit> visits_;
  uint32_t stripe_;  // which of the index's reader locks this result's owner takes
};

}  // namespace courier::routing
