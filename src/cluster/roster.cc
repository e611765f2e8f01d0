#include "cluster/roster.h"

#include <algorithm>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace courier::cluster {

Roster::Roster(std::string id, NodeEpoch epoch, record::Partitioning partitioning)
    : id_(std::move(id)), epoch_(epoch), partitioning_(partitioning), mine_(partitioning.partitions) {}

std::string Roster::owner_of(uint16_t partition, const std::vector<Member>& members) {
  const bool all_drain =
      std::ranges::none_of(members, [](const Member& member) { return member.state == MemberState::active; });
  const Member* best = nullptr;
  uint64_t most = 0;
  for (const Member& member : members) {
    if (member.state != MemberState::active && !all_drain) continue;
    const uint64_t weight = XXH3_64bits_withSeed(member.id.data(), member.id.size(), partition + 1u);
    if (best && weight <= most) continue;
    best = &member;
    most = weight;
  }
  return best ? best->id : std::string();
}

void Roster::set_members(const std::vector<Member>& members, uint64_t revision) {
  std::vector<bool> mine(partitioning_.partitions);
  for (uint16_t partition = 0; partition < partitioning_.partitions; ++partition)
    mine[partition] = owner_of(partition, members) == id_;
  const std::lock_guard lock(mutex_);
  if (revision < revision_) return;
  members_ = members;
  mine_ = std::move(mine);
  revision_ = revision;
}

std::vector<Member> Roster::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

size_t Roster::size() const {
  const std::lock_guard lock(mutex_);
  return members_.size();
}

bool Roster::should_own(uint16_t partition) const {
  const std::lock_guard lock(mutex_);
  return partition < mine_.size() && mine_[partition];
}

bool Roster::gone(NodeEpoch node) const {
  const std::lock_guard lock(mutex_);
  return node.value <= revision_ &&
         std::ranges::none_of(members_, [node](const Member& member) { return member.epoch == node; });
}

}  // namespace courier::cluster
