// The client's side of TLS: whom to believe, who we are. Immutable but for the last ticket; thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls/openssl.h"
#include "net/tls/server_options.h"
#include "net/transport.h"

namespace courier::net::tls {

struct ClientOptions {
  std::string ca_file;      // PEM: who issues servers' certificates; empty: whom this machine trusts
  bool insecure = false;    // believe anybody
  std::string certificate;  // PEM: ours, then those above it; empty: none
  std::string key;          // PEM
  std::vector<std::string> alpn = {"mqtt"};  // empty: none is offered; for WebSocket {"http/1.1"}
  Version version_min = Version::tls1_2, version_max = Version::tls1_3;
  bool resume = true;  // come back with the last ticket that the server gave
};

class TlsClient : public std::enable_shared_from_this<TlsClient> {
 public:
  // errc::bad_file, bad_setting.
  static Result<std::shared_ptr<TlsClient>> load(ClientOptions options);

  // `server_name`: a host name, which is asked for (SNI), or an IP address. The certificate must be for it.
  std::unique_ptr<Transport> connect(const std::string& server_name);

 private:
  explicit TlsClient(ClientOptions options) : options_(std::move(options)) {}
  static int keep_ticket(SSL* ssl, SSL_SESSION* session);

  const ClientOptions options_;
  ContextPtr context_;
  std::mutex mutex_;
  SessionPtr session_;        // guarded by mutex_
  std::string session_name_;  // guarded by mutex_: of which server
};

}  // namespace courier::net::tls
