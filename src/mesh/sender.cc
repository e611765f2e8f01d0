#include "mesh/sender.h"

#include <algorithm>
#include <utility>

namespace courier::mesh {

Sender::Sender(std::shared_ptr<Core> core, size_t queue_bytes_max, Registry& registry)
    : core_(std::move(core)), queue_bytes_max_(queue_bytes_max), drops_(registry) {}

bool Sender::deliver(NodeEpoch to, const Deliver& deliver) {
  if (version_ != core_->peers.version()) look_again();
  Slot* const slot = slot_of(to);
  if (slot == nullptr || !slot->peer->up.load(std::memory_order_relaxed)) {
    drops_.no_link.add();
    return false;
  }
  const size_t needed = kFrameHeadBytes + deliver_bytes_at_most(deliver);
  if (needed > kFrameBytesMax) {
    drops_.too_large.add();
    return false;
  }
  if (slot->claimed < needed && !claim(*slot, needed)) {
    drops_.full.add();
    return false;
  }
  const size_t before = slot->bytes.size();
  if (slot->messages == 0) {
    slot->bytes.reserve(std::max(slot->expected, needed));
    slot->open_at = open_frame(slot->bytes, FrameType::deliver);
  } else if (before - slot->open_at + needed > kDeliverFrameBytes) {
    close_frame(slot->bytes, slot->open_at);
    slot->open_at = open_frame(slot->bytes, FrameType::deliver);
  }
  encode_deliver(slot->bytes, deliver);
  ++slot->messages;
  slot->claimed -= slot->bytes.size() - before;
  dirty_ = true;
  if (slot->bytes.size() >= kHandoverBytes) hand_over(*slot);
  return true;
}

void Sender::flush() {
  if (!dirty_) return;
  dirty_ = false;
  for (Slot& slot : slots_) {
    if (slot.messages == 0) continue;
    // Follows what Turns have, slowly downwards: growing step by step would copy each byte once more.
    slot.expected = std::max(slot.bytes.size() + slot.bytes.size() / 4, slot.expected - slot.expected / 8);
    hand_over(slot);
  }
  core_->outgoing.post_all(out_);
}

Sender::Slot* Sender::slot_of(NodeEpoch to) {
  for (Slot& slot : slots_) {
    if (slot.peer && slot.peer->epoch == to) return &slot;  // look_again() takes slots out of their place
  }
  return nullptr;
}

void Sender::look_again() {
  version_ = core_->peers.version();
  const std::shared_ptr<const Peers::List> peers = core_->peers.get();
  std::vector<Slot> next;
  for (const PeerPtr& peer : *peers) {
    Slot* const known = slot_of(peer->epoch);
    next.push_back(known && known->peer == peer ? std::move(*known) : Slot{.peer = peer});
  }
  // What is left belongs to nodes that are no members any more.
  for (const Slot& slot : slots_) {
    if (slot.peer) drops_.link_lost.add(slot.messages);
  }
  slots_ = std::move(next);
}

bool Sender::claim(Slot& slot, size_t bytes) {
  std::atomic<size_t>& queued = slot.peer->queued;
  // More than is needed, so that most messages of a Turn touch nothing that is shared; close to the bound
  // only what is.
  for (const size_t wanted : {std::max(bytes, std::min(kClaimBytes, queue_bytes_max_ / 8)), bytes}) {
    const size_t missing = wanted - slot.claimed;
    if (queued.fetch_add(missing, std::memory_order_relaxed) + missing <= queue_bytes_max_) {
      slot.claimed = wanted;
      return true;
    }
    queued.fetch_sub(missing, std::memory_order_relaxed);
  }
  return false;
}

void Sender::hand_over(Slot& slot) {
  close_frame(slot.bytes, slot.open_at);
  out_.push_back({slot.peer, std::exchange(slot.bytes, {}), std::exchange(slot.messages, 0)});
}

}  // namespace courier::mesh
