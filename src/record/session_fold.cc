#include "record/session_fold.h"

#include <algorithm>
#include <optional>

#include "base/sabotage.h"

namespace courier::record {

using session::Session;

namespace {

bool is_void(const Session& session, const SessionRef& by) {
  return by.attach != session.attach;
}

std::unique_ptr<const session::Will> will_of(const Attach& attach) {
  if (!attach.will.message) return nullptr;
  return std::make_unique<const session::Will>(
      session::Will{attach.will.message, attach.will.delay_seconds, attach.will.message_expiry_seconds});
}

void apply(Session& session, const Attach& attach, Position position, NodeEpoch node) {
  session.attach = position;
  session.node = node;
  session.username = attach.username;
  session.version = attach.version;
  session.expiry_seconds = attach.expiry_seconds;
  session.inbox_messages_max = attach.inbox_messages_max;
  session.connected = true;
  session.detached_at = 0;
  session.will = will_of(attach);
  session.dirty = true;
}

session::Inbox::Settled settled(const InboxRef& ref) {
  return {ref.seq, ref.position, ref.bytes, ref.sole};
}

// Which of its messages through groups that is; none if the group took it back before the record about it
// came. (An inbox that was read back from the store does not know that by itself: what it had is rows, and
// the row is gone.) They are in order of their sequences.
std::optional<size_t> place_in_grouped(const Session& session, uint64_t seq) {
  const auto& grouped = *session.grouped;
  const auto found =
      std::ranges::lower_bound(grouped, seq, {}, [](const Session::Grouped& g) { return g.entry.seq; });
  if (found == grouped.end() || found->entry.seq != seq || found->origin.group == 0) return std::nullopt;
  return static_cast<size_t>(found - grouped.begin());
}

bool finish(Session& session, const std::vector<InboxRef>& messages) {
  bool changed = false, any_left = false;
  for (const InboxRef& ref : messages) {
    if (ref.group) {
      const auto place = place_in_grouped(session, ref.seq);
      if (!place) continue;
      session.grouped.make()[*place].origin = {};  // it goes below, with the others
      any_left = true;
    }
    // An ephemeral session's entry has left already.
    changed |= session.inbox.finish(settled(ref));
  }
  if (any_left) {
    std::erase_if(session.grouped.make(), [](const Session::Grouped& g) { return g.origin.group == 0; });
  }
  session.dirty |= changed;
  return changed;
}

bool step(Session& session, const InboxStep& record, session::Step to) {
  if (is_void(session, record.by)) return false;
  bool changed = false;
  for (const InboxRef& ref : record.messages) {
    if (!ref.group || place_in_grouped(session, ref.seq)) changed |= session.inbox.set_step(ref.seq, to);
  }
  session.dirty |= changed;
  return changed;
}

}  // namespace

void begin(Session& session, const Attach& attach, Position position, uint16_t hash, NodeEpoch node) {
  session.id = session_created_at(position, hash);
  session.mountpoint = attach.mountpoint;
  session.client_id = attach.client_id;
  apply(session, attach, position, node);
}

void resume(Session& session, const Attach& attach, Position position, NodeEpoch node) {
  // A connection that was taken over may have sent everything that is here.
  if (session.connected) session.sent_before = session.inbox.next();
  apply(session, attach, position, node);
}

uint64_t receive(Session& session, Incoming incoming) {
  session::Entry entry;
  const auto bytes = static_cast<uint32_t>(incoming.message->cost());
  entry.message = std::move(incoming.message);
  entry.position = incoming.position;
  entry.qos = incoming.qos;
  entry.retain = incoming.retain;
  entry.sole = incoming.sole;
  entry.extras = std::move(incoming.extras);
  const session::GroupOrigin origin = entry.origin();
  session.dirty = true;
  const uint64_t seq = session.inbox.push(std::move(entry));
  if (origin.group) {
    session.grouped.make().push_back({origin, {seq, incoming.position, bytes, incoming.sole}});
  }
  return seq;
}

bool fold(Session& session, const Detach& detach, WallMs clock) {
  if (is_void(session, detach.of)) return false;
  // A session that is offline already may still end; its clock does not start again.
  if (session.connected) session.detached_at = clock;
  session.connected = false;
  session.node = {};
  session.expiry_seconds = detach.expiry_seconds;
  session.sent_before = std::max(session.sent_before, detach.sent_up_to);
  if (detach.drops_will) session.will = nullptr;
  session.dirty = true;
  return true;
}

bool fold(Session& session, const Acked& acked) {
  return !is_void(session, acked.by) && finish(session, acked.messages);
}
bool fold(Session& session, const Sent& sent) {
  return step(session, sent, session::Step::sent);
}
bool fold(Session& session, const Received& received) {
  return step(session, received, session::Step::received);
}
bool fold(Session& session, const Completed& completed) {
  return !is_void(session, completed.by) && finish(session, completed.messages);
}

bool fold(Session& session, const Qos2In& taken) {
  if (sabotaged(Sabotage::drop_qos2_state)) return false;
  if (is_void(session, taken.by) || !session.taken.insert(taken.packet_id)) return false;
  session.dirty = true;
  return true;
}
bool fold(Session& session, const Released& released) {
  if (is_void(session, released.by) || !session.taken.erase(released.packet_id)) return false;
  session.dirty = true;
  return true;
}

// Named by position, so a later attach does not void them: the message is the same one.
bool fold(Session& session, const Dropped& dropped) {
  return finish(session, dropped.messages);
}
bool fold(Session& session, const Expired& expired) {
  return finish(session, expired.messages);
}

void subscribed(Session& session, std::vector<session::RetainedWalk> walks) {
  if (walks.empty()) return;
  if (!session.walks) session.walks = std::make_unique<std::vector<session::RetainedWalk>>();
  for (session::RetainedWalk& walk : walks) {
    // From the beginning, whatever is left of an earlier one. [MQTT-3.8.4-3]
    std::erase_if(*session.walks, [&](const auto& known) { return known.filter == walk.filter; });
    session.walks->push_back(std::move(walk));
  }
  session.dirty = true;
}

bool fold(Session& session, const RetainedNext& record, std::vector<session::RetainedWalk> left) {
  if (!session.walks) return false;
  const auto walk = std::ranges::find_if(*session.walks, [&](const session::RetainedWalk& known) {
    return known.filter == record.filter && known.since == record.since;
  });
  if (walk == session.walks->end()) return false;
  if (left.empty()) {
    session.walks->erase(walk);
  } else {
    *walk = std::move(left.front());
  }
  if (session.walks->empty()) session.walks = nullptr;
  session.dirty = true;
  return true;
}

bool will_fired(Session& session, Position attach) {
  if (session.attach != attach || !session.will) return false;
  session.will = nullptr;
  session.dirty = true;
  return true;
}

bool withdraw(Session& session, session::GroupOrigin origin) {
  if (!session.grouped) return false;
  std::vector<Session::Grouped>& grouped = session.grouped.make();
  const auto it = std::ranges::find(grouped, origin, &Session::Grouped::origin);
  if (it == grouped.end()) return false;
  const session::Inbox::Settled entry = it->entry;
  grouped.erase(it);
  session.dirty = true;
  return session.inbox.finish(entry);
}

void node_down(Session& session, WallMs last_clock) {
  if (!session.connected) return;
  session.connected = false;
  session.node = {};
  session.detached_at = last_clock;
  session.sent_before = session.inbox.next();  // whatever it had may have been sent
  session.dirty = true;
}

}  // namespace courier::record
