// The fold of everything that is not one session's own: subscriptions, retained messages, shared groups.
//
// Owned by the feed thread, which gives it every committed record in order. What a record means for sessions
// it hands on, in the same order, to the sessions' shards (FeedItem). Other threads may only match() on
// index(). Deterministic, except for the choice of a shared member at QoS 0, which no state depends on.
//
// In a cluster a record may be void (attachments.h): then it changes nothing, here and at the sessions.
//
// Invariants
// 1. Items of one shard are emitted in log order; what a PUBLISH brings stands before whatever follows it.
// 2. A SUBSCRIBE's item is emitted after index() knows it: SUBACK means routable.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "base/striped_lock.h"
#include "record/attachments.h"
#include "record/kept_subscriptions.h"
#include "record/record.h"
#include "record/rows.h"
#include "record/session_fold.h"
#include "routing/retained_index.h"
#include "routing/shared_groups.h"
#include "routing/subscription_index.h"

namespace courier::record {

// One message for some sessions of one shard.
struct Delivery {
  struct To {
    SessionId session;
    mqtt::Qos qos{};
    bool retain = false;
    bool sole = false;
    std::unique_ptr<session::Entry::Extras> extras;  // only where there are any
  };
  Position position;
  mqtt::MessagePtr message;
  boost::container::small_vector<To, 1> to;
};

// None for 0, which is no subscription identifier. [MQTT-3.8.2.1.2]
inline std::span<const uint32_t> listed(const uint32_t& identifier) {
  return {&identifier, identifier != 0 ? 1u : 0u};
}
// Null where there is nothing to say.
std::unique_ptr<session::Entry::Extras> extras_of(std::span<const uint32_t> identifiers,
                                                  session::GroupOrigin origin = {});

// A record of one session, to be folded by its shard. Retained messages that a SUBSCRIBE brings come as
// Deliveries after it, those that a RETAINED_NEXT brings before it.
struct SessionRecord {
  Position position;
  WallMs clock = 0;
  Record record;
  NodeEpoch node;  // whose record it is; 0: of a node alone
  // What the directory says to a SUBSCRIBE, UNSUBSCRIBE or RETAINED_NEXT.
  struct Answer {
    std::vector<bool> existed;                 // by entry of the first two, whether it was there before
    uint32_t subscription_count = 0;           // likewise; the session's, afterwards
    std::vector<session::RetainedWalk> walks;  // of the first and the last: what is left to come
  };
  std::unique_ptr<Answer> answer;  // null for every other record
};

struct WillFired {
  SessionId session;
  Position attach;
};

struct Withdrawn {
  SessionId session;
  session::GroupOrigin origin;
};

struct NodeDownItem {
  WallMs last_clock = 0;
  NodeEpoch node;              // 0: of a node alone
  std::vector<SessionId> cut;  // of a cluster: the shard's sessions that were connected to it
};

// The owner of these partitions is another from here on.
struct OwnItem {
  NodeEpoch node;
  std::vector<uint16_t> partitions;
};

using FeedItem = std::variant<Delivery, SessionRecord, WillFired, Withdrawn, NodeDownItem, OwnItem>;

// Where items go: one list a shard, index = session hash mod shard count.
using FeedItems = std::vector<std::vector<FeedItem>>;

class Directory {
 public:
  Directory(uint64_t hash_seed, size_t shard_count, Partitioning partitioning = {});

  // Folds one record of `node` and appends what follows from it. Returns how many sessions and groups a
  // PUBLISH reached.
  size_t fold(Record&& record, Position position, WallMs clock, FeedItems& out, NodeEpoch node = {});

  // Whether the last record that fold() was given held.
  bool held() const { return held_; }

  const routing::SubscriptionIndex& index() const { return index_; }  // match() from any thread
  routing::SubscriptionIndex& index() { return index_; }
  const routing::RetainedIndex& retained() const { return retained_; }
  const routing::SharedGroups& groups() const { return groups_; }
  const Attachments& attachments() const { return attachments_; }
  std::optional<Subscriptions> subscriptions(SessionId session) const;
  // Any thread.
  size_t retained_count() const { return retained_count_.load(std::memory_order_relaxed); }
  size_t retained_count(std::string_view mountpoint) const;
  // Message::cost() of the topic's retained message; nothing if there is none.
  std::optional<size_t> retained_cost(std::string_view mountpoint, std::string_view topic) const;
  size_t retained_bytes() const { return retained_bytes_.load(std::memory_order_relaxed); }
  size_t subscription_count() const { return subscription_count_.load(std::memory_order_relaxed); }

  // Sets a retained message that is of this run only ($SYS): not a record, never stored.
  void set_volatile(std::string_view mountpoint, mqtt::MessagePtr message, FeedItems& out);

  // routing::SharedGroups::take_changed_queues().
  std::set<GroupId> take_changed_queues() { return groups_.take_changed_queues(); }
  // Messages of shared groups that the fold gave up since the last call.
  std::vector<routing::GroupDrop> take_group_drops() { return std::exchange(group_drops_, {}); }

  // --- checkpoint: rows that changed since the last call, as puts and erases ---
  struct RowSink {
    virtual ~RowSink() = default;
    virtual void put_subscriptions(SessionId session, const Subscriptions& subscriptions) = 0;
    virtual void erase_subscriptions(SessionId session) = 0;
    virtual void put_retained(std::string_view mountpoint, const routing::Retained& retained) = 0;
    virtual void erase_retained(std::string_view mountpoint, std::string_view topic) = 0;
    virtual void put_group(const routing::SharedGroup& group) = 0;
    virtual void erase_group(GroupId group) = 0;
    virtual void put_group_entry(GroupId group, uint64_t seq, const routing::GroupEntry& entry) = 0;
    virtual void erase_group_entry(GroupId group, uint64_t seq) = 0;
    virtual void put_owners(std::span<const NodeEpoch> owners) = 0;
  };
  void take_dirty(RowSink& sink);

  // --- start: rows as they were stored; groups after subscriptions ---
  // Of a cluster only: who is connected where, and who owns what.
  void restore(const session::Session& session) { attachments_.restore(session); }
  void restore(std::vector<NodeEpoch> owners) { attachments_.restore(std::move(owners)); }
  void restore(SessionId session, Subscriptions subscriptions);
  void restore(RetainedRow row);
  void restore(routing::SharedGroup group);

 private:
  std::vector<FeedItem>& items_of(SessionId session, FeedItems& out) const {
    return out[session.hash() % shard_count_];
  }
  bool holds(const Record& record, Position position, NodeEpoch node);
  void node_down(const NodeDown& record, FeedItems& out);
  size_t route(const Publish& publish, Position position, FeedItems& out);
  void subscribe(Subscribe&& record, Position position, WallMs clock, FeedItems& out);
  void unsubscribe(Unsubscribe&& record, Position position, WallMs clock, FeedItems& out);
  void end_session(SessionId session);
  void settle_groups(SessionId session, const std::vector<InboxRef>& messages);
  void give_up(GroupId group, const std::vector<InboxRef>& messages);
  void emit_group_changes(FeedItems& out);
  // How much of the retained messages one record may bring: the feed thread has others to serve, and what it
  // posts is in memory until the client has taken it. Part of the fold: never changed without a FEATURE.
  struct RetainedPiece {
    size_t messages = 256, bytes = 64 * 1024;  // ends with the message that reaches either
    size_t steps = 512;                        // topics looked at
  };
  // Sends the next of the walk's messages. False: there are more, and walk.after says where they begin.
  bool send_retained(SessionId session, std::string_view mountpoint, session::RetainedWalk& walk,
                     RetainedPiece& piece, FeedItems& out);
  std::vector<session::RetainedWalk> go_on_with_retained(const RetainedNext& record, FeedItems& out);
  void count();

  const size_t shard_count_;
  routing::SubscriptionIndex index_;
  routing::RetainedIndex retained_;
  routing::SharedGroups groups_;
  KeptSubscriptions kept_;
  Attachments attachments_;
  bool owners_dirty_ = false;
  bool held_ = true;
  std::set<SessionId> dirty_subscriptions_;
  std::set<std::pair<std::string, std::string>> volatile_;  // (mountpoint, topic) never stored
  std::vector<routing::GroupDrop> group_drops_;
  routing::MatchResult match_;
  routing::GroupChanges changes_;
  std::vector<int32_t> delivery_of_shard_;  // scratch of route(): index into its items, -1 none
  void note_retained(std::string_view mountpoint, std::string_view topic);
  mutable StripedLock retained_lock_;
  std::unordered_map<uint64_t, uint32_t> retained_costs_;       // by topic_hash(); guarded by retained_lock_
  std::map<std::string, size_t, std::less<>> retained_counts_;  // by mountpoint; likewise; not 0
  std::atomic<size_t> retained_count_{0}, retained_bytes_{0}, subscription_count_{0};
};

}  // namespace courier::record
