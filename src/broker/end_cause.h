// Why a connection ended; the `reason` of the log line and of courier_disconnects_total.
#pragma once

#include <cstdint>
#include <string_view>

namespace courier::broker {

enum class EndCause : uint8_t {
  client_disconnect,  // DISCONNECT
  client_closed,      // the socket ended without one
  keep_alive_timeout,
  connect_timeout,  // no CONNECT in time
  packet_timeout,   // a packet was begun and did not go on
  protocol_violation,
  taken_over,
  refused,  // CONNECT was
  server_shutdown,
  administrative,   // `courier client kick`
  output_overflow,  // its reader stood still
  not_authorized,   // any more: its token ended
  limit_reached,    // one that a client of its version cannot be told of otherwise, or its time is over
  banned,
};
inline constexpr size_t kEndCauseCount = 14;
std::string_view name(EndCause cause);

}  // namespace courier::broker
