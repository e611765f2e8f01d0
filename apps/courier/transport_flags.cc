#include "courier/transport_flags.h"

#include <utility>

#include "client/errc.h"
#include "net/stacked_transport.h"
#include "net/tls/errc.h"
#include "net/websocket/errc.h"
#include "net/websocket/websocket_transport.h"

namespace courier::cli {
namespace {

// Who is on the other side of one URL; shared by the connections to it.
struct Server {
  std::shared_ptr<net::tls::TlsClient> tls;                        // null: without
  std::shared_ptr<const net::websocket::ClientOptions> websocket;  // null: without
  std::string host;

  std::unique_ptr<net::Transport> connect() const {
    if (!tls) return net::websocket::WebSocketTransport::client(websocket);
    auto secured = tls->connect(host);
    if (!websocket) return secured;
    return std::make_unique<net::StackedTransport>(std::move(secured),
                                                   net::websocket::WebSocketTransport::client(websocket));
  }
};

Failure contradiction(std::string text) {
  return fail(client::errc::invalid_argument, std::move(text));
}

}  // namespace

Result<client::TransportMaker> transport_maker(Scheme scheme, net::tls::ClientOptions tls,
                                               const std::string& host, const std::string& where,
                                               const std::string& path) {
  if (scheme == Scheme::mqtt) return client::TransportMaker();
  auto server = std::make_shared<Server>(Server{.host = host});
  if (over_tls(scheme)) {
    auto loaded = net::tls::TlsClient::load(std::move(tls));
    if (!loaded) return fail(loaded.error());
    server->tls = *std::move(loaded);
  }
  if (over_websocket(scheme)) {
    server->websocket = std::make_shared<const net::websocket::ClientOptions>(
        net::websocket::ClientOptions{.host = where, .path = path});
  }
  return client::TransportMaker([server] { return server->connect(); });
}

void TransportFlags::add_to(CLI::App& app) {
  const char* group = "TLS";
  app.add_option("--cafile", tls_.ca_file, "Believe servers with a certificate that these authorities issued")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--capath", tls_.ca_path, "The same, a directory as `openssl rehash` makes it")
      ->type_name("PATH")
      ->group(group);
  app.add_flag("--tls-use-os-certs", system_authorities_,
               "Believe the authorities that this machine trusts; also the default")
      ->group(group);
  app.add_option("--cert", tls_.certificate, "Certificate that this client shows; needs --key")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--key", tls_.key, "Its private key")->type_name("FILE")->group(group);
  app.add_flag("--insecure", tls_.insecure, "Believe any server, whatever its certificate: for tests only")
      ->group(group);
  app.add_option("--tls-version", version_, "This version alone (any that the server has, from 1.2)")
      ->type_name("tlsv1.2|tlsv1.3")
      ->check(CLI::IsMember({"tlsv1.2", "tlsv1.3"}))
      ->group(group);
  app.add_option("--tls-alpn", alpn_, "Protocol to ask for (mqtt; http/1.1 with wss)")
      ->type_name("NAME")
      ->group(group);
}

std::string_view TransportFlags::tls_flag() const {
  const std::pair<bool, std::string_view> given[] = {
      {!tls_.ca_file.empty(), "--cafile"},
      {!tls_.ca_path.empty(), "--capath"},
      {system_authorities_, "--tls-use-os-certs"},
      {!tls_.certificate.empty(), "--cert"},
      {!tls_.key.empty(), "--key"},
      {tls_.insecure, "--insecure"},
      {!version_.empty(), "--tls-version"},
      {!alpn_.empty(), "--tls-alpn"},
  };
  for (const auto& [is_given, flag] : given) {
    if (is_given) return flag;
  }
  return {};
}

Result<client::TransportMaker> TransportFlags::maker(Scheme scheme, const std::string& host,
                                                     const std::string& where,
                                                     const std::string& path) const {
  const std::string_view flag = tls_flag();
  if (!flag.empty() && !over_tls(scheme)) {
    return contradiction(fmt::format("{} is for TLS, and {}:// is without: {}:// is with it", flag,
                                     name(scheme), over_websocket(scheme) ? "wss" : "mqtts"));
  }
  if (tls_.certificate.empty() != tls_.key.empty()) {
    return contradiction(tls_.key.empty() ? "--cert needs its private key: --key FILE"
                                          : "--key needs its certificate: --cert FILE");
  }
  const bool own = !tls_.ca_file.empty() || !tls_.ca_path.empty();
  if (system_authorities_ && own) {
    return contradiction(fmt::format("--tls-use-os-certs and {} exclude each other",
                                     tls_.ca_file.empty() ? "--capath" : "--cafile"));
  }
  net::tls::ClientOptions tls = tls_;
  if (version_ == "tlsv1.2") tls.version_max = net::tls::Version::tls1_2;
  if (version_ == "tlsv1.3") tls.version_min = net::tls::Version::tls1_3;
  if (scheme == Scheme::wss) tls.alpn = {"http/1.1"};
  if (!alpn_.empty()) tls.alpn = {alpn_};
  return transport_maker(scheme, std::move(tls), host, where, path);
}

std::string TransportFlags::advice(const std::error_code& cause, Scheme scheme,
                                   const std::string& host) const {
  using tls = net::tls::errc;
  using websocket = net::websocket::errc;
  if (cause == tls::unknown_ca) {
    if (tls_.ca_file.empty() && tls_.ca_path.empty()) {
      return " If it is yours, name the authority that issued it with --cafile FILE.";
    }
    return fmt::format(" {} does not hold the authority that issued it.",
                       tls_.ca_file.empty() ? tls_.ca_path : tls_.ca_file);
  }
  if (cause == tls::wrong_name) {
    return fmt::format(" It is not for \"{}\": connect by a name that stands in it.", host);
  }
  if (cause == tls::expired_certificate)
    return " Is this machine's clock right? If so, the server needs a new one.";
  if (cause == tls::refused_by_peer || cause == tls::no_certificate) {
    return tls_.certificate.empty() ? " It may want a certificate of this client: --cert FILE --key FILE."
                                    : " It may not accept this client's certificate (--cert), or offer what "
                                      "--tls-version or --tls-alpn ask for; its log says why.";
  }
  if (cause == tls::not_tls) {
    return over_websocket(scheme) ? " Without TLS it is ws://." : " Without TLS it is mqtt://.";
  }
  if (cause == tls::no_shared_version && !version_.empty()) return " Leave --tls-version out.";
  if (cause == websocket::upgrade_refused || cause == websocket::bad_answer) {
    return " Is MQTT at that path of the server? It follows the host in the URL; /mqtt is usual.";
  }
  return {};
}

}  // namespace courier::cli
