// The PROXY protocol, versions 1 (a text line) and 2 (binary): how a balancer says who the client really is.
// After https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt. Sans-I/O; decoder and encoder.
//
// The header comes first on a connection, before TLS and before WebSocket. The reader keeps what has arrived
// and calls decode_proxy_header() on it until the answer is no longer ProxyNeedMore. Both versions are told
// apart by their first bytes. Who may send a header at all is ProxyPolicy's business (proxy_policy.h).
//
// 1. Memory is bounded: a line beyond 107 bytes, or a binary header that announces more than kProxyV2SizeMax,
//    is refused before its body arrives.
// 2. Nothing behind the header is looked at: `size` says where the client's own bytes begin.
// 3. A text line is taken only exactly as the specification spells it: one space between fields, decimal
//    ports without leading zeros, addresses of the announced family, CR LF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "net/socket_address.h"

namespace courier::net {

// What the balancer tells about TLS that it ended itself (PP2_TYPE_SSL).
struct ProxyTls {
  bool over_tls = false;                     // the client came over TLS
  bool certificate_this_connection = false;  // and showed a certificate, in this connection
  bool certificate_this_session = false;     // or earlier in its TLS session
  bool verified = false;                     // and the balancer found it good
  std::string version;                       // "TLSv1.3"
  std::string common_name;                   // the certificate's CN; valid UTF-8 without NUL
  std::string cipher;

  // The common name stands for somebody: a certificate was shown and verified.
  bool identifies_client() const {
    return verified && (certificate_this_connection || certificate_this_session) && !common_name.empty();
  }
  bool operator==(const ProxyTls&) const = default;
};

struct ProxyHeader {
  uint8_t version = 2;  // 1 or 2
  // The balancer speaks for itself, as for a health check: use the connection's own addresses, log nothing.
  bool local = false;
  // Both set or both absent. Absent with LOCAL, and where the balancer does not know or has no words for the
  // family (v1 UNKNOWN, v2 UNSPEC): use the connection's own addresses.
  std::optional<SocketAddress> source;
  std::optional<SocketAddress> destination;
  std::string alpn;       // the protocol that the client chose in TLS
  std::string authority;  // the host name that it asked for (SNI)
  std::string unique_id;  // of the connection, for correlating logs; any bytes, at most 128
  std::optional<ProxyTls> tls;
  size_t size = 0;  // bytes of the header, from the front

  bool operator==(const ProxyHeader&) const = default;
};

// Everything so far fits a header. `total` is its whole size when already known, else 0.
struct ProxyNeedMore {
  size_t total = 0;
};
// It began as a header and is none: the connection must be closed. Static text: "v1: the port is not a
// number".
struct ProxyViolation {
  std::string_view what;
};
// The first bytes cannot begin a header.
struct NotProxy {};

using ProxyDecoded = std::variant<ProxyNeedMore, ProxyHeader, ProxyViolation, NotProxy>;

// Decodes the header at the front of `bytes`, everything that has arrived so far.
ProxyDecoded decode_proxy_header(std::string_view bytes);

// A v1 line. "PROXY UNKNOWN" when the header has no addresses or those of a Unix socket. The rest of the
// header has no place in v1. An IPv4 and an IPv6 address together are both written as IPv6.
std::string encode_proxy_v1(const ProxyHeader& header);

// A v2 header with all that `header` says (its version and size are not looked at), and with a checksum if
// wanted. CHECKs that it stays within kProxyV2SizeMax.
std::string encode_proxy_v2(const ProxyHeader& header, bool checksum = false);

}  // namespace courier::net
