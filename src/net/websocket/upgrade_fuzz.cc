// The upgrade: what a server makes of any request, and a client of any answer. Checked: cuts change nothing,
// a server answers whatever it refuses with one whole HTTP answer that fits its status, and what it grants a
// client takes for granted.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "net/websocket/http_head.h"
#include "net/websocket/limits.h"
#include "net/websocket/websocket_transport.h"

using namespace courier::net;
using namespace courier::net::websocket;

namespace {

struct UpgradeOutcome {
  std::string plain, reply, failed;
  TransportState state = TransportState::opening;
  bool operator==(const UpgradeOutcome&) const = default;
};

UpgradeOutcome feed_upgrade(Transport& transport, std::string_view bytes, size_t piece) {
  UpgradeOutcome got;
  while (!bytes.empty()) {
    const auto result = transport.receive(bytes.substr(0, piece), got.plain, got.reply);
    if (!result) {
      got.failed = result.error().code.message();
      got.state = TransportState::opening;  // how far it came depends on the cuts
      CHECK(result.error().message.size() < 600);
      break;
    }
    got.state = *result;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ServerOptions options;
  options.origins = {*OriginPattern::parse("https://app.example.com"),
                     *OriginPattern::parse("*.example.org")};
  const WebSocketServer factory(options);
  const auto serve = [&](size_t piece) { return feed_upgrade(*factory.accept(0), bytes, piece); };
  const UpgradeOutcome whole = serve(std::string::npos);
  CHECK(serve(1) == whole);
  CHECK(serve(100) == whole);
  if (whole.state == TransportState::opening && whole.failed.empty()) {
    CHECK(size < kHeadBytesMax && whole.reply.empty());
  } else if (!whole.reply.empty()) {
    const size_t end = whole.reply.find("\r\n\r\n");
    CHECK(end != std::string::npos);
    const auto head = parse_answer_head(std::string_view(whole.reply).substr(0, end + 4));
    CHECK(head);
    if (head->status != 101) {
      CHECK(!whole.failed.empty() && head->status >= 400);
      CHECK(std::to_string(whole.reply.size() - end - 4) == head->value("Content-Length"));
    }
  }

  const auto client = WebSocketTransport::client(std::make_shared<ClientOptions>(ClientOptions{.host = "a"}));
  const UpgradeOutcome answered = feed_upgrade(*client, bytes, std::string::npos);
  CHECK(size < 4 || !answered.failed.empty() || answered.state == TransportState::opening);
  return 0;
}
