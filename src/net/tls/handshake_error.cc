#include "net/tls/handshake_error.h"

#include <optional>

#include <openssl/err.h>

namespace courier::net::tls {

namespace {

struct Reason {
  errc code;
  std::string_view what;
};

// Why a certificate was not accepted.
Reason certificate_reason(long verified) {
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {errc::expired_certificate, "is not valid at this time"};
    case X509_V_ERR_CERT_REVOKED:
      return {errc::revoked_certificate, "was revoked"};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return {errc::unknown_ca, "is not of a certificate authority that is trusted here"};
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return {errc::no_current_crl,
              "cannot be checked: its issuer's revocation list is missing or out of date"};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {errc::wrong_name, "is for another name"};
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return {errc::bad_certificate, "has more certificates above it than may be"};
    default:
      return {errc::bad_certificate, "is not acceptable"};
  }
}

std::optional<Reason> reason_of(int reason, bool is_server) {
  switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return Reason{
          errc::no_shared_cipher,
          "no cipher suite, group or signature algorithm that both sides allow; look at the listener's "
          "ciphers, and at the kinds of keys that its certificates have"};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return Reason{errc::no_shared_version,
                    is_server ? "the client's versions of TLS are older than the oldest that "
                                "the listener allows"
                              : "the server's version of TLS is not one that is allowed"};
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Reason{errc::no_shared_protocol,
                    "none of the protocols that the client offers (ALPN) is the listener's"};
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return Reason{errc::not_tls, "the peer speaks HTTP without TLS"};
    case SSL_R_WRONG_VERSION_NUMBER:
      return Reason{errc::not_tls,
                    is_server ? "what came is not TLS" : "what came is not TLS: does that port speak it?"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Reason{errc::no_certificate, "the client showed no certificate, and the listener requires one"};
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
      return Reason{errc::too_large,
                    "a message is larger than it may be; a client's certificates may have 6 KB"};
    default:
      return std::nullopt;
  }
}

}  // namespace

Error connection_error(const SSL* ssl, bool is_server, bool opening, std::string_view subject) {
  const std::string peer = is_server ? "client" : "server";
  const std::string where = opening ? "the TLS handshake failed: " : "the TLS connection broke: ";
  std::string words;
  while (const unsigned long error = ERR_get_error()) {
    if (const char* text = ERR_reason_error_string(error); text && words.empty()) words = text;
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) continue;
    const int number = ERR_GET_REASON(error);
    if (number == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      ERR_clear_error();
      const long verified = SSL_get_verify_result(ssl);
      const Reason reason = certificate_reason(verified);
      return {make_error_code(reason.code), where + "the " + peer + "'s certificate" +
                                                (subject.empty() ? "" : " (" + std::string(subject) + ")") +
                                                " " + std::string(reason.what) + ": " +
                                                X509_verify_cert_error_string(verified)};
    }
    if (number > SSL_AD_REASON_OFFSET && number < SSL_AD_REASON_OFFSET + 256) {
      ERR_clear_error();
      return {make_error_code(errc::refused_by_peer),
              where + "the " + peer + " refused, with the alert \"" +
                  SSL_alert_desc_string_long(number - SSL_AD_REASON_OFFSET) + "\""};
    }
    if (const std::optional<Reason> reason = reason_of(number, is_server)) {
      ERR_clear_error();
      return {make_error_code(reason->code), where + std::string(reason->what)};
    }
  }
  return {make_error_code(errc::protocol),
          where + (words.empty() ? "what came is not TLS's order of things" : words)};
}

std::string plain_alert(uint8_t description) {
  const char record[] = {21, 3, 3, 0, 2, 2, static_cast<char>(description)};
  return {record, sizeof(record)};
}

Error not_tls_error(std::string_view bytes, std::string& reply) {
  constexpr char kMqttConnect = 0x10;
  const auto first = static_cast<uint8_t>(bytes.empty() ? 0 : bytes[0]);
  if (bytes.starts_with(kMqttConnect)) {
    return {make_error_code(errc::not_tls),
            "the client speaks MQTT without TLS on a port for TLS: use mqtts:// there, or a listener with "
            "the protocol "
            "\"mqtt\""};
  }
  if (first >= 'A' && first <= 'Z') {
    constexpr std::string_view kBody =
        "This port speaks TLS, and the request came without it. Use wss:// or mqtts://.\n";
    reply.append("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ")
        .append(std::to_string(kBody.size()))
        .append("\r\nConnection: close\r\n\r\n")
        .append(kBody);
    return {make_error_code(errc::not_tls),
            "the client speaks HTTP without TLS on a port for TLS: use wss:// there"};
  }
  // SSL 2 begins with a length whose first bit is set, then says "client hello".
  if ((first & 0x80) && bytes.size() >= 3 && bytes[2] == 1) {
    reply += plain_alert(kAlertProtocolVersion);
    return {make_error_code(errc::no_shared_version), "the TLS handshake failed: the client speaks SSL 2"};
  }
  reply += plain_alert(kAlertUnexpectedMessage);
  return {make_error_code(errc::not_tls), "what came first on a port for TLS is not TLS"};
}

}  // namespace courier::net::tls
