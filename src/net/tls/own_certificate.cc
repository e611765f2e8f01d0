#include "net/tls/own_certificate.h"

#include <openssl/err.h>

#include "net/tls/errc.h"
#include "net/tls/files.h"

namespace courier::net::tls {

Result<OwnCertificate> load_own_certificate(const std::string& certificate, const std::string& key,
                                            std::string_view what) {
  auto chain = read_certificates(certificate, what);
  if (!chain) return fail(chain.error());
  auto read = read_key(key);
  if (!read) return fail(read.error());
  if (X509_check_private_key(chain->front().get(), read->get()) != 1) {
    ERR_clear_error();
    return fail(errc::bad_file, std::string(what) + " " + certificate +
                                    " does not belong to the private key " + key +
                                    ": name the key that it was made for, and see that it stands first in "
                                    "its file, before those above it");
  }
  return OwnCertificate{*std::move(chain), *std::move(read)};
}

Result<void> OwnCertificate::use_in(SSL_CTX* context, const std::string& path) const {
  ERR_clear_error();
  bool used = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (size_t i = 1; used && i < chain.size(); ++i)
    used = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (used) return {};
  return fail(errc::bad_file, "the certificate " + path + " cannot be used: " + openssl_words());
}

}  // namespace courier::net::tls
