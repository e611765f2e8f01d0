// What a TLS server makes of a stranger's first bytes. Checked: cuts change nothing about what is refused and
// why, and whatever is refused is one of the reasons that metrics know. The guard before it is checked with
// them: it says the same whatever pieces come.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/clock.h"
#include "net/tls/hello_guard.h"
#include "net/tls/limits.h"
#include "net/tls/tls_server.h"
#include "net/tls/tls_test_authority.h"

using namespace courier;
using namespace courier::net;
using namespace courier::net::tls;

namespace {

std::shared_ptr<const TlsServer> fuzzed_server() {
  const TestFolder folder;
  const TestAuthority authority("Test CA");
  const TestCertificate made = authority.issue({.common_name = "broker", .dns = {"broker.example"}});
  ServerOptions options;
  options.certificates = {{folder.write("a.pem", made.certificate), folder.write("a.key", made.key), ""}};
  options.client_certificates = ClientCertificates::optional;
  options.client_ca_file = folder.write("ca.pem", authority.certificate());
  auto loaded = TlsServer::load(options, std::make_shared<TicketKeys>(), system_clock().wall_ms());
  CHECK(loaded);
  return *loaded;
}

struct HandshakeOutcome {
  std::string failed;
  TransportState state = TransportState::opening;
  bool operator==(const HandshakeOutcome&) const = default;
};

HandshakeOutcome shake(const TlsServer& server, std::string_view bytes, size_t piece) {
  const auto transport = server.accept(system_clock().wall_ms());
  HandshakeOutcome got;
  std::string plain, reply;
  while (!bytes.empty()) {
    const auto result = transport->receive(bytes.substr(0, piece), plain, reply);
    CHECK(plain.empty());  // nobody finishes a handshake by guessing
    if (!result) {
      got.failed = result.error().code.message();
      CHECK(got.failed != "unknown" && !result.error().message.empty());
      break;
    }
    got.state = *result;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  CHECK(got.state == TransportState::opening);
  return got;
}

bool guarded(std::string_view bytes, size_t piece) {
  HelloGuard guard;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    if (!guard.admits(bytes.substr(0, piece), kHelloBytesMax)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const TlsServer> server = fuzzed_server();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool whole = guarded(bytes, std::string::npos);
  CHECK(guarded(bytes, 1) == whole);
  CHECK(guarded(bytes, 3) == whole);
  // The very first bytes may be told apart better when they come together.
  if (size > 0 && bytes[0] != 22) return shake(*server, bytes, std::string::npos).failed.empty();
  const HandshakeOutcome outcome = shake(*server, bytes, std::string::npos);
  CHECK(shake(*server, bytes, 1) == outcome);
  CHECK(shake(*server, bytes, 11) == outcome);
  return 0;
}
