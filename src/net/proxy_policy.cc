#include "net/proxy_policy.h"

#include <algorithm>

#include <fmt/format.h>

#include "net/errc.h"

namespace courier::net {

Result<ProxyMode> parse_proxy_mode(std::string_view text) {
  for (const ProxyMode mode : {ProxyMode::off, ProxyMode::optional, ProxyMode::required}) {
    if (text == to_string(mode)) return mode;
  }
  return fail(errc::bad_network,
              fmt::format("\"{}\" is not a PROXY mode; expected off, optional or required", text));
}

std::string_view to_string(ProxyMode mode) {
  switch (mode) {
    case ProxyMode::off:
      return "off";
    case ProxyMode::optional:
      return "optional";
    case ProxyMode::required:
      return "required";
  }
  return "";
}

Result<ProxyPolicy> ProxyPolicy::open(ProxyMode mode, const std::vector<std::string>& trusted) {
  ProxyPolicy policy;
  policy.mode_ = mode;
  if (mode != ProxyMode::off && trusted.empty()) {
    return fail(
        errc::bad_network,
        fmt::format("PROXY headers are {} but nobody is trusted to send them; list the balancers' networks, "
                    "such as \"10.0.0.0/8\" (\"0.0.0.0/0\" and \"::/0\" trust everybody)",
                    to_string(mode)));
  }
  for (const std::string& text : trusted) {
    auto network = Cidr::parse(text);
    if (!network) return fail(network.error().within("trusted balancers"));
    policy.trusted_.push_back(*network);
  }
  return policy;
}

bool ProxyPolicy::trusts(const SocketAddress& peer) const {
  if (peer.family() == Family::unix_path) return true;
  return std::any_of(trusted_.begin(), trusted_.end(),
                     [&](const Cidr& network) { return network.contains(peer); });
}

ProxyExpectation ProxyPolicy::expectation(const SocketAddress& peer) const {
  switch (mode_) {
    case ProxyMode::off:
      return ProxyExpectation::none;
    case ProxyMode::optional:
      return trusts(peer) ? ProxyExpectation::may_come : ProxyExpectation::none;
    case ProxyMode::required:
      return trusts(peer) ? ProxyExpectation::must_come : ProxyExpectation::refuse;
  }
  return ProxyExpectation::refuse;
}

}  // namespace courier::net
