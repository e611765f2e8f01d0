#include "backlog.h"

#include <algorithm>

#include <fmt/format.h>

#include "record/rows.h"
#include "session/session.h"
#include "store/rocksdb/rocks_store.h"

namespace courier::bench {

namespace {

constexpr size_t kBatchBytes = 4 << 20;

using store::Table;

}  // namespace

std::string Backlog::client_id(uint64_t session) {
  return fmt::format("phone-{:07}", session);
}

std::string Backlog::topic(uint64_t session) {
  return fmt::format("merchant/{:07}/orders", session);
}

std::string Backlog::payload(uint64_t number) const {
  std::string text = fmt::format("{{\"order\":{},\"items\":\"", number);
  text.resize(std::max(text.size(), payload_bytes), '.');
  return text;
}

Result<void> Backlog::make(const std::string& data_dir, const std::function<void(uint64_t)>& progress) const {
  auto opened = store::RocksStore::open({.data_dir = data_dir, .log_id = log_id, .file_system = nullptr});
  if (!opened) return fail(std::move(opened).error());
  store::StateStore& state = (*opened)->state();
  const WallMs now = system_clock().wall_ms();
  Position position = state.position();
  store::StateBatch rows;
  size_t bytes = 0;
  const auto put = [&](Table table, std::string key, std::string value) {
    bytes += key.size() + value.size();
    rows.puts.push_back({table, std::move(key), std::move(value)});
  };
  const auto write = [&]() -> Result<void> {
    std::vector<store::StateBatch> parts;
    parts.push_back(std::exchange(rows, {}));
    bytes = 0;
    return state.write(parts, position, cursor, cursor == 0 ? 0 : now);
  };

  for (uint64_t i = 0; i < sessions; ++i) {
    session::Session session;
    session.client_id = client_id(i);
    session.attach = Position(++position.value);
    session.id = record::session_created_at(position, record::session_hash("", session.client_id));
    session.version = mqtt::Version::v5;
    session.expiry_seconds = session::kNeverExpires;
    session.detached_at = now;
    for (uint64_t n = 0; n < messages_of_each(); ++n) {
      auto* message = mqtt::Message::make(topic(i), payload(n));
      message->received_at = now;
      message->qos = mqtt::Qos::at_least_once;
      session::Entry entry;
      entry.message = mqtt::MessagePtr(message);
      entry.position = Position(++position.value);
      entry.qos = mqtt::Qos::at_least_once;
      entry.sole = true;
      session.inbox.push(std::move(entry));
    }
    session.inbox.flush([&](uint64_t seq, const session::Entry& entry) {
      put(Table::inbox, record::inbox_key(session.id, seq), record::encode_entry(entry));
    });
    put(Table::session, record::session_key(session.id), record::encode_session(session));
    put(Table::subscription, record::session_key(session.id),
        record::encode_subscriptions(
            {"", {{filter.empty() ? topic(i) : filter, {.qos = mqtt::Qos::at_least_once}, 0}}}));
    if (bytes < kBatchBytes) continue;
    if (auto written = write(); !written) return written;
    progress(i + 1);
  }
  auto written = write();
  progress(sessions);
  return written;
}

}  // namespace courier::bench
