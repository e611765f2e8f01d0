#include "record/attachments.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/sabotage.h"

namespace courier::record {

Attachments::Attachments(Partitioning partitioning)
    : name_key_(partitioning.name_key), owners_(partitioning.partitions) {}

// Of 64 bits, with a key that no client knows: of a hundred million names two are alike in one cluster of
// four thousand, and there the later of the two cannot connect while the other's session exists.
uint64_t Attachments::name_of(std::string_view mountpoint, std::string_view client_id) const {
  const uint64_t place = XXH3_64bits_withSeed(mountpoint.data(), mountpoint.size(), name_key_);
  return XXH3_64bits_withSeed(client_id.data(), client_id.size(), place);
}

uint16_t Attachments::partition_of(GroupId group) const {
  return partition(static_cast<uint16_t>(XXH3_64bits(&group.value, sizeof group.value)), owners_.size());
}

uint16_t Attachments::index_of(NodeEpoch node) {
  size_t free = nodes_.size();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].epoch == node) return static_cast<uint16_t>(i);
    if (!nodes_[i].epoch) free = i;
  }
  if (free == nodes_.size()) nodes_.emplace_back();
  nodes_[free] = {node, 0};
  return static_cast<uint16_t>(free);
}

void Attachments::connect(Attached& session, NodeEpoch node) {
  session.node = index_of(node);
  session.connected = true;
  ++nodes_[session.node].connected;
}

void Attachments::disconnect(Attached& session) {
  if (!std::exchange(session.connected, false)) return;
  Node& node = nodes_[session.node];
  if (--node.connected == 0) node.epoch = {};
}

void Attachments::erase(SessionId session) {
  const auto at = sessions_.find(session);
  if (at == sessions_.end()) return;
  disconnect(at->second);
  if (const auto named = by_name_.find(at->second.name); named != by_name_.end() && named->second == session)
    by_name_.erase(named);
  sessions_.erase(at);
}

bool Attachments::attach(const Attach& record, Position position, NodeEpoch node) {
  const uint64_t name = name_of(record.mountpoint, record.client_id);
  const auto named = by_name_.find(name);
  const SessionId there = named == by_name_.end() ? SessionId() : named->second;
  if (there != record.before) return false;
  if (there && sessions_.at(there).attach != record.seen) return false;
  if (record.replaced()) erase(record.replaced());
  const SessionId session =
      record.resumed() ? record.resumed()
                       : session_created_at(position, session_hash(record.mountpoint, record.client_id));
  Attached& attached = sessions_[session];
  disconnect(attached);
  attached.attach = position;
  attached.name = name;
  attached.has_will = static_cast<bool>(record.will.message);
  connect(attached, node);
  by_name_[name] = session;
  return true;
}

bool Attachments::may(const SessionRef& by, NodeEpoch node) const {
  const auto at = sessions_.find(by.session);
  if (at == sessions_.end()) return false;
  if (sabotaged(Sabotage::take_stale_records)) return true;
  const Attached& session = at->second;
  return session.attach == by.attach && session.connected && nodes_[session.node].epoch == node;
}

bool Attachments::may_settle(SessionId id, Position since, NodeEpoch node) const {
  const auto at = sessions_.find(id);
  if (at == sessions_.end()) return false;
  const Attached& session = at->second;
  if (sabotaged(Sabotage::everybody_acts)) return true;
  if (session.attach != since) return false;
  return (session.connected ? nodes_[session.node].epoch : owners_[partition_of(id)]) == node;
}

bool Attachments::detach(const Detach& record, NodeEpoch node) {
  if (!may_settle(record.of.session, record.of.attach, node)) return false;
  if (record.ends_session) {
    erase(record.of.session);
    return true;
  }
  Attached& session = sessions_.at(record.of.session);
  disconnect(session);
  if (record.drops_will) session.has_will = false;
  return true;
}

bool Attachments::take_will(const SessionRef& of) {
  const auto at = sessions_.find(of.session);
  if (at == sessions_.end() || at->second.attach != of.attach) return false;
  return std::exchange(at->second.has_will, false);
}

void Attachments::own(std::span<const uint16_t> partitions, NodeEpoch node) {
  for (const uint16_t partition : partitions) {
    if (partition < owners_.size()) owners_[partition] = node;
  }
}

std::vector<SessionId> Attachments::node_down(NodeEpoch node) {
  std::ranges::replace(owners_, node, NodeEpoch());
  std::vector<SessionId> gone;
  const auto known = std::ranges::find(nodes_, node, &Node::epoch);
  if (known == nodes_.end()) return gone;
  const auto index = static_cast<uint16_t>(known - nodes_.begin());
  gone.reserve(known->connected);
  for (auto& [id, session] : sessions_) {
    if (!session.connected || session.node != index) continue;
    session.connected = false;
    gone.push_back(id);
  }
  CHECK(gone.size() == known->connected);
  *known = {};
  return gone;
}

std::vector<NodeEpoch> Attachments::nodes() const {
  std::vector<NodeEpoch> all = owners_;
  for (const Node& node : nodes_) all.push_back(node.epoch);
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (!all.empty() && !all.front()) all.erase(all.begin());
  return all;
}

size_t Attachments::connected() const {
  size_t sum = 0;
  for (const Node& node : nodes_) sum += node.connected;
  return sum;
}

void Attachments::restore(const session::Session& session) {
  Attached& attached = sessions_[session.id];
  attached.attach = session.attach;
  attached.name = name_of(session.mountpoint, session.client_id);
  attached.has_will = session.will != nullptr;
  if (session.connected) connect(attached, session.node);
  by_name_[attached.name] = session.id;
}

void Attachments::restore(std::vector<NodeEpoch> owners) {
  CHECK(owners.size() == owners_.size());
  owners_ = std::move(owners);
}

}  // namespace courier::record
