// The TLS configuration of a listener, loaded and checked: certificates by name, who may come in, tickets.
//
// Immutable and shared: a reload loads a new one and swaps the pointer; connections keep theirs until they
// end. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls/certificate.h"
#include "net/tls/ocsp_staple.h"
#include "net/tls/openssl.h"
#include "net/tls/server_options.h"
#include "net/tls/ticket_keys.h"
#include "net/transport.h"

namespace courier::net::tls {

class TlsServer final : public TransportFactory, public std::enable_shared_from_this<TlsServer> {
 public:
  // Reads and checks all files. `tickets` live on over reloads. errc::bad_file, bad_setting.
  static Result<std::shared_ptr<const TlsServer>> load(ServerOptions options,
                                                       std::shared_ptr<TicketKeys> tickets, WallMs now);

  std::unique_ptr<Transport> accept(WallMs now) const override;

  // In the order of the settings; the first is the default.
  const std::vector<CertificateDescription>& certificates() const { return descriptions_; }
  // What is not wrong enough to refuse: sentences for the log.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  // Certificates of the same names and different kinds of keys.
  struct Group {
    std::vector<std::string> names;
    std::vector<int> key_kinds;
    ContextPtr context;
  };
  struct Stapled {
    CertificatePtr certificate;
    OcspStaple staple;
  };
  struct Callbacks;

  explicit TlsServer(ServerOptions options, std::shared_ptr<TicketKeys> tickets)
      : options_(std::move(options)), tickets_(std::move(tickets)) {}
  Result<void> add(const CertificateFiles& files, WallMs now);
  Result<Group*> group_for(const std::vector<std::string>& names, int key_kind);
  Result<ContextPtr> make_context();
  Result<void> load_client_ca(WallMs now);
  SSL_CTX* context_for(std::string_view server_name) const;

  const ServerOptions options_;
  const std::shared_ptr<TicketKeys> tickets_;  // shared: the next configuration goes on with them
  std::vector<unsigned char> alpn_;            // as the wire has it
  StorePtr client_store_;
  std::vector<CertificatePtr> client_ca_;
  std::string session_context_;  // of what a resumed session must have been checked against
  std::vector<std::unique_ptr<Group>> groups_;
  std::map<std::string, Group*, std::less<>> by_name_, by_parent_;  // lower case; "*.a.b" is under "a.b"
  std::vector<Stapled> stapled_;
  std::vector<CertificateDescription> descriptions_;
  std::vector<std::string> warnings_;
};

// Protocol names as ALPN has them; errc::bad_setting.
Result<std::vector<unsigned char>> alpn_list(const std::vector<std::string>& names);

}  // namespace courier::net::tls
