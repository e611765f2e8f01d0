// What a WebSocket listener and a WebSocket client are set to. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/websocket/limits.h"
#include "net/websocket/origin.h"

namespace courier::net::websocket {

struct FrameLimits {
  uint32_t frame_bytes_max = kFrameBytesMaxDefault;
  uint32_t message_bytes_max = kMessageBytesMaxDefault;  // over all frames of one message
};

struct ServerOptions {
  std::string path = "/mqtt";
  // A client that names no subprotocol is refused. One that names only others always is.
  bool require_subprotocol = true;
  // Pages that may connect; empty: all. Who sends no Origin is no browser, and is let in.
  std::vector<OriginPattern> origins;
  FrameLimits frames;
};

struct ClientOptions {
  std::string host;  // "broker.example.com:8080", as in the URL
  std::string path = "/mqtt";
  std::string subprotocol = "mqtt";
  std::vector<std::pair<std::string, std::string>> headers;  // Origin, Authorization, …
  FrameLimits frames;
};

}  // namespace courier::net::websocket
