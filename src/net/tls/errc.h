// Why a TLS connection failed, or a TLS setting cannot be used. The codes' message() is a word for a metric's
// label.
#pragma once

#include <system_error>

namespace courier::net::tls {

enum class errc {
  not_tls = 1,         // plain HTTP, plain MQTT, garbage
  no_shared_version,   // older than the oldest that is allowed; SSL 2 and 3
  no_shared_cipher,    // nor group, nor signature algorithm
  no_shared_protocol,  // ALPN
  no_certificate,      // one is required
  bad_certificate,     // malformed, or not for this purpose
  expired_certificate,
  revoked_certificate,
  unknown_ca,
  no_current_crl,   // revocation cannot be told: the issuer's list is missing or too old
  wrong_name,       // the server's certificate is for another name
  too_large,        // a message, or the whole handshake
  key_updates,      // more changes of keys than anybody needs
  refused_by_peer,  // it sent an alert
  protocol,         // anything else that is not TLS's order of things
  internal,         // ours: no memory, no randomness
  bad_setting,
  bad_file,
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::net::tls

template <>
struct std::is_error_code_enum<courier::net::tls::errc> : std::true_type {};
