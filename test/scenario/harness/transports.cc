#include "harness/transports.h"

#include <cstdlib>
#include <mutex>
#include <set>

#include "harness/wire.h"
#include "net/stacked_transport.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_test_authority.h"
#include "net/websocket/websocket_transport.h"

namespace courier::scenario {
namespace {

struct Certificates {
  net::tls::TestFolder folder;
  net::tls::TestAuthority authority{"Scenario CA"};
  std::string ca = folder.write("ca.pem", authority.certificate());
  std::string certificate, key;

  Certificates() {
    const auto made = authority.issue({.common_name = "localhost", .dns = {"localhost"}});
    certificate = folder.write("server.pem", made.certificate);
    key = folder.write("server.key", made.key);
  }
};

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

bool over_tls() {
  return transport_name() == "mqtts" || transport_name() == "wss";
}
bool over_websocket() {
  return transport_name() == "ws" || transport_name() == "wss";
}

std::mutex mutex;
std::set<uint16_t> ports;  // guarded by mutex

}  // namespace

std::string transport_name() {
  const char* name = std::getenv("COURIER_TRANSPORT");
  return name != nullptr ? name : "mqtt";
}

std::string transport_toml() {
  std::string toml = "protocol = \"" + transport_name() + "\"\n";
  if (over_tls()) {
    toml += "tls_certificates = [\"" + certificates().certificate + "\"]\ntls_keys = [\"" +
            certificates().key + "\"]\n";
  }
  return toml;
}

void speaks_transport(uint16_t port) {
  const std::lock_guard lock(mutex);
  ports.insert(port);
}

std::unique_ptr<net::Transport> transport_to(uint16_t port) {
  {
    const std::lock_guard lock(mutex);
    if (transport_name() == "mqtt" || !ports.contains(port)) return nullptr;
  }
  std::unique_ptr<net::Transport> transport;
  if (over_tls()) {
    static const auto client = net::tls::TlsClient::load(
        {.ca_file = certificates().ca, .alpn = {over_websocket() ? "http/1.1" : "mqtt"}});
    if (!client) throw Broken(client.error().message);
    transport = (*client)->connect("localhost");
  }
  if (over_websocket()) {
    auto websocket =
        net::websocket::WebSocketTransport::client(std::make_shared<const net::websocket::ClientOptions>(
            net::websocket::ClientOptions{.host = "localhost"}));
    if (!transport) return websocket;
    return std::make_unique<net::StackedTransport>(std::move(transport), std::move(websocket));
  }
  return transport;
}

}  // namespace courier::scenario
