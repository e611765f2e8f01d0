// The records of the ordered log: everything that an acknowledgement promises is one of these.
//
// A record states a fact that its appender (the acting owner of the session) decided. It holds no pointer
// into anybody's state: read again after a crash, on another thread or on another node, it means the same.
// The bytes are in record/codec.h; what each does to a session in record/session_fold.h, to subscriptions,
// retained messages and shared groups in record/directory.h.
//
// A session record names the session and the attach position under which it was written; if that is no longer
// the session's latest attach when the record comes back, the record is void. So it is, in a cluster, if the
// session is connected to another node than the one whose record it is: record/attachments.h.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/name.h"
#include "base/text.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"
#include "routing/group_id.h"

namespace courier::record {

using routing::GroupId;

// Names one message in one session's inbox, with what the fold must know to account for it without reading
// the store.
struct InboxRef {
  uint64_t seq = 0;    // inbox sequence; the packet id follows from it
  Position position;   // of the record that brought it
  uint32_t bytes = 0;  // Message::cost()
  bool sole = false;   // stored inside its inbox row, not in the table of shared messages
  GroupId group;       // 0: not through a shared subscription
  uint64_t group_seq = 0;
  bool operator==(const InboxRef&) const = default;
};

struct SessionRef {
  SessionId session;
  Position attach;  // 0 for ephemeral sessions
  bool operator==(const SessionRef&) const = default;
};

// Instead of the attach position that the appender saw: there is nobody else whose records could come
// between.
inline constexpr Position kAlone{~uint64_t{0}};

struct Publish {
  mqtt::MessagePtr message;
  Text mountpoint;
  SessionRef will_of;  // set when this is that session's will, fired; its session forgets the will
  Position attach;     // of the publisher's session; 0: it need not hold any more
};

struct Subscribe {
  struct Entry {
    std::string filter;  // as the client wrote it, $share/… included
    mqtt::SubscriptionOptions options;
    bool operator==(const Entry&) const = default;
  };
  SessionRef by;
  Text mountpoint;
  std::vector<Entry> entries;
  uint32_t subscription_identifier = 0;  // 0: none
  uint16_t window = 0;  // most messages of a shared group that may wait for this member's ack
  bool operator==(const Subscribe&) const = default;
};

struct Unsubscribe {
  SessionRef by;
  Text mountpoint;
  std::vector<std::string> filters;
  bool operator==(const Unsubscribe&) const = default;
};

struct Will {
  mqtt::MessagePtr message;  // expires_at is 0; the fired message gets its own
  uint32_t delay_seconds = 0;
  uint32_t message_expiry_seconds = 0;  // 0: never
};

inline constexpr uint32_t kNeverExpires = 0xFFFFFFFF;

// A client connected. Creates a session (id from this record's position) or resumes one.
struct Attach {
  SessionId before;        // the stored session of that name; 0: there is none
  Position seen = kAlone;  // its latest attach. Void if either is not so any more
  Name mountpoint;
  Text client_id, username;
  uint32_t expiry_seconds = 0;  // session expiry interval; 0: ends with the connection
  uint16_t window = 0;          // most messages of a shared group that may wait for this member's ack
  mqtt::Version version{};
  bool ends = false;                // a new session replaces the one before (clean start), which ends
  uint32_t inbox_messages_max = 0;  // of this session; 0: as configured
  Will will;                        // none if it has no message

  SessionId resumed() const { return ends ? SessionId() : before; }
  SessionId replaced() const { return ends ? before : SessionId(); }
};

// The connection of a session ended, or the session itself.
struct Detach {
  SessionRef of;
  bool ends_session = false;
  bool drops_will = false;      // DISCONNECT 0x00
  uint32_t expiry_seconds = 0;  // as last stated by the client
  uint64_t sent_up_to = 0;      // inbox sequences below were sent at least once: DUP from now on
  bool operator==(const Detach&) const = default;
};

// Steps of messages in a session's inbox.
struct InboxStep {
  SessionRef by;
  std::vector<InboxRef> messages;
  bool operator==(const InboxStep&) const = default;
};
struct Acked : InboxStep {};      // QoS 1: PUBACK came
struct Sent : InboxStep {};       // QoS 2: PUBLISH may go out; never dropped from here on
struct Received : InboxStep {};   // QoS 2: PUBREC came, PUBREL may go out
struct Completed : InboxStep {};  // QoS 2: PUBCOMP came, or PUBREC refused it

// A publisher's QoS 2 packet id was taken; its PUBLISH is in the same batch.
struct Qos2In {
  SessionRef by;
  PacketId packet_id;
  bool operator==(const Qos2In&) const = default;
};
struct Released {  // PUBREL came: the id is free
  SessionRef by;
  PacketId packet_id;
  bool operator==(const Released&) const = default;
};

enum class DropReason : uint8_t {
  inbox_full_messages = 1,
  inbox_full_bytes = 2,
  packet_too_large = 3,
  group_full = 4,  // written before a group's inbox had the reasons of any other
  administrative = 5,
};
std::string_view name(DropReason reason);  // "inbox_full_messages"

// `since`: the session's latest attach as its appender knew it; a later one may have sent them.
struct Dropped {
  SessionId session;  // or group, one of the two
  GroupId group;
  DropReason reason{};
  Position since = kAlone;
  std::vector<InboxRef> messages;
  bool operator==(const Dropped&) const = default;
};
struct Expired {
  SessionId session;  // or group, one of the two
  GroupId group;
  Position since = kAlone;
  std::vector<InboxRef> messages;
  bool operator==(const Expired&) const = default;
};
struct RetainedExpired {
  Text mountpoint, topic;
  Position position;  // of the retained PUBLISH; a newer one stays
  bool operator==(const RetainedExpired&) const = default;
};

// The client has taken what it got of a SUBSCRIBE's retained messages, and wants the next of them. See
// session::RetainedWalk.
struct RetainedNext {
  SessionId session;
  Text mountpoint, filter;
  mqtt::SubscriptionOptions options;
  uint32_t subscription_identifier = 0;
  Position since;
  Text after;
  Position attach;  // of the session; 0: it need not hold any more
  bool operator==(const RetainedNext&) const = default;
};

// A run is over, with the last clock it wrote: of a node alone, whose next run begins with this; of a node of
// a cluster, whose lease is gone, said by another. Whoever was connected to it is not; what it owned nobody
// owns. None of its records comes after.
struct NodeDown {
  WallMs last_clock = 0;
  NodeEpoch node;  // 0: of a node alone
  bool operator==(const NodeDown&) const = default;
};
// The node acts from here on for those sessions of these partitions that are connected nowhere.
struct Own {
  std::vector<uint16_t> partitions;
  bool operator==(const Own&) const = default;
};
// What is to be told to the world: of the record in front of it, or of something that needs none. It changes
// no session. The kinds are in events/catalogue.h, the bytes in events/fields.h.
struct Event {
  uint8_t kind = 0;
  bool alone = false;  // else it is as void as the record that the events in front of it are about
  std::string fields;
  bool operator==(const Event&) const = default;
};
// All that stands in the log up to there was told to the sink of that name.
struct Told {
  Text sink;
  Position up_to;
  bool operator==(const Told&) const = default;
};
// From here on records may mean what format `version` says.
struct Feature {
  uint32_t version = 0;
  bool operator==(const Feature&) const = default;
};

using Record = std::variant<Publish, Subscribe, Unsubscribe, Attach, Detach, Acked, Sent, Received, Completed,
                            Qos2In, Released, Dropped, Expired, RetainedExpired, RetainedNext, NodeDown,
                            Feature, Own, Event, Told>;
// Each message takes two through the log, which moves them a few times.
static_assert(sizeof(Record) <= 96);

// The id of the session that an ATTACH at `position` creates.
constexpr SessionId session_created_at(Position position, uint16_t hash) {
  return SessionId((position.value << 16) | hash);
}
// hash of (mountpoint, client id): the low 16 bits of every session id.
uint16_t session_hash(std::string_view mountpoint, std::string_view client_id);

}  // namespace courier::record
