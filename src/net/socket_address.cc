#include "net/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "net/errc.h"
#include "net/limits.h"

namespace courier::net {

namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

Failure bad(std::string_view text, std::string_view why) {
  return fail(errc::bad_address,
              fmt::format("\"{}\" is not an address: {}; expected \"0.0.0.0:1883\", \"[::]:1883\" or "
                          "\"unix:/run/courier.sock\"",
                          text, why));
}

// Digits only, so that neither "+1883" nor " 1883" passes.
bool parse_port(std::string_view text, uint16_t& port) {
  if (text.empty() || text.size() > 5) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_scope(std::string_view text, uint32_t& scope) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scope);
  if (error == std::errc() && end == text.data() + text.size()) return scope != 0;
  scope = ::if_nametoindex(std::string(text).c_str());
  return scope != 0;
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    if (text.size() == kUnix.size()) return bad(text, "the path is missing");
    return unix_path(text.substr(kUnix.size()));
  }
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return bad(text, "the port is missing");
  std::string_view host = text.substr(0, colon);
  uint16_t port = 0;
  if (!parse_port(text.substr(colon + 1), port)) return bad(text, "the port is not a number from 0 to 65535");
  uint32_t scope = 0;
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
    if (const size_t percent = host.find('%'); percent != host.npos) {
      if (!parse_scope(host.substr(percent + 1), scope))
        return bad(text, "there is no such network interface");
      host = host.substr(0, percent);
    }
  }
  auto address = from_ip(host, port);
  if (!address) return bad(text, fmt::format("\"{}\" is not a numeric IP address", host));
  const bool colons = host.find(':') != host.npos;
  if (colons && !bracketed) return bad(text, "an IPv6 address stands in brackets");
  if (!colons && bracketed) return bad(text, "only an IPv6 address stands in brackets");
  if (address->family_ == Family::ipv6) address->scope_ = scope;
  return address;
}

Result<SocketAddress> SocketAddress::from_ip(std::string_view ip, uint16_t port) {
  char text[INET6_ADDRSTRLEN] = {};
  std::array<uint8_t, 4> v4;
  std::array<uint8_t, 16> v6;
  // A NUL inside would hide what follows it from inet_pton.
  if (ip.size() < sizeof text && ip.find('\0') == ip.npos) {
    std::copy(ip.begin(), ip.end(), text);
    if (::inet_pton(AF_INET, text, v4.data()) == 1) return ipv4(v4, port);
    if (::inet_pton(AF_INET6, text, v6.data()) == 1) return ipv6(v6, port);
  }
  return fail(errc::bad_address, fmt::format("\"{}\" is not a numeric IP address", ip));
}

SocketAddress SocketAddress::ipv4(const std::array<uint8_t, 4>& bytes, uint16_t port) {
  SocketAddress address;
  address.family_ = Family::ipv4;
  address.port_ = port;
  std::copy(bytes.begin(), bytes.end(), address.ip_.begin());
  return address;
}

SocketAddress SocketAddress::ipv6(const std::array<uint8_t, 16>& bytes, uint16_t port, uint32_t scope) {
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
    return ipv4({bytes[12], bytes[13], bytes[14], bytes[15]}, port);
  }
  SocketAddress address;
  address.family_ = Family::ipv6;
  address.port_ = port;
  address.scope_ = scope;
  address.ip_ = bytes;
  return address;
}

Result<SocketAddress> SocketAddress::unix_path(std::string_view path) {
  if (path.size() > kUnixPathMax) {
    return fail(errc::bad_address,
                fmt::format("the socket path \"{}\" is longer than {} bytes", path, kUnixPathMax));
  }
  if (path.find('\0') != path.npos) return fail(errc::bad_address, "a socket path contains a NUL byte");
  SocketAddress address;
  address.family_ = Family::unix_path;
  if (!path.empty()) {
    auto held = std::make_unique<Path>();
    held->text = path;
    address.path_ = Intrusive<Path>(held.release());
  }
  return address;
}

SocketAddress SocketAddress::from_native(const sockaddr* address, socklen_t size) {
  if (size < sizeof(sa_family_t)) return {};
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return ipv4(bytes, ntohs(in.sin_port));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof in);
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return ipv6(bytes, ntohs(in.sin6_port), in.sin6_scope_id);
  }
  if (address->sa_family == AF_UNIX) {
    // The kernel writes no NUL behind a path that fills sun_path. An abstract name starts with one: unnamed.
    const char* path = reinterpret_cast<const char*>(address) + offsetof(sockaddr_un, sun_path);
    const size_t room = size - offsetof(sockaddr_un, sun_path);
    auto result = unix_path({path, std::min(::strnlen(path, room), kUnixPathMax)});
    CHECK(result);
    return *std::move(result);
  }
  return {};
}

Result<SocketAddress> SocketAddress::local_of(int fd) {
  NativeAddress native;
  native.size = sizeof native.storage;
  if (::getsockname(fd, native.get(), &native.size) != 0) {
    return fail(system_error("cannot ask a socket for its own address", errno));
  }
  return from_native(native.get(), native.size);
}

Result<SocketAddress> SocketAddress::peer_of(int fd) {
  NativeAddress native;
  native.size = sizeof native.storage;
  if (::getpeername(fd, native.get(), &native.size) != 0) {
    return fail(system_error("cannot ask a socket for its peer's address", errno));
  }
  return from_native(native.get(), native.size);
}

SocketAddress SocketAddress::with_port(uint16_t port) const {
  SocketAddress other = *this;
  if (is_ip()) other.port_ = port;
  return other;
}

std::string SocketAddress::host() const {
  char text[INET6_ADDRSTRLEN];
  switch (family_) {
    case Family::none:
      return "unknown";
    case Family::ipv4:
      return ::inet_ntop(AF_INET, ip_.data(), text, sizeof text);
    case Family::ipv6: {
      std::string host = ::inet_ntop(AF_INET6, ip_.data(), text, sizeof text);
      return scope_ == 0 ? host : fmt::format("{}%{}", host, scope_);
    }
    case Family::unix_path:
      return fmt::format("unix:{}", path());
  }
  return {};
}

std::string SocketAddress::to_string() const {
  switch (family_) {
    case Family::none:
    case Family::unix_path:
      return host();
    case Family::ipv4:
      return fmt::format("{}:{}", host(), port_);
    case Family::ipv6:
      return fmt::format("[{}]:{}", host(), port_);
  }
  return {};
}

std::string_view SocketAddress::path() const {
  return path_ ? std::string_view(path_->text) : std::string_view();
}

std::span<const uint8_t> SocketAddress::ip_bytes() const {
  const size_t size = family_ == Family::ipv4 ? 4 : family_ == Family::ipv6 ? 16 : 0;
  return {ip_.data(), size};
}

std::array<uint8_t, 16> SocketAddress::ip_mapped() const {
  CHECK(is_ip());
  if (family_ == Family::ipv6) return ip_;
  std::array<uint8_t, 16> mapped;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), mapped.begin());
  std::copy(ip_.begin(), ip_.begin() + 4, mapped.begin() + kMappedPrefix.size());
  return mapped;
}

bool SocketAddress::is_loopback() const {
  if (family_ == Family::ipv4) return ip_[0] == 127;
  if (family_ == Family::ipv6)
    return ip_[15] == 1 && std::all_of(ip_.begin(), ip_.end() - 1, [](auto b) { return b == 0; });
  return family_ == Family::unix_path;
}

NativeAddress SocketAddress::native() const {
  NativeAddress native;
  switch (family_) {
    case Family::none:
      break;
    case Family::ipv4: {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(port_);
      std::memcpy(&in.sin_addr, ip_.data(), 4);
      std::memcpy(&native.storage, &in, sizeof in);
      native.size = sizeof in;
      break;
    }
    case Family::ipv6: {
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port_);
      in.sin6_scope_id = scope_;
      std::memcpy(&in.sin6_addr, ip_.data(), 16);
      std::memcpy(&native.storage, &in, sizeof in);
      native.size = sizeof in;
      break;
    }
    case Family::unix_path: {
      sockaddr_un un{};
      un.sun_family = AF_UNIX;
      std::copy(path().begin(), path().end(), un.sun_path);
      std::memcpy(&native.storage, &un, sizeof un);
      native.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path().size() + 1);
      break;
    }
  }
  return native;
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  return family_ == other.family_ && port_ == other.port_ && scope_ == other.scope_ && ip_ == other.ip_ &&
         path() == other.path();
}

Result<std::vector<SocketAddress>> resolve(const std::string& host, uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &list); code != 0) {
    return fail(errc::unknown_host,
                fmt::format("cannot find the host \"{}\": {}", host, ::gai_strerror(code)));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const SocketAddress address =
        SocketAddress::from_native(entry->ai_addr, entry->ai_addrlen).with_port(port);
    if (address.is_ip() && std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  ::freeaddrinfo(list);
  if (addresses.empty())
    return fail(errc::unknown_host, fmt::format("the host \"{}\" has no IP address", host));
  return addresses;
}

}  // namespace courier::net

size_t std::hash<courier::net::SocketAddress>::operator()(
    const courier::net::SocketAddress& address) const noexcept {
  uint64_t hash = uint64_t{address.port()} << 8 | static_cast<uint64_t>(address.family());
  const auto mix = [&hash](uint8_t byte) { hash = (hash ^ byte) * 0x9E3779B97F4A7C15ull; };
  for (const uint8_t byte : address.ip_bytes()) mix(byte);
  for (const char byte : address.path()) mix(static_cast<uint8_t>(byte));
  return static_cast<size_t>(hash ^ hash >> 32);
}
