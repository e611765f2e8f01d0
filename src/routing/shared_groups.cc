#include "routing/shared_groups.h"

#include <algorithm>
#include <tuple>
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

void SharedGroups::touch_entry(Group& group, uint64_t seq) {
  touch(group);
  if (seq >= group.seq_clean && !group.entries.contains(seq)) {
    group.dirty_entries.erase(seq);
  } else {
    group.dirty_entries.insert(seq);
  }
}

void SharedGroups::touch_member(Group& group, SessionId session) {
  touch(group);
  group.dirty_members.insert(session);
}

void SharedGroups::update_available(Group& group, SessionId session, const GroupMember& member) {
  if (member.connected && !member.leaving && member.outstanding() < member.window) {
    group.available.insert(session);
  } else {
    group.available.erase(session);
  }
}

// The entry is held by nobody and somebody may have it.
void SharedGroups::wait(Group& group, Entries::iterator entry) {
  group.pending.insert(entry->first);
  ++group.queued;
  group.queued_bytes += entry->second.message->cost();
  changed_queues_.insert(group.id);
}

void SharedGroups::stop_waiting(Group& group, Entries::iterator entry) {
  group.pending.erase(entry->first);
  if (entry->second.member) return;
  --group.queued;
  group.queued_bytes -= entry->second.message->cost();
  changed_queues_.insert(group.id);
}

// Afterwards the entry is held by nobody and is not pending.
void SharedGroups::let_go(Group& group, Entries::iterator entry) {
  const SessionId session = std::exchange(entry->second.member, SessionId());
  group.pending.erase(entry->first);
  GroupMember& member = group.members.at(session);
  member.held.erase(entry->first);
  update_available(group, session, member);
  if (member.leaving && member.held.empty()) erase_member(group, session);
}

void SharedGroups::erase_entry(Group& group, Entries::iterator entry) {
  const uint64_t seq = entry->first;
  group.entries.erase(entry);
  touch_entry(group, seq);
}

void SharedGroups::erase_member(Group& group, SessionId session) {
  group.members.erase(session);
  group.available.erase(session);
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

void SharedGroups::withdraw(const Group& group, const Entries::iterator& entry, GroupChanges& out) {
  const SessionId holder = entry->second.member;
  if (cancel(group.id, entry->first, holder, out)) return;
  out.withdrawals.push_back({group.id, entry->first, entry->second.position, holder});
}

// Somebody is available; the entry is pending, or new and not even that.
void SharedGroups::assign(Group& group, Entries::iterator entry, GroupChanges& out) {
  const auto [seq, position, message] =
      std::tuple(entry->first, entry->second.position, entry->second.message);
  if (entry->second.member) {
    withdraw(group, entry, out);
    let_go(group, entry);
  } else if (group.pending.contains(seq)) {
    stop_waiting(group, entry);
  }
  auto chosen = group.available.upper_bound(group.last_served);
  if (chosen == group.available.end()) chosen = group.available.begin();
  const SessionId session = *chosen;
  GroupMember& member = group.members.at(session);
  const mqtt::Qos qos = mqtt::lower(message->qos, member.options.qos);
  group.last_served = session;
  out.assignments.push_back({group.id, seq, position, message, session, qos, member.subscription_identifier,
                             member.options.retain_as_published});
  if (qos == mqtt::Qos::at_most_once) {
    erase_entry(group, entry);
    return;
  }
  entry->second.member = session;
  entry->second.qos = qos;
  member.held.insert(seq);
  update_available(group, session, member);
  touch_entry(group, seq);
}

void SharedGroups::drain(Group& group, GroupChanges& out) {
  while (!group.pending.empty() && !group.available.empty()) {
    assign(group, group.entries.find(*group.pending.begin()), out);
  }
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
    if (connected) {
      group.pending.erase(seq);
    } else if (group.entries.at(seq).qos == mqtt::Qos::at_least_once) {
      group.pending.insert(seq);
    }
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

void SharedGroups::disconnected(SessionId session, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  for (Group* group : groups_of(session)) {
    set_connected(*group, session, group->members.at(session), false);
    drain(*group, out);
  }
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
    const std::set<uint64_t> held = group->members.at(session).held;
    for (const uint64_t seq : held) {
      const auto entry = group->entries.find(seq);
      const mqtt::Qos qos = entry->second.qos;
      cancel(group->id, seq, session, out);
      let_go(*group, entry);
      if (qos == mqtt::Qos::exactly_once) {
        // [MQTT-4.8.2-5]
        out.drops.push_back({group->id, seq, entry->second.position, std::move(entry->second.message),
                             GroupDropReason::session_ended});
        erase_entry(*group, entry);
      } else {
        wait(*group, entry);
        touch_entry(*group, seq);
      }
    }
    if (group->members.contains(session)) erase_member(*group, session);
    if (!end_if_deserted(*group, out)) drain(*group, out);
  }
}

bool SharedGroups::end_if_deserted(Group& group, GroupChanges& out) {
  if (std::ranges::any_of(group.members, [](const auto& member) { return !member.second.leaving; }))
    return false;
  for (auto& [seq, entry] : group.entries) {
    if (entry.member) continue;  // its session's alone from now on
    out.drops.push_back(
        {group.id, seq, entry.position, std::move(entry.message), GroupDropReason::group_ended});
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
  const auto entry = group->entries.emplace(seq, GroupEntry{position, std::move(message), {}, {}}).first;
  if (group->available.empty()) {
    wait(*group, entry);
    touch_entry(*group, seq);
  } else {
    assign(*group, entry, out);
  }
  return seq;
}

bool SharedGroups::acked(GroupId id, SessionId session, uint64_t seq, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  Group* group = find_group(id);
  if (!group) return false;
  const auto entry = group->entries.find(seq);
  if (entry == group->entries.end() || entry->second.member != session || !session) return false;
  let_go(*group, entry);
  erase_entry(*group, entry);
  drain(*group, out);
  return true;
}

bool SharedGroups::dropped(GroupId id, uint64_t seq, GroupChanges& out) {
  assigned_before_ = out.assignments.size();
  Group* group = find_group(id);
  if (!group) return false;
  const auto entry = group->entries.find(seq);
  if (entry == group->entries.end()) return false;
  if (entry->second.member) {
    withdraw(*group, entry, out);
    let_go(*group, entry);
  } else {
    stop_waiting(*group, entry);
  }
  erase_entry(*group, entry);
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
  for (const uint64_t seq : found->second.pending) {
    if (oldest.size() == n) break;
    if (!found->second.entries.at(seq).member) oldest.push_back(seq);
  }
  return oldest;
}

std::vector<uint64_t> SharedGroups::excess(GroupId id, size_t count_max, size_t bytes_max, size_t n) const {
  std::vector<uint64_t> oldest;
  const auto found = groups_.find(id);
  if (found == groups_.end()) return oldest;
  const Group& group = found->second;
  size_t count = group.queued, bytes = group.queued_bytes;
  for (auto seq = group.pending.begin(); seq != group.pending.end() && oldest.size() < n; ++seq) {
    if (count <= count_max && bytes <= bytes_max) break;
    const GroupEntry& entry = group.entries.at(*seq);
    if (entry.member) continue;
    oldest.push_back(*seq);
    --count;
    bytes -= entry.message->cost();
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
    dirty.entries.assign(group->dirty_entries.begin(), group->dirty_entries.end());
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
    by_session_[session].insert(id);
  }
  for (auto entry = group.entries.begin(); entry != group.entries.end(); ++entry) {
    if (!entry->second.member) {
      wait(group, entry);
      continue;
    }
    GroupMember& member = group.members.at(entry->second.member);
    member.held.insert(entry->first);
    if (!member.connected && entry->second.qos == mqtt::Qos::at_least_once)
      group.pending.insert(entry->first);
  }
  for (const auto& [session, member] : group.members) update_available(group, session, member);
  group.seq_clean = group.seq_next;
  group.stored = true;
}

}  // namespace courier::routing
