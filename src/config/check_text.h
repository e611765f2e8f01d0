// What a text must look like to be an address, a network, a path… Pure; each says why it is not, or nullopt.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace courier::config {

// "IPv4:port" or "[IPv6]:port"; names are not looked up.
std::optional<std::string> check_ip_bind(std::string_view text);
// The same, or "unix:/path".
std::optional<std::string> check_bind(std::string_view text);
// "10.0.0.0/8", "fd00::/8", or a single address; no bits behind the prefix.
std::optional<std::string> check_cidr(std::string_view text);
// No NUL, no line feed.
std::optional<std::string> check_path(std::string_view text);
// The same of a file that is read; or "credential:NAME", the name being 1 to 255 of A-Z, a-z, 0-9, ".", "_"
// and
// "-". See credentials.h.
inline constexpr std::string_view kCredential = "credential:";
std::optional<std::string> check_input_file(std::string_view text);
// [a-z0-9_-]{1,32} and not only digits: it is a metric label, and overrides tell it from an index.
std::optional<std::string> check_listener_name(std::string_view text);
// [A-Za-z0-9._-]{1,64}
std::optional<std::string> check_mountpoint(std::string_view text);
// A protocol of ALPN: 1 to 255 printable characters without spaces.
std::optional<std::string> check_alpn(std::string_view text);
// "/mqtt": an absolute path without query.
std::optional<std::string> check_url_path(std::string_view text);
// "http://…" or "https://…", without white space, at most 2,048 bytes.
std::optional<std::string> check_http_url(std::string_view text);
// "Name: value", without line ends and other control characters.
std::optional<std::string> check_http_header(std::string_view text);
// [A-Za-z0-9._-]{1,64}, beginning with a letter or a digit: part of a key in etcd, and a metric label.
std::optional<std::string> check_node_name(std::string_view text);
// "HOST:PORT", the host a name or an address.
std::optional<std::string> check_endpoint(std::string_view text);
// A kind of the catalogue of events.
std::optional<std::string> check_event_kind(std::string_view text);
// At least 16 printable characters without spaces.
std::optional<std::string> check_token(std::string_view text);

}  // namespace courier::config
