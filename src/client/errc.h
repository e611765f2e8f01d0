// What can go wrong on the client's side, before or beside the server's own reason codes.
#pragma once

#include <system_error>

namespace courier::client {

enum class errc {
  invalid_argument = 1,  // the caller's options, topic, filter or message break the protocol's rules
  not_connected,         // QoS 0 publish, AUTH or the like without a connection
  queue_full,            // limits.h: too much waits for the server already
  message_too_large,     // larger than the server's Maximum Packet Size
  not_supported,         // the server said in CONNACK that it does not offer this
  session_lost,          // the server forgot the session; a QoS 2 message cannot be sent again safely
  refused,               // CONNACK or DISCONNECT with a reason of the server's
  protocol_violation,    // the server broke the protocol
  timed_out,             // no CONNACK, no PINGRESP, or a caller's own deadline
  connection_lost,       // the transport ended without a word
  cannot_connect,        // no transport came up: name not found, connection refused, a bad certificate
  closed,                // close() was called
};

const std::error_category& client_category();
std::error_code make_error_code(errc code);

}  // namespace courier::client

template <>
struct std::is_error_code_enum<courier::client::errc> : std::true_type {};
