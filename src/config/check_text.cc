#include "config/check_text.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "events/catalogue/catalogue.h"

namespace courier::config {
namespace {

bool is_address(int family, std::string_view text) {
  unsigned char bytes[16];
  if (text.find('\0') != std::string_view::npos) return false;  // inet_pton would stop there and be content
  return text.size() < INET6_ADDRSTRLEN && ::inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

std::optional<uint32_t> parse_number(std::string_view text, uint32_t max) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

bool only(std::string_view text, size_t bytes_max, bool (*allowed)(char)) {
  return text.size() <= bytes_max && std::all_of(text.begin(), text.end(), allowed);
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

}  // namespace

std::optional<std::string> check_ip_bind(std::string_view text) {
  const std::string shape = "it must be ADDRESS:PORT, as in \"0.0.0.0:1883\" or \"[::]:1883\"";
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return shape;
  if (!parse_number(text.substr(colon + 1), 65'535)) return "the port must be a number from 0 to 65535";
  const std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view address = host.substr(1, host.size() - 2);
    // Behind the % stands an interface, which only the kernel can judge.
    if (is_address(AF_INET6, address.substr(0, address.find('%')))) return std::nullopt;
    return "what stands in brackets is not an IPv6 address";
  }
  if (is_address(AF_INET, host)) return std::nullopt;
  if (is_address(AF_INET6, host)) return "an IPv6 address stands in brackets: \"[::]:1883\"";
  return shape + "; names are not looked up";
}

std::optional<std::string> check_bind(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (!text.starts_with(kUnix)) return check_ip_bind(text);
  const std::string_view path = text.substr(kUnix.size());
  if (path.size() < sizeof(sockaddr_un::sun_path) && path.starts_with('/')) return check_path(path);
  return "the path of a Unix socket starts with / and has at most 107 bytes";
}

std::optional<std::string> check_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  const bool v4 = is_address(AF_INET, address);
  if (!v4 && !is_address(AF_INET6, address)) {
    return "it must be a network, as in \"10.0.0.0/8\" or \"fd00::/8\"";
  }
  const uint32_t width = v4 ? 32 : 128;
  uint32_t prefix = width;
  if (slash != std::string_view::npos) {
    const auto given = parse_number(text.substr(slash + 1), width);
    if (!given)
      return v4 ? "the prefix of an IPv4 network is 0 to 32" : "the prefix of an IPv6 network is 0 to 128";
    prefix = *given;
  }
  unsigned char bytes[16] = {};
  ::inet_pton(v4 ? AF_INET : AF_INET6, address.c_str(), bytes);
  for (uint32_t bit = prefix; bit < width; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
      return "bits are set behind the prefix: 10.1.2.3/8 would be 10.0.0.0/8";
    }
  }
  return std::nullopt;
}

std::optional<std::string> check_path(std::string_view text) {
  if (text.find('\0') != std::string_view::npos || text.find('\n') != std::string_view::npos) {
    return "a path has no NUL and no line feed";
  }
  return std::nullopt;
}

std::optional<std::string> check_input_file(std::string_view text) {
  if (!text.starts_with(kCredential)) return check_path(text);
  const std::string_view name = text.substr(kCredential.size());
  const bool good = !name.empty() && name != "." && name != ".." && only(name, 255, [](char c) {
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
  });
  if (good) return std::nullopt;
  return "a credential's name is 1 to 255 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"";
}

std::optional<std::string> check_listener_name(std::string_view text) {
  const bool letters =
      only(text, 32, [](char c) { return is_lower(c) || is_digit(c) || c == '-' || c == '_'; });
  if (letters && !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  return "a name is 1 to 32 of a-z, 0-9, - and _, and not a number";
}

std::optional<std::string> check_mountpoint(std::string_view text) {
  const auto allowed = [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
  };
  if (only(text, 64, allowed)) return std::nullopt;
  return "a mountpoint is at most 64 of A-Z, a-z, 0-9, ., - and _";
}

std::optional<std::string> check_alpn(std::string_view text) {
  if (!text.empty() && only(text, 255, [](char c) { return c > ' ' && c <= '~'; })) return std::nullopt;
  return "a protocol of ALPN is 1 to 255 printable characters without spaces";
}

std::optional<std::string> check_http_header(std::string_view text) {
  const size_t colon = text.find(':');
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (colon == 0 || colon == std::string_view::npos || !std::ranges::all_of(text.substr(0, colon), is_letter))
    return "it must be \"Name: value\"";
  if (std::ranges::any_of(text, [](char c) { return static_cast<uint8_t>(c) < ' ' || c == 0x7F; }))
    return "it holds a line end or another control character";
  return std::nullopt;
}

std::optional<std::string> check_node_name(std::string_view text) {
  const auto letter = [](char c) { return is_lower(c) || is_upper(c) || is_digit(c); };
  const bool begins = !text.empty() && letter(text.front());
  const auto allowed = [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
  };
  if (begins && only(text, 64, allowed)) return std::nullopt;
  return "a name is 1 to 64 of A-Z, a-z, 0-9, ., - and _, and begins with a letter or a digit";
}

std::optional<std::string> check_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool port =
      colon != std::string_view::npos && parse_number(text.substr(colon + 1), 65'535).value_or(0) > 0;
  const auto allowed = [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '-' || c == ':' || c == '[' ||
           c == ']';
  };
  if (port && !host.empty() && only(host, 255, allowed)) return std::nullopt;
  return "it must be HOST:PORT, as in \"10.0.0.1:2379\", without http://";
}

std::optional<std::string> check_url_path(std::string_view text) {
  const auto allowed = [](char c) { return c > ' ' && c <= '~' && c != '?' && c != '#'; };
  if (text.starts_with('/') && only(text, 1024, allowed)) return std::nullopt;
  return "a path begins with / and has no spaces, ? or #, as in \"/mqtt\"";
}

std::optional<std::string> check_http_url(std::string_view text) {
  const size_t host = text.starts_with("http://") ? 7 : text.starts_with("https://") ? 8 : 0;
  if (host == 0 || text.size() == host) return "it is no URL that begins with http:// or https://";
  if (text.size() > 2048) return "it is longer than 2,048 bytes";
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7F; }))
    return "it holds white space or control characters";
  return std::nullopt;
}

std::optional<std::string> check_event_kind(std::string_view text) {
  if (events::kind_of(text)) return std::nullopt;
  std::string known;
  for (const events::KindInfo& each : events::kinds()) {
    if (!known.empty()) known += ", ";
    known += each.name;
  }
  return "there is no such event; there are " + known;
}

std::optional<std::string> check_token(std::string_view text) {
  if (text.size() >= 16 && only(text, 4096, [](char c) { return c > ' ' && c <= '~'; })) return std::nullopt;
  return "a token is at least 16 printable characters without spaces";
}

}  // namespace courier::config
