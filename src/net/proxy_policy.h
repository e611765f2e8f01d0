// Who may say, by a PROXY header, that a connection comes from somebody else.
//
// Immutable after open(); any thread. One per listener.
//
//   mode       peer trusted                 peer not trusted
//   off        no header is looked for      no header is looked for
//   optional   a header may come            no header is looked for: one that comes anyway is the client's
//                                           own bytes, which are no MQTT, so the connection ends
//   required   a header must come           the connection is refused
//
// The caller counts what ends a connection here (refused, ProxyViolation, NotProxy where one must come), but
// not a peer that closes before it has sent a whole header, nor a LOCAL header: those are health probes,
// without a log line and without a counter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/cidr.h"
#include "net/socket_address.h"

namespace courier::net {

enum class ProxyMode : uint8_t { off, optional, required };

// "off", "optional", "required"; errc::bad_network otherwise.
Result<ProxyMode> parse_proxy_mode(std::string_view text);
std::string_view to_string(ProxyMode mode);

// What to do with a connection that was just accepted.
enum class ProxyExpectation : uint8_t {
  none,       // its bytes are the client's
  may_come,   // decode_proxy_header(); NotProxy means that its bytes are the client's
  must_come,  // decode_proxy_header(); NotProxy is a violation
  refuse,     // close it
};

class ProxyPolicy {
 public:
  ProxyPolicy() = default;  // off

  // `trusted`: networks as Cidr::parse() takes them. An empty list is refused unless the mode is off: whom to
  // believe is never left open; 0.0.0.0/0 and ::/0 say "everybody". errc::bad_network.
  static Result<ProxyPolicy> open(ProxyMode mode, const std::vector<std::string>& trusted);

  ProxyMode mode() const { return mode_; }
  // Unix sockets are trusted: their file's permissions say who may connect.
  bool trusts(const SocketAddress& peer) const;
  ProxyExpectation expectation(const SocketAddress& peer) const;

 private:
  ProxyMode mode_ = ProxyMode::off;
  std::vector<Cidr> trusted_;
};

}  // namespace courier::net
