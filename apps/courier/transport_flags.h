// What stands between the socket and MQTT, as flags and URLs say it: nothing, TLS, WebSocket, or WebSocket
// over TLS. mosquitto's flags, with its meaning but for --insecure, which believes a server whatever it
// shows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"
#include "client/scheme.h"
#include "courier/command.h"
#include "net/tls/tls_client.h"

namespace courier::cli {

using client::Scheme;

// Makes the client's ends of such connections. `host` is the name that the server's certificate must be for;
// `where` has the port too; `path` is WebSocket's. An empty function for Scheme::mqtt.
Result<client::TransportMaker> transport_maker(Scheme scheme, net::tls::ClientOptions tls,
                                               const std::string& host, const std::string& where,
                                               const std::string& path);

class TransportFlags {
 public:
  void add_to(CLI::App& app);

  // The first flag given that means TLS, such as "--cafile"; empty: none.
  std::string_view tls_flag() const;
  bool insecure() const { return tls_.insecure; }
  // An error's code is client::errc::invalid_argument for flags that contradict each other.
  Result<client::TransportMaker> maker(Scheme scheme, const std::string& host, const std::string& where,
                                       const std::string& path) const;
  // For a connection that failed: what may mend it, in a sentence or two with a blank before; empty when the
  // transport was not to blame.
  std::string advice(const std::error_code& cause, Scheme scheme, const std::string& host) const;

 private:
  net::tls::ClientOptions tls_;
  std::string version_, alpn_;
  bool system_authorities_ = false;
};

}  // namespace courier::cli
