// Shared subscriptions ($share) of logged messages (QoS 1 and 2): which member gets which message.
//
// A fold: deterministic, reads no clock, no randomness, no configuration. Owned by the feed thread.
// Section 4.8.2 of 5.0; what it leaves to the server is decided so:
//  - A message goes to the next connected member, round robin in order of session id, that has fewer than
//    `window` messages unacknowledged. Is there none, the message waits in the group; nobody need be
//    connected for that.
//  - A member that disconnects keeps what it was given, and gets it again with the original packet
//    identifiers if it returns first. Meanwhile its QoS 1 messages go to any other member with room, oldest
//    first. QoS 2 messages never change hands. [MQTT-4.8.2-4]
//  - A member whose session ends gives its QoS 1 messages back to the group; its QoS 2 messages are
//    dropped, not sent to anybody else. [MQTT-4.8.2-5]
//  - A member that unsubscribes gets nothing new and completes what it was given [MQTT-3.10.4-3]; until it
//    has, it is `leaving`. If it disconnects before, its QoS 1 messages may move as above.
//  - A message granted to a member at QoS 0 is done when it is assigned.
//  - The group ends with its last member that is not leaving; what no member holds is dropped.
//
// Invariants:
//  1. A message is in the group until acked, dropped, or assigned at QoS 0; and then never again.
//  2. It is held by no member or by one; who held it before has a Withdrawal.
//  3. A message waits only while no connected member has room.
//
// A message that comes, is assigned and acknowledged allocates nothing here once the group has had as many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "mqtt/message.h"
#include "mqtt/packet.h"
#include "routing/group_entries.h"
#include "routing/group_id.h"
#include "routing/match_result.h"

namespace courier::routing {

// Put this message into the member's inbox.
struct Assignment {
  GroupId group;
  uint64_t seq;  // names the message within the group
  Position position;
  mqtt::MessagePtr message;
  SessionId member;
  mqtt::Qos qos;  // of the message, lowered to the member's [MQTT-4.8.2-3]; at QoS 0 nothing is acked
  uint32_t subscription_identifier;  // 0 = none
  bool retain_as_published;
};

// Take this message out of the member's inbox: another member gets it, or it was dropped.
struct Withdrawal {
  GroupId group;
  uint64_t seq;
  Position position;
  SessionId member;
};

enum class GroupDropReason : uint8_t { group_ended, session_ended };

// A message that the fold itself gave up; to be counted and reported.
struct GroupDrop {
  GroupId group;
  uint64_t seq;
  Position position;
  mqtt::MessagePtr message;
  GroupDropReason reason;
};

// What one operation brought about, or several: the caller's buffer, to which operations append. What one
// assigned and a later one takes away again cancels out, so that doing all withdrawals, then all assignments
// comes to the right end.
struct GroupChanges {
  std::vector<Withdrawal> withdrawals;
  std::vector<Assignment> assignments;
  std::vector<GroupDrop> drops;
  void clear();
  bool empty() const { return withdrawals.empty() && assignments.empty() && drops.empty(); }
};

struct GroupMember {
  mqtt::SubscriptionOptions options;
  uint32_t subscription_identifier = 0;
  uint32_t window = 0;  // most messages held unacknowledged
  bool connected = false;
  bool leaving = false;
  bool available = false;      // connected, not leaving, room in the window
  std::vector<uint64_t> held;  // seqs, in no order
  uint32_t outstanding() const { return static_cast<uint32_t>(held.size()); }
};

// One group, to look at and to store; changed only by SharedGroups.
struct SharedGroup {
  GroupId id;
  std::string mountpoint, name, filter;
  uint64_t seq_next = 1;
  SessionId last_served;  // where round robin stands
  std::map<SessionId, GroupMember> members;
  GroupEntries entries;
};

class SharedGroups {
 public:
  SharedGroups() = default;
  SharedGroups(const SharedGroups&) = delete;
  SharedGroups& operator=(const SharedGroups&) = delete;

  struct Member {
    Subscriber subscriber;
    uint32_t window = 0;
    bool connected = true;
  };
  // Joins, or changes the subscription of a member that is there. `if_new` becomes the group's id when this
  // creates it; it must never have been used. Returns the group's id.
  GroupId subscribe(std::string_view mountpoint, std::string_view name, std::string_view filter,
                    const Member& member, GroupId if_new, GroupChanges& out);
  // False if it was no member.
  bool unsubscribe(std::string_view mountpoint, std::string_view name, std::string_view filter,
                   SessionId session, GroupChanges& out);

  // In all groups of the session. `window` is the new connection's.
  void connected(SessionId session, uint32_t window, GroupChanges& out);
  // All of them at once: nothing moves between them.
  void disconnected(std::span<const SessionId> sessions, GroupChanges& out);
  void session_ended(SessionId session, GroupChanges& out);
  // NODE_DOWN: nobody is connected any more, all at once, so that nothing moves between those who were.
  void all_disconnected();

  // The message has QoS 1 or 2 and the group exists. Returns its seq.
  uint64_t publish(GroupId group, Position position, mqtt::MessagePtr message, GroupChanges& out);
  // The member is done with it: PUBACK, PUBCOMP, an error in PUBACK or PUBREC [MQTT-4.8.2-6], or its own
  // inbox dropped or expired it. False if the member does not hold it.
  bool acked(GroupId group, SessionId member, uint64_t seq, GroupChanges& out);
  // The caller gives up the message: limit or expiry. Withdrawn if a member holds it. False if not there.
  bool dropped(GroupId group, uint64_t seq, GroupChanges& out);

  // The id of a living group, or 0.
  GroupId find(std::string_view mountpoint, std::string_view name, std::string_view filter) const;
  const SharedGroup* group(GroupId id) const;  // null if it ended
  size_t count() const { return groups_.size(); }
  // Messages that no member holds, and how to get at the oldest of them (seqs, ascending, at most n).
  size_t queued_count(GroupId group) const;
  size_t queued_bytes(GroupId group) const;  // by Message::cost()
  std::vector<uint64_t> oldest_queued(GroupId group, size_t n) const;
  // The oldest of them that must go so that the others are `count_max` messages and `bytes_max` bytes at
  // most, but no more than n (seqs, ascending).
  std::vector<uint64_t> excess(GroupId group, size_t count_max, size_t bytes_max, size_t n) const;
  // Groups whose queue became longer or shorter since the last call, and those that ended.
  std::set<GroupId> take_changed_queues() { return std::exchange(changed_queues_, {}); }

  // Checkpoint. In order of GroupId.
  void for_each(const std::function<void(const SharedGroup&)>& visit) const;
  struct Dirty {
    GroupId id;
    const SharedGroup* group;        // null: ended; delete it, its members and its entries
    std::vector<SessionId> members;  // changed, or gone (then not in group->members), ascending
    std::vector<uint64_t> entries;   // changed, or gone (then not in group->entries), ascending
  };
  // What changed since the last call, in order of GroupId. Of a group that changed, seq_next and last_served
  // must be stored again. What came and went in between is not listed.
  std::vector<Dirty> take_dirty();
  // Puts a stored group back, as for_each showed it (`held` is derived from the entries). Clean afterwards.
  // Members come back as they were, connected or not.
  void restore(SharedGroup group);

 private:
  struct Group : SharedGroup {
    std::set<SessionId> available;                            // members that are
    std::vector<std::set<SessionId>::node_type> spare_nodes;  // of it, from members that had no room
    // Entries that may be given to somebody: held by nobody, or QoS 1 and held by a member that is not
    // connected. None whenever somebody is available.
    size_t pending = 0;
    uint64_t pending_from = 1;  // none before it is
    size_t queued = 0;          // entries held by nobody
    size_t queued_bytes = 0;
    // Entries before seq_clean that changed or went. All from there on are dirty: they never were listed.
    std::vector<uint64_t> dirty_entries;
    uint64_t seq_clean = 0;
    std::set<SessionId> dirty_members;
    bool dirty = false;   // among dirty_
    bool stored = false;  // the group itself was
  };
  using Item = GroupEntries::Item;

  static std::string key(std::string_view mountpoint, std::string_view name, std::string_view filter);
  Group* find_group(GroupId id);
  std::vector<Group*> groups_of(SessionId session);
  void touch(Group& group) {
    if (!std::exchange(group.dirty, true)) dirty_.insert(group.id);
  }
  void touch_entry(Group& group, Item& item);
  void touch_member(Group& group, SessionId session);
  static void update_available(Group& group, SessionId session, GroupMember& member);
  static void set_pending(Group& group, Item& item, bool pending);
  static Item& oldest_pending(Group& group);
  void set_connected(Group& group, SessionId session, GroupMember& member, bool connected);
  void wait(Group& group, Item& item);
  void stop_waiting(Group& group, Item& item);
  void withdraw(const Group& group, const Item& item, GroupChanges& out);
  bool cancel(GroupId group, uint64_t seq, SessionId member, GroupChanges& out);
  void assign(Group& group, Item& item, GroupChanges& out);
  void drain(Group& group, GroupChanges& out);
  static void hold(SessionId session, GroupMember& member, Item& item);
  void let_go(Group& group, Item& item);
  void erase_entry(Group& group, Item& item);
  void erase_member(Group& group, SessionId session);
  bool end_if_deserted(Group& group, GroupChanges& out);

  std::map<GroupId, Group> groups_;
  std::unordered_map<std::string, GroupId> by_key_;
  std::unordered_map<SessionId, std::set<GroupId>> by_session_;
  std::set<GroupId> dirty_;
  std::set<GroupId> changed_queues_;
  size_t assigned_before_ = 0;  // assignments that stood in `out` when the running operation began
};

}  // namespace courier::routing
