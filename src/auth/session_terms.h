// What an authenticator grants a client beyond its identity: bounds for its session, and what it may do at
// all. Whatever is absent stays as the listener has it. Plain values.
#pragma once

#include <cstdint>
#include <optional>

namespace courier::auth {

struct SessionTerms {
  std::optional<bool> clean_start;                 // instead of the CONNECT's
  std::optional<uint32_t> session_expiry_seconds;  // 0xFFFFFFFF: never
  std::optional<uint32_t> connection_seconds_max;  // then it is disconnected; 0: no bound
  std::optional<uint32_t> message_bytes_max;       // of what it publishes; 0: no bound
  std::optional<uint32_t> messages_per_second_max;
  std::optional<uint32_t> inflight_messages_max;  // to it, at most
  std::optional<uint32_t> queued_messages_max;    // for it while it is away
  bool may_publish = true, may_subscribe = true, may_unsubscribe = true;
  // Its rules (Decision::grants) decide about what it publishes and subscribes: hooks need not be asked.
  bool rules_decide = false;

  bool operator==(const SessionTerms&) const = default;
};

}  // namespace courier::auth
