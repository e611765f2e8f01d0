// A broker with a listener of a test's own on extra_port(), and what a client needs to get through its TLS
// and WebSocket.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "harness/broker.h"
#include "harness/wire.h"
#include "net/stacked_transport.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_test_authority.h"
#include "net/websocket/websocket_transport.h"

namespace courier::scenario {

struct Doors {
  net::tls::TestFolder folder;
  net::tls::TestAuthority authority{"Door CA"};
  std::string protocol;
  std::optional<Broker> broker;

  // `lines`: tables that stand at the end of the configuration.
  Doors(std::string speaks, const std::string& lines, std::string auth = "[auth]\nallow_anonymous = true\n",
        std::string passwords = {})
      : protocol(std::move(speaks)) {
    std::string listener =
        "[[listener]]\nname = \"door\"\nbind = \"127.0.0.1:{port}\"\nprotocol = \"" + protocol + "\"\n";
    if (tls()) {
      const auto made = authority.issue({.common_name = "localhost", .dns = {"localhost"}});
      listener += "tls_certificates = [\"" + folder.write("server.pem", made.certificate) +
                  "\"]\ntls_keys = [\"" + folder.write("server.key", made.key) + "\"]\n";
    }
    broker.emplace(BrokerOptions{
        .toml = listener + lines, .auth_toml = std::move(auth), .passwords = std::move(passwords)});
  }
  bool tls() const { return protocol == "mqtts" || protocol == "wss"; }
  bool websocket() const { return protocol == "ws" || protocol == "wss"; }
  uint16_t port() const { return broker->extra_port(); }

  // The client's end; null for plain MQTT.
  std::unique_ptr<net::Transport> transport() {
    std::unique_ptr<net::Transport> made;
    if (tls()) {
      if (!client_) {
        auto loaded = net::tls::TlsClient::load({.ca_file = folder.write("ca.pem", authority.certificate()),
                                                 .alpn = {websocket() ? "http/1.1" : "mqtt"},
                                                 .resume = false});
        if (!loaded) throw Broken(loaded.error().message);
        client_ = *loaded;
      }
      made = client_->connect("localhost");
    }
    if (!websocket()) return made;
    auto upper =
        net::websocket::WebSocketTransport::client(std::make_shared<const net::websocket::ClientOptions>(
            net::websocket::ClientOptions{.host = "localhost"}));
    if (!made) return upper;
    return std::make_unique<net::StackedTransport>(std::move(made), std::move(upper));
  }

 private:
  std::shared_ptr<net::tls::TlsClient> client_;
};

}  // namespace courier::scenario
