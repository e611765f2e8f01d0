// MQTT over WebSocket: RFC 6455 with the rules of MQTT 5.0, section 6. Both sides.
//
// Payload goes on as it comes: an MQTT packet may span frames and a frame may hold several, so no message is
// ever gathered, and a frame of any size costs nothing. Each piece that is sent is one binary
// frame: a packet each, because some clients (Eclipse Paho C) lose what stands behind the first packet of a
// frame, whatever the standard says [MQTT-6.0.0-2].
//
// What it holds: 56 bytes and malloc's share; while opening also the head of the request as far as it has
// come (8 KB at most); in the midst of a frame's header or of a control frame 139 bytes more.
//
// 1. Pings are answered where they stand, each one: what waits for a peer that does not read is the owner's
//    to bound, here as elsewhere. Nothing is sent unasked but the owner's bytes and one close frame.
// 2. After our close frame whatever comes is parsed and dropped, until the peer's own.
// 3. No extensions: permessage-deflate costs a window of memory a connection. [MQTT-6.0.0-1] text frames end
//    the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/transport.h"
#include "net/websocket/frame.h"
#include "net/websocket/options.h"

namespace courier::net::websocket {

class WebSocketTransport final : public Transport {
 public:
  static std::unique_ptr<WebSocketTransport> server(std::shared_ptr<const ServerOptions> options);
  static std::unique_ptr<WebSocketTransport> client(std::shared_ptr<const ClientOptions> options);
  ~WebSocketTransport() override;

  void start(std::string& wire) override;
  Result<TransportState> receive(std::string_view wire, std::string& plain, std::string& reply) override;
  using Transport::send;
  Result<void> send(std::span<const std::string_view> pieces, std::string& wire) override;
  void close(CloseReason reason, std::string& wire) override;

 private:
  struct Opening;

  WebSocketTransport(std::unique_ptr<Opening> opening, FrameLimits limits);
  Result<void> take_head(std::string_view& wire, std::string& reply);
  // Each takes what it can from the front of `wire`.
  Result<void> take_header(std::string_view& wire, std::string& reply);
  void take_data(std::string_view& wire, std::string& plain);
  Result<void> take_control(std::string_view& wire, std::string& reply);
  Result<void> begin_frame(const FrameHeader& header, std::string& reply);
  Result<void> end_control(std::string& reply);
  Result<void> on_close(std::string_view payload, std::string& reply);
  Failure violation(errc code, std::string_view what, std::string& reply);
  void append_close(uint16_t status, std::string_view reason, std::string& wire);
  void append_frame(Opcode opcode, std::span<const std::string_view> pieces, std::string& wire);

  std::unique_ptr<Opening> opening_;   // until the upgrade is done
  std::unique_ptr<std::string> held_;  // of a header, or of a control frame, that has not come whole
  uint64_t remaining_ = 0;             // payload of this frame that has not come
  const FrameLimits limits_;
  uint32_t message_bytes_ = 0;  // of the message so far, this frame among it
  Mask mask_ = 0;               // for the next byte of payload
  Opcode opcode_ = Opcode::binary;
  const bool is_client_;
  bool in_control_ = false;  // opcode_, remaining_ and held_ are a control frame's
  bool in_message_ = false;  // its last frame has not begun
  bool closed_ = false;      // our close frame is out
  bool ended_ = false;       // the peer's has come
};

static_assert(sizeof(WebSocketTransport) <= 56);

// The server's end for every connection of a listener.
class WebSocketServer final : public TransportFactory {
 public:
  explicit WebSocketServer(ServerOptions options)
      : options_(std::make_shared<const ServerOptions>(std::move(options))) {}
  std::unique_ptr<Transport> accept(WallMs) const override { return WebSocketTransport::server(options_); }

 private:
  // Shared: a connection that is opening outlives a reload.
  std::shared_ptr<const ServerOptions> options_;
};

}  // namespace courier::net::websocket
