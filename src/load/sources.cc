#include "load/sources.h"

#include <fmt/format.h>

#include "load/errc.h"
#include "load/limits.h"

namespace courier::load {

namespace {

Result<void> add_sources(const std::string& text, std::vector<net::SocketAddress>& out) {
  const size_t dash = text.find('-');
  const auto parse = [&](std::string_view part) {
    return net::SocketAddress::parse(part.find(':') == std::string_view::npos ? fmt::format("{}:0", part)
                                                                              : fmt::format("[{}]:0", part));
  };
  const auto first = parse(std::string_view(text).substr(0, dash));
  const auto last = dash == std::string::npos ? first : parse(std::string_view(text).substr(dash + 1));
  const auto wrong = [&] {
    return fail(
        errc::invalid_scenario,
        fmt::format("sources: \"{}\" is not an address, nor a range such as 127.0.0.2-127.0.0.40", text));
  };
  if (!first || !last) return wrong();
  if (dash == std::string::npos) {
    out.push_back(*first);
    return {};
  }
  const auto number = [](const net::SocketAddress& a) {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | a.ip_bytes()[static_cast<size_t>(i)];
    return value;
  };
  if (first->family() != net::Family::ipv4 || last->family() != net::Family::ipv4 ||
      number(*first) > number(*last) || number(*last) - number(*first) >= kSourcesMax) {
    return wrong();
  }
  for (uint64_t n = number(*first); n <= number(*last); ++n) {
    out.push_back(net::SocketAddress::ipv4({static_cast<uint8_t>(n >> 24), static_cast<uint8_t>(n >> 16),
                                            static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)},
                                           0));
  }
  return {};
}

}  // namespace

Result<std::vector<net::SocketAddress>> parse_sources(const std::vector<std::string>& texts) {
  std::vector<net::SocketAddress> out;
  for (const std::string& text : texts) {
    if (auto added = add_sources(text, out); !added) return fail(std::move(added.error()));
    if (out.size() > kSourcesMax) {
      return fail(errc::invalid_scenario, fmt::format("sources: more than {} addresses", kSourcesMax));
    }
  }
  return out;
}

}  // namespace courier::load
