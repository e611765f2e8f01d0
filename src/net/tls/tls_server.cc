#include "net/tls/tls_server.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/check.h"
#include "net/tls/errc.h"
#include "net/tls/files.h"
#include "net/tls/limits.h"
#include "net/tls/own_certificate.h"
#include "net/tls/tls_transport.h"

namespace courier::net::tls {

namespace {

constexpr WallMs kDayMs = 24LL * 60 * 60 * 1000;
constexpr WallMs kExpiresSoonMs = 14 * kDayMs;
// Elliptic curves only: finite fields cost more than a handshake should.
constexpr char kGroups[] = "X25519:P-256:P-384";

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return made;
}

}  // namespace

// What OpenSSL asks in a handshake. Each context has the TlsServer as its application data, also when SNI has
// put another context in place of the first.
struct TlsServer::Callbacks {
  static const TlsServer& server_of(const SSL* ssl) {
    return *static_cast<const TlsServer*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }

  static int server_name(SSL* ssl, int*, void*) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX* const chosen = name ? server_of(ssl).context_for(name) : nullptr;
    if (!chosen) return SSL_TLSEXT_ERR_NOACK;
    if (chosen != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, chosen)) return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
  }

  static int alpn(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                  unsigned offered_size, void*) {
    const std::vector<unsigned char>& ours = server_of(ssl).alpn_;
    // It gives a pointer into what is offered or what is ours, and does not write there.
    const int found = SSL_select_next_proto(const_cast<unsigned char**>(chosen), size, ours.data(),
                                            static_cast<unsigned>(ours.size()), offered, offered_size);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  static int staple(SSL* ssl, void*) {
    const X509* const certificate = SSL_get_certificate(ssl);
    const auto& all = server_of(ssl).stapled_;
    const auto found = std::ranges::find_if(all, [&](const Stapled& s) {
      return certificate && X509_cmp(s.certificate.get(), certificate) == 0;
    });
    if (found == all.end() || found->staple.until <= system_clock().wall_ms()) return SSL_TLSEXT_ERR_NOACK;
    const std::string& response = found->staple.response;
    void* const copy = OPENSSL_memdup(response.data(), response.size());
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(response.size()));
    return SSL_TLSEXT_ERR_OK;
  }

  static int ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int issuing) {
    constexpr int kFailed = -1, kUnknown = 0, kGood = 1, kRenew = 2;
    const TicketKeys& keys = *server_of(ssl).tickets_;
    std::optional<TicketKeys::Found> found;
    if (issuing) {
      if (const auto newest = keys.newest()) found = {*newest, true};
    } else {
      found = keys.find({reinterpret_cast<const char*>(name), TicketKey{}.name.size()});
    }
    if (!found) return kUnknown;
    TicketKey& key = found->key;
    const EVP_CIPHER* const kind = EVP_aes_256_cbc();
    if (issuing) {
      std::copy(key.name.begin(), key.name.end(), name);
      if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(kind)) != 1) return kFailed;
    }
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    const bool ready = EVP_CipherInit_ex(cipher, kind, nullptr, key.cipher.data(), iv, issuing) == 1 &&
                       EVP_MAC_CTX_set_params(mac, parameters) == 1;
    // In TLS 1.3 a client shows a ticket once, so that nobody can tell that two connections are one phone's.
    const bool stays = issuing || (found->newest && SSL_version(ssl) < TLS1_3_VERSION);
    const int answer = !ready ? kFailed : stays ? kGood : kRenew;
    OPENSSL_cleanse(&key, sizeof(key));
    return answer;
  }
};

Result<std::vector<unsigned char>> alpn_list(const std::vector<std::string>& names) {
  std::vector<unsigned char> list;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) {
      return fail(errc::bad_setting, "a protocol name (ALPN) has 1 to 255 bytes");
    }
    list.push_back(static_cast<unsigned char>(name.size()));
    list.insert(list.end(), name.begin(), name.end());
  }
  return list;
}

Result<std::shared_ptr<const TlsServer>> TlsServer::load(ServerOptions options,
                                                         std::shared_ptr<TicketKeys> tickets, WallMs now) {
  if (options.certificates.empty()) {
    return fail(errc::bad_setting, "a listener with TLS needs a certificate and its key: none is set");
  }
  if (options.ticket_lifetime.count() < 0 || options.ticket_lifetime > kTicketLifetimeMax) {
    return fail(errc::bad_setting, "ticket_lifetime is 0 (no tickets) to 7 days");
  }
  const std::shared_ptr<TlsServer> made(new TlsServer(std::move(options), std::move(tickets)));
  auto alpn = alpn_list(made->options_.alpn);
  if (!alpn) return fail(alpn.error());
  made->alpn_ = *std::move(alpn);
  if (auto loaded = made->load_client_ca(now); !loaded) return fail(loaded.error());
  for (const CertificateFiles& files : made->options_.certificates) {
    if (auto added = made->add(files, now); !added) return fail(added.error());
  }
  return std::shared_ptr<const TlsServer>(made);
}

std::unique_ptr<Transport> TlsServer::accept(WallMs now) const {
  if (options_.ticket_lifetime.count() > 0) tickets_->keep_fresh(now, options_.ticket_lifetime);
  return TlsTransport::make(groups_.front()->context.get(), true, shared_from_this());
}

SSL_CTX* TlsServer::context_for(std::string_view server_name) const {
  const std::string name = lower(server_name);
  if (const auto found = by_name_.find(name); found != by_name_.end()) return found->second->context.get();
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto found = by_parent_.find(std::string_view(name).substr(dot + 1));
  return found == by_parent_.end() ? nullptr : found->second->context.get();
}

// --- loading ---

Result<void> TlsServer::add(const CertificateFiles& files, WallMs now) {
  auto own = load_own_certificate(files.certificate, files.key, "the certificate");
  if (!own) return fail(own.error());
  X509* const certificate = own->chain.front().get();
  X509* const issuer = own->chain.size() > 1 ? own->chain[1].get() : nullptr;
  const auto bad = [&](const std::string& what) {
    return fail(errc::bad_file, "the certificate " + files.certificate + " " + what);
  };
  CertificateDescription description = describe(certificate);
  description.file = files.certificate;
  if (description.not_after <= now) {
    return bad("expired at " + date(description.not_after) + ": get a new one (" + description.subject + ")");
  }
  if (description.not_before > now) {
    return bad("is valid only from " + date(description.not_before) + " on: look at this machine's clock");
  }
  if (description.names.empty()) return bad("has no name: no client could check that it is ours");
  if (description.not_after < now + kExpiresSoonMs) {
    warnings_.push_back("the certificate " + files.certificate + " expires at " +
                        date(description.not_after));
  }
  if (readable_by_others(files.key)) {
    warnings_.push_back("the private key " + files.key +
                        " can be read by every user of this machine: chmod o= it");
  }
  if (issuer && X509_check_issued(issuer, certificate) != X509_V_OK) {
    warnings_.push_back("the second certificate in " + files.certificate +
                        " is not the issuer of the first: clients will not find a chain to a root they know");
  }

  auto group = group_for(description.names, EVP_PKEY_get_base_id(own->key.get()));
  if (!group) return fail(group.error());
  if (auto used = own->use_in((*group)->context.get(), files.certificate); !used) return used;

  if (!files.ocsp.empty()) {
    auto staple = load_ocsp_staple(files.ocsp, certificate, issuer, now);
    if (!staple) return fail(staple.error());
    if (staple->until <= now) {
      warnings_.push_back("the OCSP response " + files.ocsp + " ended at " + date(staple->until) +
                          " and is not stapled: fetch a new one");
    } else {
      description.ocsp_until = staple->until;
      stapled_.push_back({std::move(own->chain.front()), *std::move(staple)});
    }
  }
  descriptions_.push_back(std::move(description));
  return {};
}

Result<TlsServer::Group*> TlsServer::group_for(const std::vector<std::string>& names, int key_kind) {
  for (const auto& group : groups_) {
    if (group->names == names && std::ranges::find(group->key_kinds, key_kind) == group->key_kinds.end()) {
      group->key_kinds.push_back(key_kind);
      return group.get();
    }
  }
  auto context = make_context();
  if (!context) return fail(context.error());
  Group& group =
      *groups_.emplace_back(std::make_unique<Group>(Group{names, {key_kind}, *std::move(context)}));
  for (const std::string& written : names) {
    const std::string name = lower(written);
    // The first certificate for a name is the one.
    if (name.starts_with("*.")) {
      by_parent_.emplace(name.substr(2), &group);
    } else {
      by_name_.emplace(name, &group);
    }
  }
  return &group;
}

Result<ContextPtr> TlsServer::make_context() {
  ERR_clear_error();
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) return fail(errc::internal, "TLS cannot be set up: " + openssl_words());
  SSL_CTX* const c = context.get();
  SSL_CTX_set_app_data(c, this);
  SSL_CTX_set_min_proto_version(c, options_.version_min == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(c, 0);
  if (SSL_CTX_set_cipher_list(c, options_.ciphers.c_str()) != 1) {
    return fail(errc::bad_setting, "ciphers = \"" + options_.ciphers +
                                       "\" names no cipher of TLS 1.2 that there is: " + openssl_words() +
                                       "; openssl ciphers -v lists them");
  }
  if (SSL_CTX_set_ciphersuites(c, options_.ciphersuites.c_str()) != 1) {
    return fail(errc::bad_setting, "ciphersuites = \"" + options_.ciphersuites +
                                       "\" is not a list of cipher suites of TLS 1.3: " + openssl_words());
  }
  if (SSL_CTX_set1_groups_list(c, kGroups) != 1)
    return fail(errc::internal, "TLS cannot be set up: " + openssl_words());
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_msg_callback(c, TlsTransport::on_message);
  SSL_CTX_set_max_send_fragment(c, kRecordBytesMax);
  SSL_CTX_set_max_cert_list(c, kClientChainBytesMax);
  SSL_CTX_set_tlsext_servername_callback(c, Callbacks::server_name);
  SSL_CTX_set_tlsext_status_cb(c, Callbacks::staple);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(c, Callbacks::alpn, nullptr);

  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>(session_context_.data()),
                                 static_cast<unsigned>(session_context_.size()));
  if (options_.ticket_lifetime.count() > 0) {
    SSL_CTX_set_timeout(c, options_.ticket_lifetime.count());
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, Callbacks::ticket);
  } else {
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(c, 0);
  }

  if (options_.client_certificates != ClientCertificates::off) {
    const bool required = options_.client_certificates == ClientCertificates::required;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       TlsTransport::on_verified);
    SSL_CTX_set_verify_depth(c, options_.verify_depth);
    SSL_CTX_set1_cert_store(c, client_store_.get());
    for (const CertificatePtr& ca : client_ca_) SSL_CTX_add_client_CA(c, ca.get());
    // Or it would look for certificates above ours among the clients' authorities.
    SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);
  }
  return context;
}

Result<void> TlsServer::load_client_ca(WallMs now) {
  std::string checked_against = std::to_string(static_cast<int>(options_.client_certificates));
  if (options_.client_certificates != ClientCertificates::off) {
    const std::string& path = options_.client_ca_file;
    if (path.empty()) {
      return fail(errc::bad_setting,
                  "client certificates are asked for, but client_ca_file does not say who issues them");
    }
    auto authorities = read_certificates(path, "the certificate authority");
    if (!authorities) return fail(authorities.error());
    client_ca_ = *std::move(authorities);
    client_store_.reset(X509_STORE_new());
    if (!client_store_) return fail(errc::internal, "TLS cannot be set up: no memory");
    for (const CertificatePtr& ca : client_ca_) {
      if (X509_check_ca(ca.get()) == 0) {
        return fail(errc::bad_file,
                    "the certificate authority " + path + ": " + subject(ca.get()) +
                        " is not an authority's certificate (basicConstraints CA:TRUE); clients' own "
                        "certificates do not belong there");
      }
      if (const WallMs end = wall_ms(X509_get0_notAfter(ca.get())); end <= now) {
        warnings_.push_back("the certificate authority " + subject(ca.get()) + " in " + path +
                            " expired at " + date(end));
      }
      X509_STORE_add_cert(client_store_.get(), ca.get());
      checked_against += fingerprint(ca.get());
    }
    for (const std::string& file : options_.crl_files) {
      auto crls = read_crls(file);
      if (!crls) return fail(crls.error());
      for (const CrlPtr& crl : *crls) {
        const WallMs next = wall_ms(X509_CRL_get0_nextUpdate(crl.get()));
        if (next != 0 && next <= now) {
          warnings_.push_back("the revocation list " + file + " ended at " + date(next) +
                              ": clients of that authority are refused until there is a new one");
        }
        X509_STORE_add_crl(client_store_.get(), crl.get());
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        X509_CRL_digest(crl.get(), EVP_sha256(), digest, &size);
        checked_against.append(reinterpret_cast<const char*>(digest), size);
      }
    }
    if (!options_.crl_files.empty()) {
      X509_STORE_set_flags(client_store_.get(), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
  }
  // Tickets are good only where the same was checked: with a new list of revocations all clients show their
  // certificates anew.
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_Digest(checked_against.data(), checked_against.size(), digest, &size, EVP_sha256(), nullptr) ==
        1);
  session_context_.assign(reinterpret_cast<const char*>(digest),
                          std::min<size_t>(size, SSL_MAX_SID_CTX_LENGTH));
  return {};
}

}  // namespace courier::net::tls
