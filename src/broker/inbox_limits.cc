// Inboxes and their bounds: reading what is on disk only, making room, giving up what expired.
#include <algorithm>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "record/rows.h"
#include "store/errc.h"

namespace courier::broker {

namespace {

// Rows that one read brings into memory: so many for a client that is connected; where more than that has to
// go, up to the second, and no more after so many bytes.
constexpr size_t kRowsPerLoad = 256, kRowsPerLoadMax = 4096, kBytesPerLoad = 4 * 1024 * 1024;
// Messages that one DROPPED or EXPIRED names.
constexpr size_t kMessagesPerRecord = 4096;

log::Limit drops{{.per_second = 10}};
log::Limit damage{{.per_second = 1}};

bool is_damage(const Error& error) {
  return error.code == store::make_error_code(store::errc::damaged);
}

// Gives rows the messages that others name too. Those whose message is damaged become unreadable.
Result<void> read_shared(const store::StateStore& store, std::vector<session::Inbox::Loaded>& rows,
                         std::vector<LoadedMail::Unreadable>& unreadable) {
  std::vector<Position> positions;
  for (const auto& row : rows) {
    if (!row.entry.message) positions.push_back(row.entry.position);
  }
  if (positions.empty()) return {};
  if (auto messages = store.load_messages(positions)) {
    size_t next = 0;
    for (auto& row : rows) {
      if (!row.entry.message) row.entry.message = (*messages)[next++];
    }
    return {};
  } else if (!is_damage(messages.error())) {
    return fail(std::move(messages.error()));
  }
  // One by one, to tell which.
  for (auto& row : rows) {
    if (row.entry.message) continue;
    auto message = store.load_messages({row.entry.position});
    if (message) {
      row.entry.message = message->front();
    } else if (is_damage(message.error())) {
      unreadable.push_back({row.seq, row.entry.position, row.entry.origin(), message.error().message});
    } else {
      return fail(std::move(message.error()));
    }
  }
  std::erase_if(rows, [](const auto& row) { return !row.entry.message; });
  return {};
}

// On a worker.
LoadedMail read_rows(const store::StateStore& store, SessionId session, uint64_t from, uint64_t to,
                     size_t rows_max) {
  LoadedMail mail{session, from, to, {}};
  std::vector<session::Inbox::Loaded> rows;
  std::optional<Error> bad;
  size_t bytes = 0;
  const auto scanned =
      store.scan(store::Table::inbox, record::inbox_key(session, from), record::inbox_key(session, to),
                 [&](std::string_view key, std::string_view value) {
                   const auto decoded_key = record::decode_inbox_key(key);
                   auto entry = record::decode_entry(value);
                   if (!decoded_key) {
                     bad = Error{store::make_error_code(store::errc::damaged), decoded_key.error().message};
                     return false;
                   }
                   const size_t count = rows.size() + mail.unreadable.size();
                   if (count >= rows_max || (bytes > kBytesPerLoad && count >= kRowsPerLoad)) {
                     mail.upto = decoded_key->seq;
                     return false;
                   }
                   if (!entry) {
                     mail.unreadable.push_back({decoded_key->seq, {}, {}, entry.error().message});
                     return true;
                   }
                   bytes += value.size();
                   rows.push_back({decoded_key->seq, std::move(*entry)});
                   return true;
                 });
  if (!scanned) bad = scanned.error();
  if (bad) {
    mail.rows = fail(std::move(*bad));
    return mail;
  }
  if (auto shared = read_shared(store, rows, mail.unreadable); !shared) {
    mail.rows = fail(std::move(shared.error()));
    return mail;
  }
  mail.rows = std::move(rows);
  return mail;
}

}  // namespace

record::InboxRef Shard::ref_of(uint64_t seq, const session::Entry& entry) const {
  const session::GroupOrigin origin = entry.origin();
  return {seq,
          entry.position,
          static_cast<uint32_t>(entry.message->cost()),
          entry.sole,
          routing::GroupId(origin.group),
          origin.seq};
}

// An ephemeral session's inbox is of this run only: no record is waited for.
void Shard::finish_ephemeral(Client& client, const record::InboxRef& ref) {
  const QueueCount count(metrics_, client.session.inbox);
  client.session.inbox.finish({ref.seq, ref.position, ref.bytes, ref.sole});
}

void Shard::leaves(Client& client, const record::InboxRef& ref) {
  Client::Work& work = client.work.make();
  ++work.leaving;
  work.leaving_bytes += ref.bytes;
}

void Shard::load(Client& client) {
  if (client.loading) return;
  client.loading = true;
  const SessionId id = client.session.id;
  const uint64_t from = client.session.inbox.gap_begin(), to = client.session.inbox.gap_end();
  const uint64_t stay = bounds(client).messages, count = fill(client).messages;
  const size_t rows = std::clamp<uint64_t>(count - std::min(count, stay), kRowsPerLoad, kRowsPerLoadMax);
  out_.post.run_on_worker([&store = out_.store, &post = out_.post, shard = index_, id, from, to, rows] {
    post.post(shard, read_rows(store, id, from, to, rows));
  });
}

void Shard::loaded(LoadedMail& mail) {
  Client* client = find(mail.session);
  if (!client) return;
  client->loading = false;
  session::Inbox& inbox = client->session.inbox;
  // Settled meanwhile, or about to be.
  std::erase_if(mail.unreadable, [&](const LoadedMail::Unreadable& row) {
    return row.seq < inbox.gap_begin() || row.seq >= inbox.gap_end() || inbox.settled_in_gap(row.seq);
  });
  if (!mail.rows || !mail.unreadable.empty()) {
    cannot_read(*client, mail);
    return;
  }
  client->gap_damaged = false;
  if (!client->connection && !over_limits(*client)) return;  // nobody waits for it any more
  // What was read may lie elsewhere by now: entries settled, or more of them released to disk.
  if (inbox.has_gap() && mail.from <= inbox.gap_begin() && mail.upto > inbox.gap_begin() &&
      mail.upto <= inbox.gap_end()) {
    inbox.absorb(std::move(*mail.rows), mail.upto);
  }
  want_limits(*client);
  want_pump(*client);
}

// What cannot be read cannot be delivered either. While there is room it stays where it is, for whoever can
// mend the store; past its limits the inbox gives it up before anything else.
void Shard::cannot_read(Client& client, LoadedMail& mail) {
  metrics_.inbox_read_failures.add();
  const std::string why = mail.rows ? mail.unreadable.front().why : mail.rows.error().message;
  const bool evicts = over_limits(client) && may_give_up(client);
  if (evicts && mail.rows) {
    for (const LoadedMail::Unreadable& row : mail.unreadable) give_up_unread(client, row);
    return;  // what could be read is read again once that is back
  }
  log::error(damage, "cannot read a session's messages from the store; its connection is closed",
             {{"client_id", client.session.client_id}, {"error", why}});
  if (client.connection) {
    disconnect(*client.connection, EndCause::administrative, mqtt::ReasonCode::implementation_specific_error,
               "stored messages cannot be read");
  }
  if (!mail.rows && is_damage(mail.rows.error())) {
    // Not even which messages these are: what came after them makes room.
    client.gap_damaged = true;
    if (Client* still = find(mail.session); still && evicts) want_limits(*still);
  }
}

// The ref joins the last record if that says the same of the same session.
template <typename Record>
void Shard::add(std::vector<GivenUp<Record>>& records, Record of, const record::InboxRef& ref,
                std::optional<record::Event> told) {
  const bool another = records.empty() || records.back().record.session != of.session ||
                       records.back().record.since != of.since ||
                       records.back().record.messages.size() == kMessagesPerRecord;
  const auto reason = [](const Record& record) {
    if constexpr (requires { record.reason; }) return record.reason;
    return record::DropReason{};
  };
  if (another || reason(records.back().record) != reason(of)) records.push_back({std::move(of), {}});
  records.back().record.messages.push_back(ref);
  if (told) records.back().told.push_back(std::move(*told));
}

void Shard::give_up_unread(Client& client, const LoadedMail::Unreadable& row) {
  std::vector<uint64_t>& on_their_way = unread_[client.session.id];
  if (std::ranges::find(on_their_way, row.seq) != on_their_way.end()) return;
  on_their_way.push_back(row.seq);
  const session::Inbox& inbox = client.session.inbox;
  log::error(damage, "a stored message is damaged and its inbox is full: it is given up unread",
             {{"client_id", client.session.client_id}, {"sequence", row.seq}, {"error", row.why}});
  metrics_.dropped.unreadable[auth::acl::kNoLabel].add();
  if (client.connection) ++client.connection->dropped;
  // Its size is an estimate. A message that others name too is not touched by it.
  const record::InboxRef ref{row.seq,
                             row.position,
                             static_cast<uint32_t>(inbox.bytes() / std::max<uint64_t>(inbox.count(), 1)),
                             true,
                             routing::GroupId(row.origin.group),
                             row.origin.seq};
  const record::DropReason reason = crowded_by(client);
  leaves(client, ref);
  add(dropped_, {client.session.id, {}, reason, since(client.session), {}}, ref, {});
}

// A DROPPED is back: if it was about these, the inbox is read on.
void Shard::gave_up_unread(const record::Dropped& dropped) {
  const auto found = unread_.find(dropped.session);
  if (found == unread_.end()) return;
  for (const record::InboxRef& ref : dropped.messages) std::erase(found->second, ref.seq);
  if (!found->second.empty()) return;
  unread_.erase(found);
  Client* client = find(dropped.session);
  if (!client) return;
  want_limits(*client);
  want_pump(*client);
}

// What is to stay of an inbox, once all that was decided is back.
Shard::Fill Shard::fill(const Client& client) {
  const session::Inbox& inbox = client.session.inbox;
  return {inbox.count() - std::min(inbox.count(), client.work->leaving),
          inbox.bytes() - std::min(inbox.bytes(), client.work->leaving_bytes)};
}

// For the policy `refuse`: whether one more message would be too many. Each node asks for itself, for its own
// publishers, whoever acts for the session.
void Shard::note_fullness(Client& client) {
  const auto [count, bytes] = fill(client);
  const bool full = count >= inbox_messages_max(client) || bytes >= out_.limits.inbox_bytes_max;
  if (full || out_.shared.full_inboxes.any()) out_.shared.full_inboxes.set(client.session.id, full);
}

uint32_t Shard::inbox_messages_max(const Client& client) const {
  const uint32_t own = client.session.inbox_messages_max, most = out_.limits.inbox_messages_max;
  return own == 0 ? most : std::min(own, most);
}

InboxBounds Shard::bounds(const Client& client) const {
  return inbox_bounds(out_.limits, inbox_messages_max(client), out_.limits.inbox_bytes_max);
}

bool Shard::over_limits(const Client& client) const {
  const auto [messages, bytes] = fill(client);
  return messages > bounds(client).messages || bytes > bounds(client).bytes;
}

// Why one of its messages goes, while it is over its limits.
record::DropReason Shard::crowded_by(const Client& client) const {
  return fill(client).messages > bounds(client).messages ? record::DropReason::inbox_full_messages
                                                         : record::DropReason::inbox_full_bytes;
}

// Once a Turn, before anything is sent: what a flood brings is given up by one record.
void Shard::want_limits(Client& client) {
  if (client.limits_wanted) return;
  client.limits_wanted = true;
  limits_list_.push_back(client.session.id);
}

void Shard::enforce_wanted_limits() {
  for (size_t i = 0; i < limits_list_.size(); ++i) {  // more may be wanted meanwhile
    Client* client = find(limits_list_[i]);
    if (!client) continue;
    client->limits_wanted = false;
    enforce_limits(*client);
  }
  limits_list_.clear();
}

void Shard::enforce_limits(Client& client) {
  session::Inbox& inbox = client.session.inbox;
  if (out_.limits.inbox_policy == InboxPolicy::refuse) note_fullness(client);
  if (!over_limits(client) || !may_give_up(client)) return;
  uint64_t seq = std::max(inbox.first(), client.work->evict_cursor);
  if (client.connection) seq = std::max(seq, client.connection->cursor);
  for (; seq < inbox.next() && over_limits(client); ++seq) {
    if (seq >= inbox.gap_begin() && seq < inbox.gap_end()) {
      if (client.gap_damaged) {
        seq = inbox.gap_end() - 1;
        continue;
      }
      load(client);
      break;
    }
    session::Entry* entry = inbox.find(seq);
    if (!entry || entry->transmitted || entry->acked || entry->leaving || entry->step_pending ||
        entry->step != session::Step::queued) {
      continue;
    }
    drop(client, seq, *entry, crowded_by(client));
  }
  client.work.make().evict_cursor = seq;
}

ByLabel<Counter>& Shard::drop_counter(record::DropReason reason) {
  switch (reason) {
    case record::DropReason::packet_too_large:
      return metrics_.dropped.too_large;
    case record::DropReason::administrative:
      return metrics_.dropped.not_allowed;
    case record::DropReason::inbox_full_messages:
    case record::DropReason::inbox_full_bytes:
    case record::DropReason::group_full:
      break;
  }
  return metrics_.dropped.inbox_full;
}

void Shard::drop(Client& client, uint64_t seq, session::Entry& entry, record::DropReason reason) {
  drop_counter(reason)[entry.message->label].add();
  if (client.connection) ++client.connection->dropped;
  log::info(drops, "message dropped",
            {{"client_id", client.session.client_id},
             {"topic", entry.message->topic},
             {"reason", record::name(reason)}});
  const record::InboxRef ref = ref_of(seq, entry);
  std::optional<record::Event> told = tell_drop(client, entry, record::name(reason));
  entry.leaving = true;
  if (client.session.id.ephemeral()) {
    finish_ephemeral(client, ref);
    if (!ref.group) return;
  } else {
    leaves(client, ref);
  }
  add(dropped_, {client.session.id, {}, reason, since(client.session), {}}, ref, std::move(told));
}

void Shard::expire(Client& client, uint64_t seq, session::Entry& entry) {
  metrics_.dropped.expired[entry.message->label].add();
  const record::InboxRef ref = ref_of(seq, entry);
  std::optional<record::Event> told = tell_drop(client, entry, "expired");
  entry.leaving = true;
  if (client.session.id.ephemeral()) {
    finish_ephemeral(client, ref);
    if (!ref.group) return;
  } else {
    leaves(client, ref);
  }
  add(expired_, {client.session.id, {}, since(client.session), {}}, ref, std::move(told));
}

}  // namespace courier::broker
