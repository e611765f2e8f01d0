#include "load/ledger.h"

#include <algorithm>
#include <utility>

namespace courier::load {

namespace {

constexpr uint64_t mixed(uint64_t a, uint64_t b) {
  a ^= b * 0x9E3779B97F4A7C15ull;
  a ^= a >> 32;
  return a * 0xD6E8FEB86659FD93ull;
}

}  // namespace

size_t Ledger::Hash::operator()(const StreamKey& key) const {
  return mixed(mixed(key.receiver, key.publisher), key.stream ^ uint64_t{key.copy} << 32);
}
size_t Ledger::Hash::operator()(const MessageKey& key) const {
  return mixed((*this)(key.stream), key.sequence);
}

void Ledger::subscribed(uint32_t receiver, int64_t now_us) {
  Receiver& r = receivers_[receiver];
  if (!r.connected) {
    r.connected = true;
    r.connected_at_us = now_us;
  }
  // What a stored session is owed stays owed, also when the server has lost the session: that is what the
  // count of lost messages is for.
  if (r.owed_since_us == INT64_MAX) r.owed_since_us = now_us;
}

void Ledger::gone(uint32_t receiver) {
  Receiver& r = receivers_[receiver];
  if (!r.connected) return;
  r.connected = false;
  if (!r.terms.stored) r.owed_since_us = INT64_MAX;
  happened(r, member_leaves);
  happened(r, connection_ends);
}

void Ledger::member_left(uint32_t receiver, int64_t now_us) {
  Receiver& r = receivers_[receiver];
  r.member_left_us = now_us;
  happened(r, member_leaves);
}

void Ledger::session_ended(uint32_t receiver) {
  Receiver& r = receivers_[receiver];
  r.owed_since_us = INT64_MAX;
  happened(r, session_ends);
}

void Ledger::happened(Receiver& r, Until what) {
  awaited_ -= std::exchange(r.awaited[what], 0);
  ++r.instance[what];
}

bool Ledger::Stream::has(uint32_t sequence) const {
  if (sequence > highest) return false;
  const uint32_t behind = highest - sequence;
  return behind == 0 || (behind <= 64 && (below >> (behind - 1) & 1) != 0);
}

void Ledger::Stream::add(uint32_t sequence) {
  if (sequence > highest) {
    const uint32_t ahead = sequence - highest;
    if (highest == 0 || ahead > 64) {
      below = 0;
    } else {
      below = (ahead == 64 ? 0 : below << ahead) | uint64_t{1} << (ahead - 1);
    }
    highest = sequence;
  } else if (const uint32_t behind = highest - sequence; behind >= 1 && behind <= 64) {
    below |= uint64_t{1} << (behind - 1);
  }
}

Ledger::Promise Ledger::promise(uint32_t receiver, const MessageId& id, mqtt::Qos qos, int64_t sent_us) {
  Receiver& r = receivers_[receiver];
  const MessageKey key{{receiver, id.publisher, id.stream}, id.sequence};
  if (const auto early = messages_.find(key); early != messages_.end()) {
    const bool arrived = early->second.early;
    if (arrived) messages_.erase(early);
    return arrived ? Promise::kept : Promise::owed;
  }
  Until until = session_ends;
  if (qos == mqtt::Qos::at_most_once || (qos == mqtt::Qos::exactly_once && r.terms.members_end)) {
    until = member_leaves;
  } else if (!r.terms.stored) {
    until = connection_ends;
  }
  const bool there = until == session_ends
                         ? sent_us >= r.owed_since_us
                         : r.connected && sent_us >= r.connected_at_us && sent_us >= r.owed_since_us;
  // A promise is made some time after sending; whoever has left since may have had the message. So may one
  // that had left before, and the server had not heard.
  if (!there || (until == member_leaves && sent_us <= r.member_left_us + r.terms.lingers_us))
    return Promise::not_owed;
  // Beyond the window of what is remembered, an arrival that came first was forgotten with it; it is not
  // lost.
  if (has_arrived(receiver, id)) return Promise::kept;
  messages_.emplace(
      key, Message{.at_us = sent_us, .due_us = id.due_us, .until = until, .instance = r.instance[until]});
  ++r.awaited[until];
  ++awaited_;
  return Promise::owed;
}

bool Ledger::has_arrived(uint32_t receiver, const MessageId& id) const {
  const auto stream = streams_.find({receiver, id.publisher, id.stream});
  return stream != streams_.end() && stream->second.has(id.sequence);
}

Ledger::Arrival Ledger::arrived(uint32_t receiver, const MessageId& id, int64_t now_us, uint32_t copies) {
  Receiver& r = receivers_[receiver];
  const MessageKey key{{receiver, id.publisher, id.stream}, id.sequence};
  Stream& stream = streams_[key.stream];
  auto known = messages_.find(key);
  Arrival arrival;
  if (known != messages_.end() && is_void(r, known->second)) {
    messages_.erase(known);
    known = messages_.end();
    arrival.excused = true;
  }
  const bool awaited = known != messages_.end() && !known->second.early;
  if (id.sequence <= stream.highest) {
    const bool seen = stream.highest - id.sequence <= 64 ? stream.has(id.sequence) : !awaited;
    arrival.duplicate = seen;
    arrival.out_of_order = !seen && r.terms.ordered;
  }
  stream.add(id.sequence);
  if (arrival.duplicate) {
    for (uint32_t copy = 1; copy < copies && !arrival.copy; ++copy) {
      Stream& further = streams_[{receiver, id.publisher, id.stream, copy}];
      arrival.copy = !further.has(id.sequence);
      if (arrival.copy) further.add(id.sequence);
    }
    arrival.duplicate = !arrival.copy;
    return arrival;
  }
  if (awaited) {
    arrival.kept = true;
    --r.awaited[known->second.until];
    messages_.erase(known);
    --awaited_;
  } else if (known == messages_.end()) {
    messages_.emplace(key, Message{.at_us = now_us, .due_us = id.due_us, .early = true});
  }
  return arrival;
}

void Ledger::count(std::vector<uint32_t>& counts, std::span<const int64_t> began_us, int64_t due_us) {
  const auto after = std::upper_bound(began_us.begin(), began_us.end(), due_us);
  if (after != began_us.begin()) ++counts[static_cast<size_t>(after - began_us.begin()) - 1];
}

std::vector<uint32_t> Ledger::overdue(int64_t promised_before_us, std::span<const int64_t> began_us) const {
  std::vector<uint32_t> counts(began_us.size());
  for (const auto& [key, message] : messages_) {
    if (message.early || message.at_us >= promised_before_us) continue;
    const Receiver& r = receivers_[key.stream.receiver];
    if (is_void(r, message)) continue;
    if (r.connected && r.connected_at_us < promised_before_us) count(counts, began_us, message.due_us);
  }
  return counts;
}

size_t Ledger::awaited_by_absent() const {
  size_t count = 0;
  for (const auto& [key, message] : messages_) {
    const Receiver& r = receivers_[key.stream.receiver];
    if (!message.early && !r.connected && !is_void(r, message)) ++count;
  }
  return count;
}

std::vector<uint32_t> Ledger::awaited_by_present(std::span<const int64_t> began_us) const {
  std::vector<uint32_t> counts(began_us.size());
  for (const auto& [key, message] : messages_) {
    const Receiver& r = receivers_[key.stream.receiver];
    if (message.early || !r.connected || is_void(r, message)) continue;
    count(counts, began_us, message.due_us);
  }
  return counts;
}

std::vector<int64_t> Ledger::tidy(int64_t arrived_before_us) {
  std::vector<int64_t> excused;
  erase_if(messages_, [&](const auto& entry) {
    const auto& [key, message] = entry;
    if (message.early) return message.at_us < arrived_before_us;
    if (!is_void(receivers_[key.stream.receiver], message)) return false;
    excused.push_back(message.due_us);
    return true;
  });
  return excused;
}

std::vector<Ledger::Missing> Ledger::missing(size_t count) const {
  std::vector<Missing> out;
  for (const auto& [key, message] : messages_) {
    if (out.size() == count) break;
    const Receiver& r = receivers_[key.stream.receiver];
    if (message.early || !r.connected || is_void(r, message)) continue;
    out.push_back({key.stream.receiver,
                   {0, key.stream.publisher, key.stream.stream, key.sequence, message.due_us},
                   message.at_us});
  }
  return out;
}

}  // namespace courier::load
