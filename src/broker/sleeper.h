// A stored session that nothing is done about, packed into as few bytes as it takes: there are millions.
//
// All that its Client says is in one block (DenseBlocks): its session but for what is only in memory while
// something moves, its filters' hashes, its deadline. A Client made of it is, to the bit, the one it was made
// of. The form is of this run only: nothing of it is ever stored.
//
//   class 1 | flags 2 | id 8 | filter 8 | mountpoint | client id | username | attach | detached_at | expiry |
//   sent_before, next, first, count, bytes | deadline | more filters | extras (record/rows.h) | node
//
// From `mountpoint` on numbers are varints, and what the flags say is not there is as it mostly is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "mqtt/protocol.h"

namespace courier::broker {

struct Client;

// What a block says; views into it.
struct Sleeper {
  SessionId id;
  uint64_t filter = 0;      // FilterHashes: the only one, or 0
  uint32_t mountpoint = 0;  // the table's number for it; 0 is the empty one
  std::string_view client_id, username;
  mqtt::Version version{};
  Position attach;
  NodeEpoch node;  // another of the cluster, to which it is connected; 0: to none
  WallMs detached_at = 0;
  uint32_t expiry_seconds = 0;
  uint32_t subscription_count = 0;
  uint64_t sent_before = 0, first = 0, next = 0, count = 0, bytes = 0;
  WallMs deadline = 0;
  std::string_view more_filters;  // eight bytes each
  std::string_view extras;

  static Sleeper read(const std::byte* block);
  static SessionId id_of(const std::byte* block);
  // Only what a lookup by name compares.
  static Sleeper read_name(const std::byte* block);
  // Of a session that has none.
  static void set_filter(std::byte* block, uint64_t hash);
};

// Whether nothing is done about it, so that a Sleeper says all there is.
bool may_sleep(const Client& client);
// Replaces `block`, of which the first byte means nothing yet.
void pack(const Client& client, uint32_t mountpoint, std::string& block);
// Into one that was just made; its mountpoint is set by whoever knows the number.
void unpack(const Sleeper& sleeper, Client& into);

}  // namespace courier::broker
