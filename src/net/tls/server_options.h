// What a TLS listener is set to, as the settings have it. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace courier::net::tls {

enum class Version : uint8_t { tls1_2, tls1_3 };
enum class ClientCertificates : uint8_t { off, optional, required };

struct CertificateFiles {
  std::string certificate;  // PEM: the server's own, then those above it
  std::string key;          // PEM
  std::string ocsp;         // DER: a response to staple; empty: none
};

struct ServerOptions {
  // Which one a client gets follows from the name it asks for (SNI) and the certificates' own names; the
  // first is for all others. Two of the same names and different kinds of keys (RSA and EC) go together.
  std::vector<CertificateFiles> certificates;
  Version version_min = Version::tls1_2;
  // OpenSSL's words. The first for TLS 1.2, the second for 1.3.
  std::string ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
  std::string ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
  // Who offers only others is refused; who offers none is let in. Empty: whatever is offered is ignored.
  // For WebSocket over TLS {"http/1.1"}.
  std::vector<std::string> alpn = {"mqtt"};
  ClientCertificates client_certificates = ClientCertificates::off;
  std::string client_ca_file;          // PEM: who issues them
  std::vector<std::string> crl_files;  // PEM or DER; with any, every issuer needs a current one
  int verify_depth = 4;                // certificates between the client's and a trusted one
  // For how long a client may come back without a full handshake; 0: never.
  std::chrono::seconds ticket_lifetime = std::chrono::hours(12);
};

}  // namespace courier::net::tls
