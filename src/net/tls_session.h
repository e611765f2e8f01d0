// What TLS found out about a connection: what was agreed on, and who the peer proved to be. Plain values,
// made when somebody asks; the port's words, so that whoever reads them knows no TLS library.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace courier::net {

// A certificate that the peer showed and that was verified. Names are as the certificate has them, valid
// UTF-8 without NUL: one that is not is left out, because it could pass for another.
struct PeerCertificate {
  std::string common_name;       // the last CN of the subject; empty without one
  std::string organization;      // likewise the last O,
  std::string unit;              // and the last OU
  std::string subject;           // "CN=phone-17,O=Example", RFC 2253
  std::vector<std::string> dns;  // subject alternative names, by kind
  std::vector<std::string> uri;
  std::vector<std::string> email;
  std::string serial;       // hexadecimal, lower case, without leading zeros
  std::string fingerprint;  // SHA-256 of the certificate, 64 hexadecimal digits, lower case
  WallMs not_after = 0;

  bool operator==(const PeerCertificate&) const = default;
};

struct TlsSession {
  std::string version;      // "TLSv1.3"
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string server_name;  // SNI; empty when the client sent none
  std::string alpn;         // the protocol agreed on; empty without
  bool resumed = false;     // no full handshake: a ticket of an earlier one
  std::optional<PeerCertificate> certificate;

  bool operator==(const TlsSession&) const = default;
};

}  // namespace courier::net
