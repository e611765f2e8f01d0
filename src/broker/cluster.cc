// What moves between the nodes of a cluster: connections, and who acts for those who have none.
//
// All of it comes by the log. A node that finds that another has a session now undoes what it had begun with
// it: the records about that are void, or will be.
#include <algorithm>

#include "base/check.h"
#include "broker/shard.h"
#include "record/session_fold.h"

namespace courier::broker {

using mqtt::ReasonCode;

void Shard::node_down(const record::NodeDownItem& item) {
  const auto disconnected = [&](SessionId id) {
    Client* client = find(id);
    CHECK(client != nullptr);
    const bool was_dirty = client->session.dirty;
    record::node_down(client->session, item.last_clock);
    after_fold(*client, was_dirty);
    schedule(*client);
  };
  if (alone()) {
    for (const SessionId id : std::exchange(connected_, {})) disconnected(id);
    return;
  }
  std::ranges::replace(owners_, item.node, NodeEpoch());
  // First, so that none of them is due before.
  if (acting_) begin_grace();
  for (const SessionId id : item.cut) {
    disconnected(id);
    // This node itself is taken for dead, and about to be told: it can make no promise any more.
    if (item.node == out_.epoch)
      let_go(*find(id), EndCause::server_shutdown, ReasonCode::server_shutting_down);
  }
}

// Nothing that is said or decided here about the session counts any more.
void Shard::let_go(Client& client, EndCause cause, ReasonCode reason) {
  if (Connection* connection = std::exchange(client.connection, nullptr)) {
    connection->client = nullptr;
    disconnect(*connection, cause, reason);
  }
  forget_progress(client);
}

void Shard::forget_progress(Client& client) {
  client.session.inbox.forget_progress();
  client.walk_pending = false;
  unread_.erase(client.session.id);
  Client::Work* work = client.work.get();
  if (!work) return;
  const Position settled = work->will_settled;
  *work = {};
  work->will_settled = settled;
}

// An end of the session of that name, decided here, may be on its way. It has come, or it is void: in either
// case nobody need wait for it. (An ATTACH on its way is waited for until it is back.)
void Shard::end_is_over(const std::string& name) {
  const auto change = changing_.find(name);
  if (change != changing_.end() && !change->second.attaching) change_is_over(name);
}

// Whether a QoS 0 message is not for this node to deliver, to one that is connected to `node`; `to` is taken
// if it is to be sent on.
bool Shard::goes_elsewhere(const record::Delivery& delivery, record::Delivery::To& to, NodeEpoch node,
                           Way way) {
  if (!node || node == out_.epoch) return false;
  if (way == Way::log) return true;
  if (way == Way::peer || !out_.peers) {
    metrics_.dropped.not_connected[delivery.message->label].add();  // it has moved on meanwhile
    return true;
  }
  auto at = std::ranges::find(elsewhere_, node, [](const auto& each) { return each.first; });
  if (at == elsewhere_.end()) at = elsewhere_.emplace(at, node, std::vector<record::Delivery::To>());
  at->second.push_back(std::move(to));
  return true;
}

void Shard::send_elsewhere(const record::Delivery& delivery) {
  for (auto& [node, to] : elsewhere_)
    out_.peers->deliver(index_, node, folded_, delivery.message, std::move(to));
  elsewhere_.clear();
  sent_elsewhere_ = true;
}

void Shard::owned(const record::OwnItem& item) {
  std::vector<bool> changed(owners_.size());
  for (const uint16_t partition : item.partitions) {
    if (partition >= owners_.size() || owners_[partition] == item.node) continue;
    owners_[partition] = item.node;
    changed[partition] = true;
  }
  const auto concerns = [&](uint16_t hash) {
    return changed[record::Attachments::partition(hash, owners_.size())];
  };
  const bool mine = item.node == out_.epoch;
  clients_.for_awake([&](Client& client) {
    if (!concerns(client.session.id.hash()) || client.session.connected) return;
    if (!mine) {
      forget_progress(client);
    } else if (acting_ && over_limits(client)) {
      want_limits(client);
    }
  });
  if (mine) return;
  std::vector<std::string> names;
  for (const auto& [name, change] : changing_) {
    const size_t end = name.find('\0');
    if (concerns(record::session_hash(std::string_view(name).substr(0, end),
                                      std::string_view(name).substr(end + 1))))
      names.push_back(name);
  }
  for (const std::string& name : names) end_is_over(name);
}

}  // namespace courier::broker
