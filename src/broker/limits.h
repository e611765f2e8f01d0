// Every limit of the node, as plain values, freely copied: each shard has its own, and gets others by mail
// (Node::use()); apps/courierd fills it from the configuration, where each is
// documented (docs/operations/configuration.md).
#pragma once

#include <algorithm>
#include <cstdint>

#include "record/record.h"

namespace courier::broker {

enum class InboxPolicy : uint8_t {
  drop_oldest,  // the oldest message not yet sent makes room; a DROPPED record says so
  refuse,  // a 5.0 publisher gets 0x97; what comes all the same stays up to twice the limit, then as above
};

struct Limits {
  uint32_t client_id_bytes_max = 1024;
  uint32_t topic_levels_max = 32;
  uint32_t topic_bytes_max = 4096;
  uint32_t packet_bytes_max = 1024 * 1024;
  uint16_t inflight_max = 100;     // QoS ≥ 1 messages on their way to one client, whatever it allows
  uint16_t receive_maximum = 100;  // QoS ≥ 1 messages that one client may have on their way to us
  uint16_t topic_alias_max = 32;   // each way
  uint32_t inbox_messages_max = 10'000;
  uint64_t inbox_bytes_max = 64 * 1024 * 1024;
  InboxPolicy inbox_policy = InboxPolicy::drop_oldest;
  uint32_t shared_inbox_messages_max = 100'000;
  uint64_t shared_inbox_bytes_max = 128 * 1024 * 1024;
  uint32_t subscriptions_per_client_max = 1'000;
  uint32_t retained_messages_max = 1'000'000;
  uint64_t retained_bytes_max = 256 * 1024 * 1024;
  uint64_t output_bytes_max = 1024 * 1024;  // written to one client and not taken by its socket
  // Appended by one shard and not back from the log; and once more, back and not worked off by one shard.
  uint64_t uncommitted_bytes_max = 4 * 1024 * 1024;
  uint32_t session_expiry_seconds_max = record::kNeverExpires;
  uint32_t keep_alive_seconds_max = 0;    // 0: the client's own; else what a 5.0 client is told
  uint32_t reconnect_grace_seconds = 30;  // after a start no session expires sooner
  uint64_t memory_bytes_max = 0;          // 0: no ceiling
  // A session belongs to the user name that made it; nobody else gets it by its client id.
  bool sessions_have_owners = true;
  uint32_t ack_linger_ms = 50;  // how long an ACKED may wait for others
};

// What a CONNACK tells its client. It may count on that for as long as it is connected, whatever the limits
// are by then; other limits hold for what comes from now on.
struct Promise {
  uint16_t receive_maximum = 0;
  uint16_t topic_alias_max = 0;
  uint32_t packet_bytes_max = 0;
  bool operator==(const Promise&) const = default;
};
inline Promise promise_of(const Limits& limits) {
  return {limits.receive_maximum, limits.topic_alias_max, limits.packet_bytes_max};
}

// From where on messages go. With the policy `refuse` it takes more than a full inbox: what was acknowledged
// before publishers could know of it stays, and that is bounded by what they may have on their way.
struct InboxBounds {
  uint64_t messages = 0, bytes = 0;
};
inline InboxBounds inbox_bounds(const Limits& limits, uint64_t messages_max, uint64_t bytes_max) {
  if (limits.inbox_policy != InboxPolicy::refuse) return {messages_max, bytes_max};
  return {messages_max + std::max(messages_max, uint64_t{10} * limits.receive_maximum), 2 * bytes_max};
}

}  // namespace courier::broker
