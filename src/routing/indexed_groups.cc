#include "routing/indexed_groups.h"

#include <algorithm>

#include "base/check.h"
#include "routing/subscription_index.h"

namespace courier::routing {

// Neither part holds U+0000 [MQTT-1.5.4-2].
std::string IndexedGroups::key(std::string_view mountpoint, std::string_view filter) {
  std::string key(mountpoint);
  key += '\0';
  key += filter;
  return key;
}

std::optional<uint32_t> IndexedGroups::find(std::string_view mountpoint, std::string_view filter) const {
  const auto found = by_key_.find(key(mountpoint, filter));
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

uint32_t IndexedGroups::make(std::string_view mountpoint, std::string_view filter, GroupId id) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(groups_.size()));
    groups_.emplace_back();
  }
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  groups_[slot] = std::make_unique<Group>();
  groups_[slot]->id = id;
  groups_[slot]->mountpoint = mountpoint;
  groups_[slot]->filter = filter;
  by_key_.emplace(key(mountpoint, filter), slot);
  return slot;
}

void IndexedGroups::drop(uint32_t slot) {
  CHECK(deserted(slot));
  by_key_.erase(key(groups_[slot]->mountpoint, groups_[slot]->filter));
  groups_[slot].reset();
  free_slots_.push_back(slot);
}

void IndexedGroups::Group::swap_members(size_t a, size_t b) {
  std::swap(members[a], members[b]);
  place[members[a].session] = a;
  place[members[b].session] = b;
}

void IndexedGroups::Group::set_connected(SessionId session, bool now) {
  const size_t at = place.at(session);
  if ((at < connected) == now) return;
  if (now) {
    swap_members(at, connected++);
  } else {
    swap_members(at, --connected);
  }
}

bool IndexedGroups::add(uint32_t slot, const Subscriber& member, bool connected) {
  Group& group = *groups_[slot];
  const auto [at, is_new] = group.place.try_emplace(member.session, group.members.size());
  if (is_new) {
    group.members.push_back(member);
    by_session_[member.session].push_back(slot);
  } else {
    group.members[at->second] = member;
  }
  group.set_connected(member.session, connected);
  return is_new;
}

bool IndexedGroups::remove(uint32_t slot, SessionId session) {
  Group& group = *groups_[slot];
  if (!group.place.contains(session)) return false;
  group.set_connected(session, false);
  group.swap_members(group.place.at(session), group.members.size() - 1);
  group.members.pop_back();
  group.place.erase(session);
  const auto slots = by_session_.find(session);
  std::erase(slots->second, slot);
  if (slots->second.empty()) by_session_.erase(slots);
  return true;
}

void IndexedGroups::set_connected(SessionId session, bool connected) {
  const auto slots = by_session_.find(session);
  if (slots == by_session_.end()) return;
  for (const uint32_t slot : slots->second) groups_[slot]->set_connected(session, connected);
}

GroupMatch IndexedGroups::match(uint32_t slot, Shared shared) const {
  const Group& group = *groups_[slot];
  GroupMatch match{group.id, {}};
  switch (shared) {
    case Shared::name_group:
      break;
    case Shared::choose_member:
      if (group.connected > 0) {
        match.member = group.members[group.turn.fetch_add(1, std::memory_order_relaxed) % group.connected];
      }
      break;
  }
  return match;
}

size_t IndexedGroups::bytes() const {
  constexpr size_t kMapNode = 64;  // a node of an unordered_map with its share of the buckets, about
  size_t bytes = groups_.capacity() * sizeof(groups_[0]) + by_session_.size() * kMapNode;
  for (const auto& group : groups_) {
    if (!group) continue;
    bytes += sizeof(Group) + 2 * (group->mountpoint.size() + group->filter.size()) + kMapNode +
             group->members.capacity() * sizeof(Subscriber) +
             group->members.size() * (kMapNode + sizeof(uint32_t));
  }
  return bytes;
}

}  // namespace courier::routing
