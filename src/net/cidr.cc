#include "net/cidr.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "net/errc.h"

namespace courier::net {

namespace {

// The leading `bits` of `address`, the others zero. The port goes too.
SocketAddress masked(const SocketAddress& address, unsigned bits) {
  std::array<uint8_t, 16> bytes{};
  const auto ip = address.ip_bytes();
  for (size_t i = 0; i < ip.size() && bits > 8 * i; ++i) {
    const unsigned left = std::min<unsigned>(8, bits - static_cast<unsigned>(8 * i));
    bytes[i] = static_cast<uint8_t>(ip[i] & (0xFF00 >> left));
  }
  if (address.family() == Family::ipv4)
    return SocketAddress::ipv4({bytes[0], bytes[1], bytes[2], bytes[3]}, 0);
  return SocketAddress::ipv6(bytes, 0);
}

Failure bad(std::string_view text, std::string_view why) {
  return fail(errc::bad_network, fmt::format("\"{}\" is not a network: {}", text, why));
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view ip = text.substr(0, slash);
  const auto address = SocketAddress::from_ip(ip, 0);
  if (!address)
    return bad(text, "expected an address and a prefix length, such as \"10.0.0.0/8\" or \"fd00::/8\"");
  const auto width = static_cast<unsigned>(address->ip_bytes().size() * 8);
  unsigned bits = width;
  if (slash != text.npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
    const bool number = error == std::errc() && end == length.data() + length.size();
    // "::ffff:10.0.0.0/104" counts its prefix in IPv6 bits.
    if (number && width == 32 && ip.find(':') != ip.npos) bits = bits < 96 ? width + 1 : bits - 96;
    if (!number || bits > width)
      return bad(text, fmt::format("the prefix length is not a number from 0 to {}", width));
  }
  Cidr cidr;
  cidr.network_ = masked(*address, bits);
  cidr.bits_ = bits;
  if (cidr.network_ != *address) {
    return bad(text, fmt::format("bits are set behind the prefix; did you mean \"{}\"?", cidr.to_string()));
  }
  return cidr;
}

bool Cidr::contains(const SocketAddress& address) const {
  const auto mine = network_.ip_bytes();
  const auto other = address.ip_bytes();
  if (mine.empty() || mine.size() != other.size()) return false;
  const size_t whole = bits_ / 8;
  if (!std::equal(mine.begin(), mine.begin() + static_cast<ptrdiff_t>(whole), other.begin())) return false;
  const unsigned left = bits_ % 8;
  return left == 0 || ((mine[whole] ^ other[whole]) & (0xFF00 >> left) & 0xFF) == 0;
}

std::string Cidr::to_string() const {
  return fmt::format("{}/{}", network_.host(), bits_);
}

}  // namespace courier::net
