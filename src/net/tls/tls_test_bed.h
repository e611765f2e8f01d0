// For tests: an authority, a server's and a client's configuration, and connections between them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"
#include "net/tls/tls_test_authority.h"
#include "net/tls/tls_transport.h"
#include "net/transport_test_pair.h"

namespace courier::net::tls {

struct TlsTestBed {
  TestFolder folder;
  TestAuthority authority{"Test CA"};
  std::string ca_file = folder.write("ca.pem", authority.certificate());
  std::shared_ptr<TicketKeys> tickets = std::make_shared<TicketKeys>();
  ServerOptions server;
  ClientOptions client;

  TlsTestBed() {
    server.certificates = {
        files("server", authority.issue({.common_name = "broker", .dns = {"broker.example"}}))};
    client.ca_file = ca_file;
  }

  static WallMs now() { return system_clock().wall_ms(); }

  CertificateFiles files(const std::string& name, const TestCertificate& made) const {
    return {folder.write(name + ".pem", made.certificate), folder.write(name + ".key", made.key), ""};
  }
  void client_certificate(const TestCertificate& made) {
    client.certificate = folder.write("client.pem", made.certificate);
    client.key = folder.write("client.key", made.key);
  }
  void ask_for_certificates(ClientCertificates mode) {
    server.client_certificates = mode;
    server.client_ca_file = ca_file;
  }

  std::shared_ptr<const TlsServer> load_server() const {
    auto loaded = TlsServer::load(server, tickets, now());
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *loaded : nullptr;
  }
  std::shared_ptr<TlsClient> load_client() const {
    auto loaded = TlsClient::load(client);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *loaded : nullptr;
  }
  // A connection that has not begun.
  TestPair pair(const std::string& name = "broker.example") const {
    return TestPair(load_client()->connect(name), load_server()->accept(now()));
  }
  // And one after all was said.
  TestPair run(const std::string& name = "broker.example") const {
    TestPair made = pair(name);
    made.run();
    return made;
  }
  // Why the server does not load.
  std::string load_error() const {
    auto loaded = TlsServer::load(server, tickets, now());
    return loaded ? "" : loaded.error().message;
  }
};

}  // namespace courier::net::tls
