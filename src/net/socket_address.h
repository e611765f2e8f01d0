// Where a socket is: an IPv4 or IPv6 address with a port, or the path of a Unix socket. A value of 32 bytes.
//
// An IPv4 address that comes in IPv6 clothes (::ffff:192.0.2.1, as accept() reports on a listener for both
// families, or as a PROXY header may say) becomes the IPv4 address at once, so that limits, bans and trusted
// networks see one spelling.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/intrusive.h"
#include "base/result.h"

namespace courier::net {

enum class Family : uint8_t { none, ipv4, ipv6, unix_path };

// An address as the kernel takes it.
struct NativeAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

class SocketAddress {
 public:
  SocketAddress() = default;  // Family::none

  // "0.0.0.0:1883", "[::]:1883", "[fe80::1%eth0]:1883", "unix:/run/courier.sock". No names: see resolve().
  // errc::bad_address with a sentence that says what was expected.
  static Result<SocketAddress> parse(std::string_view text);
  // "192.0.2.1" or "2001:db8::1", strictly as inet_pton takes them, without brackets.
  static Result<SocketAddress> from_ip(std::string_view ip, uint16_t port);
  static SocketAddress ipv4(const std::array<uint8_t, 4>& bytes, uint16_t port);
  static SocketAddress ipv6(const std::array<uint8_t, 16>& bytes, uint16_t port, uint32_t scope = 0);
  // "" is the unnamed socket, such as a client's. errc::bad_address beyond kUnixPathMax or with a NUL inside.
  static Result<SocketAddress> unix_path(std::string_view path);
  // Family::none for families other than the three.
  static SocketAddress from_native(const sockaddr* address, socklen_t size);

  // Of the socket itself; errc::system when `fd` is no socket (any more).
  static Result<SocketAddress> local_of(int fd);
  static Result<SocketAddress> peer_of(int fd);

  Family family() const { return family_; }
  bool is_ip() const { return family_ == Family::ipv4 || family_ == Family::ipv6; }
  uint16_t port() const { return port_; }  // 0 unless is_ip()
  SocketAddress with_port(uint16_t port) const;
  // The same text that parse() takes; "unix:" for an unnamed socket, "unknown" for Family::none.
  std::string to_string() const;
  // Without the port: "192.0.2.1", "2001:db8::1", "unix:/path".
  std::string host() const;
  std::string_view path() const;  // of a Unix socket; lives as long as this
  // 4 or 16 bytes in network order, or none.
  std::span<const uint8_t> ip_bytes() const;
  // The address as 16 bytes of IPv6, IPv4 ones mapped: one key for tables by host. is_ip() only.
  std::array<uint8_t, 16> ip_mapped() const;
  bool is_loopback() const;
  NativeAddress native() const;

  bool operator==(const SocketAddress& other) const;

 private:
  struct Path : RefCounted<Path> {
    std::string text;
  };

  Family family_ = Family::none;
  uint16_t port_ = 0;
  uint32_t scope_ = 0;
  std::array<uint8_t, 16> ip_{};
  Intrusive<Path> path_;
};

// The addresses of a name or a numeric address, for clients. Asks the system's resolver and BLOCKS, for
// seconds at worst: never on a shard thread. `host` without brackets. errc::unknown_host.
Result<std::vector<SocketAddress>> resolve(const std::string& host, uint16_t port);

}  // namespace courier::net

template <>
struct std::hash<courier::net::SocketAddress> {
  size_t operator()(const courier::net::SocketAddress& address) const noexcept;
};
