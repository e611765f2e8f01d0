// A network in CIDR notation: "10.0.0.0/8", "2001:db8::/32", or one address. For trusted balancers and bans.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/socket_address.h"

namespace courier::net {

class Cidr {
 public:
  // Bits set behind the prefix are refused, since "10.1.2.3/8" is a slip more often than a wish: the sentence
  // offers "10.0.0.0/8". errc::bad_network.
  static Result<Cidr> parse(std::string_view text);

  // The port does not matter. Families do not mix: "::/0" is every IPv6 address and no IPv4 one. A Unix
  // socket is in no network.
  bool contains(const SocketAddress& address) const;
  std::string to_string() const;
  const SocketAddress& network() const { return network_; }  // without a port
  unsigned bits() const { return bits_; }                    // of its prefix

  bool operator==(const Cidr&) const = default;

 private:
  SocketAddress network_;
  unsigned bits_ = 0;
};

}  // namespace courier::net
