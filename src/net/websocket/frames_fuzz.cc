// What an open WebSocket connection makes of any bytes, as a server and as a client. Checked: it never reads
// beyond its input, cuts change nothing, every byte of payload that comes out went in, and it says goodbye at
// most once.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "net/websocket/upgrade.h"
#include "net/websocket/websocket_transport.h"

using namespace courier::net;
using namespace courier::net::websocket;

namespace {

struct FrameOutcome {
  std::string plain, failed;
  TransportState state = TransportState::opening;
  size_t reply_bytes = 0;
  bool operator==(const FrameOutcome&) const = default;
};

std::unique_ptr<Transport> opened(bool server) {
  ServerOptions options;
  options.frames = {.frame_bytes_max = 4096, .message_bytes_max = 8192};
  const WebSocketServer factory(options);
  std::unique_ptr<Transport> ends[2] = {factory.accept(0), nullptr};
  const auto client = std::make_shared<ClientOptions>(ClientOptions{.host = "a", .frames = options.frames});
  ends[1] = WebSocketTransport::client(client);
  std::string request, answer, plain, nothing;
  ends[1]->start(request);
  CHECK(*ends[0]->receive(request, plain, answer) == TransportState::open);
  CHECK(*ends[1]->receive(answer, plain, nothing) == TransportState::open);
  CHECK(plain.empty() && nothing.empty());
  return std::move(ends[server ? 0 : 1]);
}

FrameOutcome feed(bool server, std::string_view bytes, size_t piece) {
  const auto transport = opened(server);
  FrameOutcome got;
  std::string reply;
  got.state = TransportState::open;
  while (!bytes.empty()) {
    const auto result = transport->receive(bytes.substr(0, piece), got.plain, reply);
    if (!result) {
      got.failed = result.error().code.message();
      break;
    }
    got.state = *result;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  got.reply_bytes = reply.size();

  // What it says are frames in order, the last of them at most a goodbye.
  for (std::string_view rest = reply; !rest.empty();) {
    const auto decoded = decode_frame_header(rest);
    const auto* header = std::get_if<FrameHeader>(&decoded);
    CHECK(header && header->final && header->mask.has_value() != server);
    CHECK(header->opcode == Opcode::pong || header->opcode == Opcode::close);
    CHECK(rest.size() >= header->size + header->payload_bytes);
    rest.remove_prefix(header->size + header->payload_bytes);
    CHECK(header->opcode != Opcode::close || rest.empty());
  }
  return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const bool server : {true, false}) {
    const FrameOutcome whole = feed(server, bytes, std::string::npos);
    CHECK(whole.plain.size() <= size);
    CHECK(feed(server, bytes, 1) == whole);
    CHECK(feed(server, bytes, 7) == whole);
  }
  return 0;
}
