// What OpenSSL says about a connection that failed, as one of our reasons and a sentence for a person.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/tls/errc.h"
#include "net/tls/openssl.h"

namespace courier::net::tls {

// Empties OpenSSL's queue. `opening`: in the handshake; `subject`: of the certificate that was refused.
Error connection_error(const SSL* ssl, bool is_server, bool opening, std::string_view subject);

// Bytes that cannot begin TLS came first; `reply` gets what such a peer would understand.
Error not_tls_error(std::string_view bytes, std::string& reply);

// The record of a fatal alert, as it stands before anything is encrypted.
std::string plain_alert(uint8_t description);
inline constexpr uint8_t kAlertIllegalParameter = 47, kAlertProtocolVersion = 70,
                         kAlertUnexpectedMessage = 10;

}  // namespace courier::net::tls
