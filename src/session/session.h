// One client's promises: what its acknowledgements and subscriptions oblige the node to, whoever is
// connected.
//
// A Session is a fold of log records (record/session_fold.h changes it, nothing else does); what a live
// connection knows on top (window, aliases, keep-alive) is broker/connection.h. Owned by one shard. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/lazy.h"
#include "base/name.h"
#include "base/text.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"
#include "session/inbox.h"

namespace courier::session {

inline constexpr uint32_t kNeverExpires = 0xFFFFFFFF;

struct Will {
  mqtt::MessagePtr message;  // expires_at is 0 here; the fired message gets its own
  uint32_t delay_seconds = 0;
  uint32_t message_expiry_seconds = 0;  // 0: never
};

// What is left of the retained messages that a SUBSCRIBE brings, when there are too many to come at once.
// They come in order of topic.
struct RetainedWalk {
  std::string filter;
  mqtt::SubscriptionOptions options;
  uint32_t subscription_identifier = 0;  // 0: none
  Position since;     // of the SUBSCRIBE; what was retained later came through the subscription itself
  std::string after;  // the last topic that is done
};

// Packet ids of a publisher's QoS 2 messages that were taken and not yet released. Sorted; at most the
// Receive Maximum that we announced. [MQTT-4.3.3-10]
class TakenIds {
 public:
  bool contains(PacketId id) const;
  bool insert(PacketId id);  // false: was there
  bool erase(PacketId id);   // false: was not there
  size_t size() const { return ids_->size(); }
  const std::vector<uint16_t>& sorted() const { return *ids_; }
  void restore(std::vector<uint16_t> sorted) {
    ids_.drop();
    if (!sorted.empty()) ids_.make() = std::move(sorted);
  }
  void trim() {
    if (ids_->empty()) ids_.drop();
  }

 private:
  Lazy<std::vector<uint16_t>> ids_;
};

struct Session {
  SessionId id;
  Position attach;  // of the latest ATTACH; records written under an earlier one are void
  NodeEpoch node;   // of a cluster, to which it is connected; 0: to none, or this is a node alone
  Name mountpoint;
  Text client_id, username;
  mqtt::Version version{};
  bool connected = false;       // as the log knows it
  bool dirty = false;           // changed since the last checkpoint
  uint32_t expiry_seconds = 0;  // session expiry interval
  uint32_t subscription_count = 0;
  uint32_t inbox_messages_max = 0;  // granted to this one; 0: as for all
  WallMs detached_at = 0;           // of the latest DETACH, while not connected
  uint64_t sent_before = 0;         // inbox sequences below may be known to the client: DUP [MQTT-3.3.1-1]
  std::unique_ptr<const Will> will;
  Inbox inbox;
  TakenIds taken;
  std::unique_ptr<std::vector<RetainedWalk>> walks;  // one a filter, in order; null when there is none
  // What of the inbox came through shared subscriptions, in order of the inbox: a group may take it back. At
  // most the group's window.
  struct Grouped {
    GroupOrigin origin;
    Inbox::Settled entry;
  };
  Lazy<std::vector<Grouped>> grouped;

  // Gives back what only a session with messages under way needs. Not after each message.
  void trim() {
    inbox.trim();
    taken.trim();
    if (grouped->empty()) grouped.drop();
  }

  // When the session ends by itself: kNever while connected or without a limit. What is due with the end of
  // the connection is due whatever a clock says that was set back since.
  static constexpr WallMs kNever = INT64_MAX;
  WallMs expires_at() const {
    if (connected || expiry_seconds == kNeverExpires) return kNever;
    return expiry_seconds == 0 ? 0 : detached_at + int64_t{expiry_seconds} * 1000;
  }
  WallMs will_due_at() const {
    if (!will || connected) return kNever;
    return will->delay_seconds == 0 ? 0 : detached_at + int64_t{will->delay_seconds} * 1000;
  }
};

}  // namespace courier::session
