// The rows of the state store: keys and values. Golden samples beside it; docs/on-disk.md tells the layout.
//
// Keys are big-endian, so that rows of one session lie together and in order of sequence. Every value begins
// with a version byte (kRowFormat). Decoding trusts nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mqtt/packet.h"
#include "record/record.h"
#include "routing/shared_groups.h"
#include "session/session.h"

namespace courier::record {

inline constexpr uint8_t kRowFormat = 1;

// --- keys ---
std::string session_key(SessionId session);
std::string inbox_key(SessionId session, uint64_t seq);
std::string retained_key(std::string_view mountpoint, std::string_view topic);
std::string group_key(GroupId group);
std::string group_inbox_key(GroupId group, uint64_t seq);
Result<SessionId> decode_session_key(std::string_view key);
struct InboxKey {
  SessionId session;
  uint64_t seq = 0;
};
Result<InboxKey> decode_inbox_key(std::string_view key);

// --- session: everything of a session::Session but its messages ---
std::string encode_session(const session::Session& session);
Result<void> decode_session(std::string_view value, session::Session& into);
// Only what few sessions have: where QoS 2 messages are, the will, and the like. Nothing if there is none.
std::string encode_session_extras(const session::Session& session);
Result<void> decode_session_extras(std::string_view extras, session::Session& into);

// --- subscription: the filters of one session ---
struct Subscription {
  std::string filter;
  mqtt::SubscriptionOptions options;
  uint32_t subscription_identifier = 0;
  bool operator==(const Subscription&) const = default;
};
struct Subscriptions {
  std::string mountpoint;
  std::vector<Subscription> filters;
  bool operator==(const Subscriptions&) const = default;
};
std::string encode_subscriptions(const Subscriptions& subscriptions);
Result<Subscriptions> decode_subscriptions(std::string_view value);

// --- inbox: one message owed. A sole entry holds its message, others name it by position ---
std::string encode_entry(const session::Entry& entry);
Result<session::Entry> decode_entry(std::string_view value);

// --- retained ---
struct RetainedRow {
  std::string mountpoint;
  Position position;
  mqtt::MessagePtr message;
};
std::string encode_retained(std::string_view mountpoint, const mqtt::Message& message, Position position);
Result<RetainedRow> decode_retained(std::string_view value);

// --- shared groups: the group without its entries; one entry, which holds its message ---
std::string encode_group(const routing::SharedGroup& group);
Result<routing::SharedGroup> decode_group(std::string_view value);
std::string encode_group_entry(const routing::GroupEntry& entry);
Result<routing::GroupEntry> decode_group_entry(std::string_view value);

// --- of a cluster, among the groups under the key of group 0: the owner of each partition ---
std::string encode_owners(std::span<const NodeEpoch> owners);
Result<std::vector<NodeEpoch>> decode_owners(std::string_view value);

}  // namespace courier::record
