// Why a WebSocket connection was refused or broken off. The codes' message() is a word for a metric's label.
#pragma once

#include <cstdint>
#include <system_error>

namespace courier::net::websocket {

enum class errc {
  // the upgrade, server
  not_http = 1,      // TLS, plain MQTT, garbage
  bad_request,       // 400
  head_too_large,    // 431
  not_found,         // 404: another path
  bad_method,        // 405
  not_an_upgrade,    // 426: an ordinary request, or another version of WebSocket
  origin_forbidden,  // 403
  no_subprotocol,    // 400: none that carries MQTT
  // the upgrade, client
  upgrade_refused,  // the server answered with another status
  bad_answer,       // the server's 101 breaks the rules
  // frames
  bad_frame,   // 1002: reserved bits, mask, lengths, fragmentation
  bad_close,   // 1002: a close frame that is none
  text_frame,  // 1003
  bad_utf8,    // 1007: in the reason of a close frame
  too_big,     // 1009
  // settings
  bad_setting,
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}
// The status of the close frame that tells the peer; 1002 for what is not about frames.
uint16_t close_status(errc code);

}  // namespace courier::net::websocket

template <>
struct std::is_error_code_enum<courier::net::websocket::errc> : std::true_type {};
