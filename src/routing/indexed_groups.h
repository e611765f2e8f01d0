// The shared subscriptions as the index knows them: each group a slot that the inner filter's subscriber set
// names. They choose members for what skips the log; what is logged is assigned by SharedGroups.
//
// Belongs to one SubscriptionIndex; changed only under its write lock. match() is for any thread that holds
// the read lock: the only thing it changes is an atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "routing/group_id.h"
#include "routing/match_result.h"

namespace courier::routing {

enum class Shared : uint8_t;

class IndexedGroups {
 public:
  // `filter` is the whole "$share/…".
  std::optional<uint32_t> find(std::string_view mountpoint, std::string_view filter) const;
  uint32_t make(std::string_view mountpoint, std::string_view filter, GroupId id);
  void drop(uint32_t slot);

  // True if new, false if it replaced.
  bool add(uint32_t slot, const Subscriber& member, bool connected);
  bool remove(uint32_t slot, SessionId session);
  bool deserted(uint32_t slot) const { return groups_[slot]->members.empty(); }
  bool knows(SessionId session) const { return by_session_.contains(session); }
  void set_connected(SessionId session, bool connected);

  GroupMatch match(uint32_t slot, Shared shared) const;

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& group : groups_) {
      if (!group) continue;
      for (const Subscriber& member : group->members) visit(group->mountpoint, group->filter, member);
    }
  }
  size_t bytes() const;

 private:
  struct Group {
    GroupId id;
    std::string mountpoint, filter;
    std::vector<Subscriber> members;  // the connected ones first
    size_t connected = 0;
    std::unordered_map<SessionId, size_t> place;  // in members
    mutable std::atomic<uint32_t> turn{0};

    void swap_members(size_t a, size_t b);
    void set_connected(SessionId session, bool now);
  };

  static std::string key(std::string_view mountpoint, std::string_view filter);

  std::vector<std::unique_ptr<Group>> groups_;  // by slot
  std::vector<uint32_t> free_slots_;
  std::unordered_map<std::string, uint32_t> by_key_;
  std::unordered_map<SessionId, std::vector<uint32_t>> by_session_;
};

}  // namespace courier::routing
