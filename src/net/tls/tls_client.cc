#include "net/tls/tls_client.h"

#include <openssl/err.h>

#include <filesystem>

#include "net/tls/errc.h"
#include "net/tls/files.h"
#include "net/tls/limits.h"
#include "net/tls/own_certificate.h"
#include "net/tls/tls_server.h"
#include "net/tls/tls_transport.h"

namespace courier::net::tls {

namespace {

// The name that a connection was opened for.
std::string name_of(SSL* ssl) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  return name ? name : "";
}

bool is_ip(const std::string& name) {
  using AddressPtr = std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>>;
  return AddressPtr(a2i_IPADDRESS(name.c_str())) != nullptr;
}

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::load(ClientOptions options) {
  const std::shared_ptr<TlsClient> made(new TlsClient(std::move(options)));
  const ClientOptions& o = made->options_;
  ERR_clear_error();
  made->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const c = made->context_.get();
  if (!c) return fail(errc::internal, "TLS cannot be set up: " + openssl_words());
  SSL_CTX_set_app_data(c, made.get());
  const auto number = [](Version version) {
    return version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  };
  SSL_CTX_set_min_proto_version(c, number(o.version_min));
  SSL_CTX_set_max_proto_version(c, number(o.version_max));
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(c, kServerChainBytesMax);
  SSL_CTX_set_verify(c, o.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     o.insecure ? nullptr : TlsTransport::on_verified);
  if (o.ca_file.empty() && o.ca_path.empty()) SSL_CTX_set_default_verify_paths(c);
  if (!o.ca_path.empty()) {
    // OpenSSL looks there when it needs one, and says nothing when there is no such directory.
    std::error_code ignored;
    if (!std::filesystem::is_directory(o.ca_path, ignored)) {
      return fail(errc::bad_file, "the directory of certificate authorities " + o.ca_path + " is not there");
    }
    X509_STORE_load_path(SSL_CTX_get_cert_store(c), o.ca_path.c_str());
  }
  if (!o.ca_file.empty()) {
    auto authorities = read_certificates(o.ca_file, "the certificate authority");
    if (!authorities) return fail(authorities.error());
    for (const CertificatePtr& ca : *authorities) X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca.get());
    // A file may hold an issuer that is not a root, or a server's own certificate: who names it trusts it.
    X509_STORE_set_flags(SSL_CTX_get_cert_store(c), X509_V_FLAG_PARTIAL_CHAIN);
  }
  if (o.certificate.empty() != o.key.empty()) {
    return fail(errc::bad_setting,
                "a client certificate needs its key, and a key its certificate: only one is given");
  }
  if (!o.certificate.empty()) {
    const auto own = load_own_certificate(o.certificate, o.key, "the client certificate");
    if (!own) return fail(own.error());
    if (auto used = own->use_in(c, o.certificate); !used) return fail(used.error());
  }
  auto alpn = alpn_list(o.alpn);
  if (!alpn) return fail(alpn.error());
  if (!alpn->empty()) SSL_CTX_set_alpn_protos(c, alpn->data(), static_cast<unsigned>(alpn->size()));
  if (o.resume) {
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c, keep_ticket);
  } else {
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
  }
  return made;
}

std::unique_ptr<Transport> TlsClient::connect(const std::string& server_name) {
  auto transport = TlsTransport::make(context_.get(), false, shared_from_this());
  SSL* const ssl = transport->ssl();
  if (is_ip(server_name)) {
    if (!options_.insecure) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, server_name.c_str());
    if (!options_.insecure) SSL_set1_host(ssl, server_name.c_str());
  }
  const std::lock_guard lock(mutex_);
  if (session_ && session_name_ == name_of(ssl)) SSL_set_session(ssl, session_.get());
  return transport;
}

int TlsClient::keep_ticket(SSL* ssl, SSL_SESSION* session) {
  auto& client = *static_cast<TlsClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const std::lock_guard lock(client.mutex_);
  client.session_.reset(session);
  client.session_name_ = name_of(ssl);
  return 1;  // it is ours now
}

}  // namespace courier::net::tls
