// What a certificate says, in our words: for the peer's identity, and to describe our own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/tls/openssl.h"
#include "net/tls_session.h"

namespace courier::net::tls {

// One of our own certificates, for the admin API and metrics.
struct CertificateDescription {
  std::string file;
  std::string subject;
  std::vector<std::string> names;  // for which a client may ask (SNI)
  std::string key;                 // "RSA 2048", "EC P-256"
  std::string fingerprint;         // SHA-256
  WallMs not_before = 0, not_after = 0;
  WallMs ocsp_until = 0;  // when the stapled response ends; 0 without one
};

CertificateDescription describe(X509* certificate);
// At most kNamesMax names of a kind, none longer than kNameBytesMax.
PeerCertificate peer_certificate(X509* certificate);
// The DNS names of the subject alternative names; without any the common name.
std::vector<std::string> server_names(X509* certificate);

std::string subject(X509* certificate);
std::string fingerprint(X509* certificate);
WallMs wall_ms(const ASN1_TIME* time);
// "2026-11-23 04:00 UTC"
std::string date(WallMs time);

}  // namespace courier::net::tls
