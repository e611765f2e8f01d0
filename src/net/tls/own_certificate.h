// A certificate of ours with what stands above it and its key, checked to belong together: a server's or a
// client's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/tls/openssl.h"

namespace courier::net::tls {

struct OwnCertificate {
  std::vector<CertificatePtr> chain;  // ours first
  KeyPtr key;

  // Gives both to a context. errc::bad_file.
  Result<void> use_in(SSL_CTX* context, const std::string& path) const;
};

// `what` says what it is in errors: "the certificate". errc::bad_file.
Result<OwnCertificate> load_own_certificate(const std::string& certificate, const std::string& key,
                                            std::string_view what);

}  // namespace courier::net::tls
