#include "import/census.h"

#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <fmt/core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "record/codec.h"
#include "record/rows.h"

namespace courier::courierd {

namespace {

using store::Table;

constexpr Table kTables[] = {Table::session, Table::subscription, Table::inbox, Table::retained,
                             Table::group,   Table::group_inbox,  Table::event};
constexpr const char* kTableNames[] = {"sessions",
                                       "subscriptions",
                                       "inboxes",
                                       "retained messages",
                                       "shared groups",
                                       "messages of shared groups",
                                       "events that wait for sinks",
                                       "messages that several inboxes share"};
static_assert(std::size(kTables) == store::kTableCount && std::size(kTableNames) == store::kTableCount + 1);

class Digest {
 public:
  Digest() { XXH3_128bits_reset(&state_); }
  void add(std::string_view bytes) {
    const uint64_t size = bytes.size();
    XXH3_128bits_update(&state_, &size, sizeof size);
    XXH3_128bits_update(&state_, bytes.data(), bytes.size());
  }
  void add(uint64_t number) { XXH3_128bits_update(&state_, &number, sizeof number); }
  std::string text() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  XXH3_state_t state_;
};

// What a checkpoint changes in one table: range erases go first, then erases, then puts.
class TableChanges {
 public:
  TableChanges(Table table, const std::vector<store::StateBatch>& parts) {
    for (const store::StateBatch& part : parts) {
      for (const auto& range : part.range_erases) {
        if (range.table == table) ranges_.emplace(range.from, range.to);
      }
      for (const auto& erase : part.erases) {
        if (erase.table == table) rows_[erase.key] = std::nullopt;
      }
    }
    for (const store::StateBatch& part : parts) {
      for (const auto& put : part.puts) {
        if (put.table == table) rows_[put.key] = put.value;
      }
    }
    // So that the one before a key is the only one that it may lie in.
    for (auto range = ranges_.begin(); range != ranges_.end();) {
      const auto next = std::next(range);
      if (next == ranges_.end() || next->first > range->second) {
        range = next;
        continue;
      }
      range->second = std::max(range->second, next->second);
      ranges_.erase(next);
    }
  }
  bool erased(std::string_view key) const {
    auto range = ranges_.upper_bound(key);
    return range != ranges_.begin() && key < (--range)->second;
  }
  const std::map<std::string, std::optional<std::string_view>, std::less<>>& rows() const { return rows_; }

 private:
  std::map<std::string, std::string, std::less<>> ranges_;  // from, to
  std::map<std::string, std::optional<std::string_view>, std::less<>> rows_;
};

using Row = std::function<Result<void>(std::string_view key, std::string_view value)>;

// The rows of a table with the changes over them, in order.
Result<void> scan(const store::Inspection& store, Table table, const std::vector<store::StateBatch>& changes,
                  const Row& row) {
  const TableChanges over(table, changes);
  auto next = over.rows().begin();
  Result<void> done;
  const auto give_changed_before = [&](std::optional<std::string_view> key) {
    for (; done && next != over.rows().end() && (!key || next->first < *key); ++next) {
      if (next->second) done = row(next->first, *next->second);
    }
  };
  const auto scanned = store.scan(table, "", "", [&](std::string_view key, std::string_view value) {
    give_changed_before(key);
    const bool changed = next != over.rows().end() && next->first == key;  // comes with the next
    if (done && !changed && !over.erased(key)) done = row(key, value);
    return done.has_value();
  });
  if (!scanned) return scanned;
  give_changed_before(std::nullopt);
  return done;
}

class Count {
 public:
  Result<void> session(std::string_view key, std::string_view value) {
    const auto id = record::decode_session_key(key);
    if (!id) return fail(id.error());
    session::Session session;
    session.id = *id;
    if (const auto decoded = record::decode_session(value, session); !decoded) return decoded;
    ++census_.sessions;
    census_.wills += session.will != nullptr;
    census_.unreleased += session.taken.size();
    census_.queued_bytes += session.inbox.bytes();
    if (session.inbox.count() > 0 && session.sent_before > session.inbox.first())
      sent_before_[*id] = session.sent_before;
    return {};
  }
  Result<void> subscription(std::string_view, std::string_view value) {
    const auto row = record::decode_subscriptions(value);
    if (!row) return fail(row.error());
    census_.subscriptions += row->filters.size();
    return {};
  }
  Result<void> inbox(std::string_view key, std::string_view value) {
    const auto at = record::decode_inbox_key(key);
    if (!at) return fail(at.error());
    const auto entry = record::decode_entry(value);
    if (!entry) return fail(entry.error());
    ++(entry->qos == mqtt::Qos::exactly_once ? census_.queued_qos2 : census_.queued_qos1);
    const auto sent = sent_before_.find(at->session);
    census_.under_way += sent != sent_before_.end() && at->seq < sent->second;
    return {};
  }
  Result<void> retained(std::string_view, std::string_view value) {
    const auto row = record::decode_retained(value);
    if (!row) return fail(row.error());
    ++census_.retained;
    census_.retained_bytes += row->message->cost();
    return {};
  }
  Result<void> group(std::string_view key, std::string_view value) {
    if (key == record::group_key({})) return {};  // of a cluster: the owners of partitions
    const auto group = record::decode_group(value);
    if (!group) return fail(group.error());
    ++census_.groups;
    census_.group_members += group->members.size();
    return {};
  }
  Result<void> group_inbox(std::string_view, std::string_view value) {
    const auto entry = record::decode_group_entry(value);
    if (!entry) return fail(entry.error());
    const bool qos2 = entry->message->qos == mqtt::Qos::exactly_once;
    ++(qos2 ? census_.group_queued_qos2 : census_.group_queued_qos1);
    census_.group_queued_bytes += entry->message->cost();
    return {};
  }
  Result<void> row(Table table, std::string_view key, std::string_view value) {
    switch (table) {
      case Table::session:
        return session(key, value);
      case Table::subscription:
        return subscription(key, value);
      case Table::inbox:
        return inbox(key, value);
      case Table::retained:
        return retained(key, value);
      case Table::group:
        return group(key, value);
      case Table::group_inbox:
        return group_inbox(key, value);
      case Table::event:
        return {};  // that none is missing is seen by its digest
    }
    return {};
  }

  Census& census() { return census_; }

 private:
  Census census_;
  std::unordered_map<SessionId, uint64_t> sent_before_;  // of sessions that have a message below
};

// Position, count and size of each message that is named at all.
Result<std::string> digest_of_messages(const store::Inspection& store,
                                       const std::vector<store::StateBatch>& changes) {
  struct Change {
    int64_t delta = 0;
    size_t bytes = 0;
  };
  std::map<Position, Change> over;
  for (const store::StateBatch& part : changes) {
    for (const auto& references : part.messages) {
      Change& change = over[references.position];
      change.delta += references.delta;
      if (!references.message || change.bytes != 0) continue;
      std::string encoded;
      record::encode_message(encoded, *references.message);
      change.bytes = encoded.size();
    }
  }
  Digest digest;
  const auto add = [&](Position position, int64_t count, size_t bytes) {
    if (count == 0) return;
    digest.add(position.value);
    digest.add(static_cast<uint64_t>(count));
    digest.add(bytes);
  };
  auto next = over.begin();
  const auto scanned = store.scan_messages([&](const store::Inspection::SharedMessage& message) {
    for (; next != over.end() && next->first < message.position; ++next)
      add(next->first, next->second.delta, next->second.bytes);
    const bool changed = next != over.end() && next->first == message.position;
    add(message.position, message.count + (changed ? next->second.delta : 0), message.bytes);
    if (changed) ++next;
    return true;
  });
  if (!scanned) return fail(scanned.error());
  for (; next != over.end(); ++next) add(next->first, next->second.delta, next->second.bytes);
  return digest.text();
}

}  // namespace

Result<Census> census_of(const store::Inspection& store, const std::vector<store::StateBatch>& changes) {
  Count count;
  for (size_t i = 0; i < std::size(kTables); ++i) {
    Digest digest;
    const auto scanned = scan(store, kTables[i], changes, [&](std::string_view key, std::string_view value) {
      digest.add(key);
      digest.add(value);
      return count.row(kTables[i], key, value);
    });
    if (!scanned) return fail(scanned.error().within(fmt::format("the table of {}", kTableNames[i])));
    count.census().digests[i] = digest.text();
  }
  auto messages = digest_of_messages(store, changes);
  if (!messages) return fail(messages.error());
  count.census().digests.back() = *std::move(messages);
  return count.census();
}

std::string difference(const Census& one, const Census& other) {
  for (size_t i = 0; i < one.digests.size(); ++i) {
    if (one.digests[i] != other.digests[i]) return fmt::format("the table of {}", kTableNames[i]);
  }
  return one == other ? "" : "the counts";
}

std::string digest_of(const Census& census) {
  Digest all;
  for (const std::string& digest : census.digests) all.add(digest);
  return all.text();
}

std::string side_by_side(const Census& source, const Census& result) {
  std::string text = fmt::format("{:<34}{:>14}{:>14}\n", "", "SOURCE", "CLUSTER");
  const auto line = [&](const char* what, uint64_t Census::*count) {
    text += fmt::format("{:<34}{:>14}{:>14}\n", what, source.*count, result.*count);
  };
  line("sessions", &Census::sessions);
  line("  with a will that waits", &Census::wills);
  line("  QoS 2 ids not yet released", &Census::unreleased);
  line("subscriptions", &Census::subscriptions);
  line("queued for sessions, QoS 1", &Census::queued_qos1);
  line("queued for sessions, QoS 2", &Census::queued_qos2);
  line("  of both, perhaps sent before", &Census::under_way);
  line("  bytes", &Census::queued_bytes);
  line("shared groups", &Census::groups);
  line("  members", &Census::group_members);
  line("messages of shared groups, QoS 1", &Census::group_queued_qos1);
  line("messages of shared groups, QoS 2", &Census::group_queued_qos2);
  line("  bytes", &Census::group_queued_bytes);
  line("retained messages", &Census::retained);
  line("  bytes", &Census::retained_bytes);
  return text;
}

}  // namespace courier::courierd
