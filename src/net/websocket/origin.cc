#include "net/websocket/origin.h"

#include <algorithm>
#include <optional>

#include "net/websocket/errc.h"
#include "net/websocket/http_head.h"

namespace courier::net::websocket {

namespace {

struct Origin {
  std::string_view scheme, host, port;
};

std::string_view own_port(std::string_view scheme) {
  if (equal_without_case(scheme, "https")) return "443";
  if (equal_without_case(scheme, "http")) return "80";
  return {};
}

// [scheme "://"] host [":" port]; a host may be an IPv6 address in brackets.
std::optional<Origin> split(std::string_view text) {
  Origin origin;
  if (const size_t mark = text.find("://"); mark != std::string_view::npos) {
    origin.scheme = text.substr(0, mark);
    if (origin.scheme.empty()) return std::nullopt;
    text.remove_prefix(mark + 3);
  }
  size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    colon = bracket + 1 < text.size() ? bracket + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && text[colon] != ':') return std::nullopt;
  }
  if (colon != std::string_view::npos) {
    origin.port = text.substr(colon + 1);
    if (origin.port.empty() || origin.port.size() > 5 ||
        !std::ranges::all_of(origin.port, [](char c) { return c >= '0' && c <= '9'; })) {
      return std::nullopt;
    }
    text = text.substr(0, colon);
  }
  if (text.empty() || text.find_first_of("/?#@ \t") != std::string_view::npos) return std::nullopt;
  origin.host = text;
  return origin;
}

}  // namespace

Result<OriginPattern> OriginPattern::parse(std::string_view text) {
  OriginPattern pattern;
  if (text == "*") {
    pattern.any_ = true;
    return pattern;
  }
  const std::optional<Origin> parts = split(text);
  std::string_view host = parts ? parts->host : std::string_view();
  if (host.starts_with("*.")) {
    pattern.below_ = true;
    host.remove_prefix(2);
  }
  if (host.empty() || host.find('*') != std::string_view::npos) {
    return fail(errc::bad_setting, "the origin \"" + std::string(text) +
                                       "\" is not of the form https://app.example.com, app.example.com or "
                                       "*.example.com");
  }
  pattern.scheme_ = parts->scheme;
  pattern.host_ = host;
  pattern.port_ = parts->port;
  if (pattern.port_.empty()) pattern.port_ = own_port(pattern.scheme_);
  return pattern;
}

bool OriginPattern::matches(std::string_view origin) const {
  if (any_) return true;
  const std::optional<Origin> parts = split(origin);
  if (!parts) return false;
  if (!scheme_.empty() && !equal_without_case(scheme_, parts->scheme)) return false;
  if (!port_.empty() && port_ != (parts->port.empty() ? own_port(parts->scheme) : parts->port)) return false;
  if (!below_) return equal_without_case(host_, parts->host);
  const std::string_view host = parts->host;
  return host.size() > host_.size() + 1 && host[host.size() - host_.size() - 1] == '.' &&
         equal_without_case(host_, host.substr(host.size() - host_.size()));
}

}  // namespace courier::net::websocket
