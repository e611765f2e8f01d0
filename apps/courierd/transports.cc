#include "transports.h"

#include <utility>

#include "net/stacked_transport.h"
#include "net/tls/tls_server.h"
#include "net/websocket/websocket_transport.h"

namespace courier::courierd {

namespace {

net::tls::Version version_of(config::TlsVersion version) {
  switch (version) {
    case config::TlsVersion::tls1_2:
      return net::tls::Version::tls1_2;
    case config::TlsVersion::tls1_3:
      return net::tls::Version::tls1_3;
  }
  return net::tls::Version::tls1_3;
}

net::tls::ClientCertificates certificates_of(config::ClientCertificates mode) {
  switch (mode) {
    case config::ClientCertificates::off:
      return net::tls::ClientCertificates::off;
    case config::ClientCertificates::optional:
      return net::tls::ClientCertificates::optional;
    case config::ClientCertificates::required:
      return net::tls::ClientCertificates::required;
  }
  return net::tls::ClientCertificates::required;
}

net::tls::ServerOptions tls_options_of(const config::Listener& from) {
  net::tls::ServerOptions to;
  for (size_t i = 0; i < from.tls_certificates.size(); ++i) {
    const std::string& certificate = from.tls_certificates[i];
    to.certificates.push_back({certificate, from.tls_keys.empty() ? certificate : from.tls_keys[i],
                               from.tls_ocsp_files.empty() ? std::string() : from.tls_ocsp_files[i]});
  }
  to.version_min = version_of(from.tls_version_min);
  to.ciphers = from.tls_ciphers;
  to.ciphersuites = from.tls_ciphersuites;
  to.alpn = from.tls_alpn;
  if (to.alpn.empty()) to.alpn = {from.protocol == config::Protocol::wss ? "http/1.1" : "mqtt"};
  to.client_certificates = certificates_of(from.tls_client_certificates);
  to.client_ca_file = from.tls_client_ca_file;
  to.crl_files = from.tls_crl_files;
  to.ticket_lifetime = std::chrono::duration_cast<std::chrono::seconds>(from.tls_ticket_lifetime);
  return to;
}

Result<net::websocket::ServerOptions> websocket_options_of(const config::Listener& from) {
  net::websocket::ServerOptions to;
  to.path = from.websocket_path;
  to.require_subprotocol = from.websocket_subprotocol_required;
  for (const std::string& text : from.websocket_origins) {
    auto origin = net::websocket::OriginPattern::parse(text);
    if (!origin) return fail(origin.error().within("websocket_origins"));
    to.origins.push_back(*std::move(origin));
  }
  to.frames.frame_bytes_max = static_cast<uint32_t>(from.websocket_frame_bytes_max);
  return to;
}

}  // namespace

Result<Transports::Door> Transports::load(const config::Listener& listener, WallMs now) {
  Door door;
  if (config::over_tls(listener.protocol)) {
    auto& tickets = tickets_[listener.name];
    if (!tickets) tickets = std::make_shared<net::tls::TicketKeys>();
    auto tls = net::tls::TlsServer::load(tls_options_of(listener), tickets, now);
    if (!tls) return fail(std::move(tls).error());
    door.certificates = (*tls)->certificates();
    door.warnings = (*tls)->warnings();
    door.transport = *std::move(tls);
  }
  if (config::over_websocket(listener.protocol)) {
    auto options = websocket_options_of(listener);
    if (!options) return fail(std::move(options).error());
    auto websocket = std::make_shared<const net::websocket::WebSocketServer>(*std::move(options));
    if (door.transport) {
      door.transport =
          std::make_shared<const net::StackedFactory>(std::move(door.transport), std::move(websocket));
    } else {
      door.transport = std::move(websocket);
    }
  }
  return door;
}

Result<std::vector<Transports::Door>> Transports::load(const std::vector<config::Listener>& listeners,
                                                       WallMs now) {
  std::vector<Door> doors;
  for (const config::Listener& listener : listeners) {
    auto door = load(listener, now);
    if (!door) return fail(door.error().within("listener \"" + listener.name + "\""));
    doors.push_back(*std::move(door));
  }
  return doors;
}

}  // namespace courier::courierd
