#include "routing/shared_groups.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace courier::routing {

void GroupChanges::clear() {
  withdrawals.clear();
  assignments.clear();
  drops.clear();
}

// None of the parts holds U+0000 [MQTT-1.5.4-2].
std::string SharedGroups::key(std::string_view mountpoint, std::string_view name, std::string_view filter) {
  std::string key(mountpoint);
  key += '\0';
  key += name;
  key += '\0';
  key += filter;
  return key;
}

SharedGroups::Group* SharedGroups::find_group(GroupId id) {
  const auto found = groups_.find(id);
  return found == groups_.end() ? nullptr : &found->second;
}

// In order of GroupId, so that a replay gives a session its messages in the same order.
std::vector<SharedGroups::Group*> SharedGroups::groups_of(SessionId session) {
  std::vector<Group*> groups;
  const auto found = by_session_.find(session);
  if (found == by_session_.end()) return groups;
  for (const GroupId id : found->second) groups.push_back(&groups_.at(id));
  return groups;
}

void SharedGroups::touch_entry(Group& group, Item& item) {
  touch(group);
  if (item.seq >= group.seq_clean || std::exchange(item.entry.listed, true)) return;
  group.dirty_entries.push_back(item.seq);
}

void SharedGroups::touch_member(Group& group, SessionId session) {
  touch(group);
  group.dirty_members.insert(session);
}

void SharedGroups::update_available(Group& group, SessionId session, GroupMember& member) {
  const bool available = member.connected && !member.leaving && member.outstanding() < member.window;
  if (std::exchange(member.available, available) == available) return;
  if (!available) {
    group.spare_nodes.push_back(group.available.extract(session));
  } else if (group.spare_nodes.empty()) {
    group.available.insert(session);
  } else {
    group.spare_nodes.back().value() = session;
    group.available.insert(std::move(group.spare_nodes.back()));
    group.spare_nodes.pop_back();
  }
}

void SharedGroups::set_pending(Group& group, Item& item, bool pending) {
  if (std::exchange(item.entry.pending, pending) == pending) return;
  if (pending) {
    group.pending_from = group.pending == 0 ? item.seq : std::min(group.pending_from, item.seq);
    ++group.pending;
  } else {
    --group.pending;
  }
}

// There is one.
SharedGroups::Item& SharedGroups::oldest_pending(Group& group) {
  auto item = group.entries.from(group.pending_from);
  while (!item->entry.pending) ++item;
  group.pending_from = item->seq;
  return *item;
}

// The entry is held by nobody and somebody may have it.
void SharedGroups::wait(Group& group, Item& item) {
  set_pending(group, item, true);
  ++group.queued;
  group.queued_bytes += item.entry.message->cost();
  changed_queues_.insert(group.id);
}

void SharedGroups::stop_waiting(Group& group, Item& item) {
  set_pending(group, item, false);
  if (item.entry.member) return;
  --group.queued;
  group.queued_bytes -= item.entry.message->cost();
  changed_queues_.insert(group.id);
}

void SharedGroups::hold(SessionId session, GroupMember& member, Item& item) {
  item.entry.member = session;
  item.entry.place = static_cast<uint32_t>(member.held.size());
  member.held.push_back(item.seq);
}

// Afterwards the entry is held by nobody and is not pending.
void SharedGroups::let_go(Group& group, Item& item) {
  const SessionId session = std::exchange(item.entry.member, SessionId());
  set_pending(group, item, false);
  GroupMember& member = group.members.at(session);
  const uint64_t last = member.held.back();
  if (last != item.seq) {
    member.held[item.entry.place] = last;
    group.entries.find(last)->entry.place = item.entry.place;
  }
  member.held.pop_back();
  update_available(group, session, member);
  if (member.leaving && member.held.empty()) erase_member(group, session);
}

void SharedGroups::erase_entry(Group& group, Item& item) {
  touch_entry(group, item);
  group.entries.erase(item);
}

void SharedGroups::erase_member(Group& group, SessionId session) {
  group.members.erase(session);
  group.available.erase(session);
  if (group.spare_nodes.size() > group.members.size()) group.spare_nodes.pop_back();
  touch_member(group, session);
  const auto groups = by_session_.find(session);
  groups->second.erase(group.id);
  if (groups->second.empty()) by_session_.erase(groups);
}

// Takes back an assignment that an earlier operation left in `out`, if it did.
bool SharedGroups::cancel(GroupId group, uint64_t seq, SessionId member, GroupChanges& out) {
  const auto end = out.assignments.begin() + static_cast<ptrdiff_t>(assigned_before_);
  const auto found = std::find_if(out.assignments.begin(), end, [&](const Assignment& assignment) {
    return assignment.group == group && assignment.seq == seq && assignment.member == member;
  });
  if (found == end) return false;
  out.assignments.erase(found);
  --assigned_before_;
  return true;
}

void SharedGroups::withdraw(const Group& group, const Item& item, GroupChanges& out) {
  const SessionId holder = item.entry.member;
  if (cancel(group.id, item.seq, holder, out)) return;
  out.withdrawals.push_back({group.id, item.seq, item.entry.position, holder});
}

// Somebody is available; the entry is pending, or new and not even that.
void SharedGroups::assign(Group& group, Item& item, GroupChanges& out) {
  GroupEntry& entry = item.entry;
  if (entry.member) {
    withdraw(group, item, out);
    let_go(group, item);
  } else if (entry.pending) {
    stop_waiting(group, item);
  }
  auto chosen = group.available.upper_bound(group.last_served);
  if (chosen == group.available.end()) chosen = group.available.begin();
  const SessionId session = *chosen;
  GroupMember& member = group.members.at(session);
  const mqtt::Qos qos = mqtt::lower(entry.message->qos, member.options.qos);
  group.last_served = session;
  out.assignments.push_back({group.id, item.seq, entry.position, entry.message, session, qos,
                             member.subscription_identifier, member.options.retain_as_published});
  if (qos == mqtt::Qos::at_most_once) {
    erase_entry(group, item);
    return;
  }
  hold(session, member, item);
  entry.qos = qos;
  update_available(group, session, member);
  touch_entry(group, item);
}

void SharedGroups::drain(Group& group, GroupChanges& out) {
  while (group.pending > 0 && !group.available.empty()) assign(group, oldest_pending(group), out);
}

GroupId SharedGroups::subscribe(std::string_view mountpoint, std::string_view name, std::string_view filter,
                                const Member& member, GroupId if_new, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  const SessionId session = member.subscriber.session;
  CHECK(session);
  const auto [known, is_new] = by_key_.try_emplace(key(mountpoint, name, filter), if_new);
  const GroupId id = known->second;
  Group& group = groups_[id];
  if (is_new) {
    CHECK(if_new && !group.id);
    group.id = id;
    group.mountpoint = mountpoint;
    group.name = name;
    group.filter = filter;
    group.seq_clean = group.seq_next;
  }
  GroupMember& joined = group.members[session];
  by_session_[session].insert(id);
  joined.options = member.subscriber.options;
  joined.subscription_identifier = member.subscriber.subscription_identifier;
  joined.window = member.window;
  joined.leaving = false;
  if (joined.connected != member.connected) set_connected(group, session, joined, member.connected);
  update_available(group, session, joined);
  touch_member(group, session);
  drain(group, out);
  return id;
}

bool SharedGroups::unsubscribe(std::string_view mountpoint, std::string_view name, std::string_view filter,
                               SessionId session, GroupChanges& out) {
  Group* group = find_group(find(mountpoint, name, filter));
  if (!group) return false;
  const auto member = group->members.find(session);
  if (member == group->members.end() || member->second.leaving) return false;
  if (member->second.held.empty()) {
    erase_member(*group, session);
  } else {
    // [MQTT-3.10.4-3]
    member->second.leaving = true;
    update_available(*group, session, member->second);
    touch_member(*group, session);
  }
  end_if_deserted(*group, out);
  return true;
}

void SharedGroups::set_connected(Group& group, SessionId session, GroupMember& member, bool connected) {
  member.connected = connected;
  for (const uint64_t seq : member.held) {
    Item& item = *group.entries.find(seq);
    set_pending(group, item, !connected && item.entry.qos == mqtt::Qos::at_least_once);
  }
  update_available(group, session, member);
  touch_member(group, session);
}

void SharedGroups::connected(SessionId session, uint32_t window, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  for (Group* group : groups_of(session)) {
    GroupMember& member = group->members.at(session);
    member.window = window;
    set_connected(*group, session, member, true);
    drain(*group, out);
  }
}

void SharedGroups::disconnected(std::span<const SessionId> sessions, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  std::set<GroupId> affected;  // in order, so that every reader of the log does the same
  for (const SessionId session : sessions) {
    for (Group* group : groups_of(session)) {
      set_connected(*group, session, group->members.at(session), false);
      affected.insert(group->id);
    }
  }
  for (const GroupId id : affected) drain(groups_.at(id), out);
}

void SharedGroups::all_disconnected() {
  for (auto& [id, group] : groups_) {
    for (auto& [session, member] : group.members) {
      if (member.connected) set_connected(group, session, member, false);
    }
  }
}

void SharedGroups::session_ended(SessionId session, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  for (Group* group : groups_of(session)) {
    // One by one, since the last that a leaving member lets go ends its membership.
    std::vector<uint64_t> held = group->members.at(session).held;
    std::ranges::sort(held);
    for (const uint64_t seq : held) {
      Item& item = *group->entries.find(seq);
      cancel(group->id, seq, session, out);
      let_go(*group, item);
      if (item.entry.qos == mqtt::Qos::exactly_once) {
        // [MQTT-4.8.2-5]
        out.drops.push_back({group->id, seq, item.entry.position, std::move(item.entry.message),
                             GroupDropReason::session_ended});
        erase_entry(*group, item);
      } else {
        wait(*group, item);
        touch_entry(*group, item);
      }
    }
    if (group->members.contains(session)) erase_member(*group, session);
    if (!end_if_deserted(*group, out)) drain(*group, out);
  }
}

bool SharedGroups::end_if_deserted(Group& group, GroupChanges& out) {
  if (std::ranges::any_of(group.members, [](const auto& member) { return !member.second.leaving; }))
    return false;
  for (Item& item : group.entries) {
    if (item.entry.member) continue;  // its session's alone from now on
    out.drops.push_back({group.id, item.seq, item.entry.position, std::move(item.entry.message),
                         GroupDropReason::group_ended});
  }
  while (!group.members.empty()) erase_member(group, group.members.begin()->first);
  changed_queues_.insert(group.id);
  by_key_.erase(key(group.mountpoint, group.name, group.filter));
  if (group.stored) {
    touch(group);
  } else {
    dirty_.erase(group.id);
  }
  groups_.erase(GroupId(group.id));
  return true;
}

uint64_t SharedGroups::publish(GroupId id, Position position, mqtt::MessagePtr message, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  Group* group = find_group(id);
  CHECK(group && message->qos != mqtt::Qos::at_most_once);
  const uint64_t seq = group->seq_next++;
  Item& item = group->entries.emplace(seq, GroupEntry{position, std::move(message), {}, {}});
  if (group->available.empty()) {
    wait(*group, item);
    touch_entry(*group, item);
  } else {
    assign(*group, item, out);
  }
  return seq;
}

bool SharedGroups::acked(GroupId id, SessionId session, uint64_t seq, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  Group* group = find_group(id);
  if (!group) return false;
  Item* item = group->entries.find(seq);
  if (!item || item->entry.member != session || !session) return false;
  let_go(*group, *item);
  erase_entry(*group, *item);
  drain(*group, out);
  return true;
}

bool SharedGroups::dropped(GroupId id, uint64_t seq, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  Group* group = find_group(id);
  if (!group) return false;
  Item* item = group->entries.find(seq);
  if (!item) return false;
  if (item->entry.member) {
    withdraw(*group, *item, out);
    let_go(*group, *item);
  } else {
    stop_waiting(*group, *item);
  }
  erase_entry(*group, *item);
  drain(*group, out);
  return true;
}

GroupId SharedGroups::find(std::string_view mountpoint, std::string_view name,
                           std::string_view filter) const {
  const auto found = by_key_.find(key(mountpoint, name, filter));
  return found == by_key_.end() ? GroupId() : found->second;
}

const SharedGroup* SharedGroups::group(GroupId id) const {
  const auto found = groups_.find(id);
  return found == groups_.end() ? nullptr : &found->second;
}

size_t SharedGroups::queued_count(GroupId id) const {
  const auto found = groups_.find(id);
  return found == groups_.end() ? 0 : found->second.queued;
}

size_t SharedGroups::queued_bytes(GroupId id) const {
  const auto found = groups_.find(id);
  return found == groups_.end() ? 0 : found->second.queued_bytes;
}

std::vector<uint64_t> SharedGroups::oldest_queued(GroupId id, size_t n) const {
  std::vector<uint64_t> oldest;
  const auto found = groups_.find(id);
  if (found == groups_.end()) return oldest;
  const Group& group = found->second;
  const size_t all = std::min(n, group.queued);
  for (auto item = group.entries.from(group.pending_from); oldest.size() < all; ++item) {
    if (!item->entry.member) oldest.push_back(item->seq);
  }
  return oldest;
}

std::vector<uint64_t> SharedGroups::excess(GroupId id, size_t count_max, size_t bytes_max, size_t n) const {
  std::vector<uint64_t> oldest;
  const auto found = groups_.find(id);
  if (found == groups_.end()) return oldest;
  const Group& group = found->second;
  size_t count = group.queued, bytes = group.queued_bytes;
  for (auto item = group.entries.from(group.pending_from); count > 0 && oldest.size() < n; ++item) {
    if (count <= count_max && bytes <= bytes_max) break;
    if (item->entry.member) continue;
    oldest.push_back(item->seq);
    --count;
    bytes -= item->entry.message->cost();
  }
  return oldest;
}

void SharedGroups::for_each(const std::function<void(const SharedGroup&)>& visit) const {
  for (const auto& [id, group] : groups_) visit(group);
}

std::vector<SharedGroups::Dirty> SharedGroups::take_dirty() {
  std::vector<Dirty> all;
  for (const GroupId id : std::exchange(dirty_, {})) {
    Group* group = find_group(id);
    Dirty& dirty = all.emplace_back(Dirty{id, group, {}, {}});
    if (!group) continue;
    dirty.members.assign(group->dirty_members.begin(), group->dirty_members.end());
    dirty.entries = group->dirty_entries;
    std::ranges::sort(dirty.entries);
    for (const uint64_t seq : dirty.entries) {
      if (Item* item = group->entries.find(seq)) item->entry.listed = false;
    }
    for (auto item = group->entries.from(group->seq_clean); item != group->entries.end(); ++item) {
      dirty.entries.push_back(item->seq);
    }
    group->dirty = false;
    group->dirty_members.clear();
    group->dirty_entries.clear();
    group->seq_clean = group->seq_next;
    group->stored = true;
  }
  return all;
}

void SharedGroups::restore(SharedGroup stored) {
  const GroupId id = stored.id;
  CHECK(id && !groups_.contains(id));
  Group& group = groups_[id];
  static_cast<SharedGroup&>(group) = std::move(stored);
  by_key_.emplace(key(group.mountpoint, group.name, group.filter), id);
  for (auto& [session, member] : group.members) {
    member.held.clear();
    member.available = false;
    by_session_[session].insert(id);
  }
  for (Item& item : group.entries) {
    const SessionId session = item.entry.member;
    item.entry.pending = item.entry.listed = false;
    if (!session) {
      wait(group, item);
      continue;
    }
    GroupMember& member = group.members.at(session);
    hold(session, member, item);
    set_pending(group, item, !member.connected && item.entry.qos == mqtt::Qos::at_least_once);
  }
  for (auto& [session, member] : group.members) update_available(group, session, member);
  group.seq_clean = group.seq_next;
  group.stored = true;
}

}  // namespace courier::routing
