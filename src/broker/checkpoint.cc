// A shard's part of a checkpoint: the rows of its sessions that changed, as of one place in the feed.
#include <algorithm>

#include "broker/shard.h"
#include "broker/shared.h"
#include "record/rows.h"

namespace courier::broker {

namespace {

// A range erase is a mark that later reads must mind: it has to be worth that. A hundred rows, each erased by
// itself, cost as much as sending their messages again.
constexpr size_t kRowsPerRange = 64;

void erase_rows(SessionId id, std::vector<session::Inbox::Settled> erased, store::StateBatch& rows) {
  const auto key = [&](uint64_t seq) { return record::inbox_key(id, seq); };
  for (size_t begin = 0, end = 0; begin < erased.size(); begin = end) {
    // One after another, as a flood pushes them out or a client acknowledges them.
    while (end < erased.size() && erased[end].seq == erased[begin].seq + (end - begin)) ++end;
    if (end - begin >= kRowsPerRange) {
      rows.range_erases.push_back(
          {store::Table::inbox, key(erased[begin].seq), key(erased[end - 1].seq + 1)});
    } else {
      for (size_t i = begin; i < end; ++i) rows.erases.push_back({store::Table::inbox, key(erased[i].seq)});
    }
  }
  for (const session::Inbox::Settled& each : erased) {
    if (!each.sole) rows.messages.push_back({each.position, -1, {}});
  }
}

}  // namespace

void Shard::write_dirty(uint64_t checkpoint) {
  CheckpointParts::Part part;
  store::StateBatch& rows = part.rows;
  part.ended = std::exchange(ended_, {});
  for (const SessionId id : part.ended)
    rows.erases.push_back({store::Table::session, record::session_key(id)});
  // In order of their keys: a table takes what comes in order several times as fast.
  std::vector<SessionId> changed = std::exchange(dirty_, {});
  std::ranges::sort(changed);
  written_.reserve(changed.size());
  rows.puts.reserve(2 * changed.size());
  for (size_t at = 0; at < changed.size(); ++at) {
    const SessionId id = changed[at];
    clients_.look_ahead(at, changed.size(), [&](size_t i) { return changed[i]; });
    Client* client = find(id);
    if (!client) continue;  // ended
    session::Session& session = client->session;
    session.inbox.flush([&](uint64_t seq, const session::Entry& entry) {
      rows.puts.push_back({store::Table::inbox, record::inbox_key(id, seq), record::encode_entry(entry)});
      if (!entry.sole) rows.messages.push_back({entry.position, 1, entry.message});
    });
    erase_rows(id, session.inbox.take_erased(), rows);
    rows.puts.push_back({store::Table::session, record::session_key(id), record::encode_session(session)});
    session.dirty = false;
    written_.push_back(id);
  }
  out_.shared.checkpoint_parts->add(checkpoint, std::move(part));
}

void Shard::checkpointed(uint64_t) {
  std::vector<SessionId> ids = std::exchange(written_, {});
  for (const SessionId id : clients_.take_woken()) ids.push_back(id);
  for (const SessionId id : std::exchange(restless_, {})) ids.push_back(id);
  for (size_t at = 0; at < ids.size(); ++at) {
    clients_.look_ahead(at, ids.size(), [&](size_t i) { return ids[i]; });
    if (Client* client = clients_.find_awake(ids[at])) give_back(*client);
  }
}

// What is on disk now need not be in memory.
void Shard::give_back(Client& client) {
  session::Inbox& inbox = client.session.inbox;
  // A connected client keeps what it may soon get, and all that is in flight, however far the answer to the
  // oldest lags behind; a sleeping one keeps nothing.
  size_t keep = 0;
  if (const Connection* connection = client.connection) {
    keep = size_t{2} * out_.limits.inflight_max + 64;
    if (connection->cursor > inbox.first()) keep += connection->cursor - inbox.first();
  }
  inbox.release(keep);
  client.trim();
  const bool here = client.session.connected && !elsewhere(client.session);
  if (client.connection || here || client.session.dirty) return;  // it comes here again
  if (clients_.fall_asleep(client)) return;
  if (client.loading || client.limits_wanted || client.pump_wanted || client.walk_pending || client.work) {
    restless_.push_back(client.session.id);
  }
}

}  // namespace courier::broker
