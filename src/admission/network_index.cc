#include "admission/network_index.h"

namespace courier::admission {

NetworkIndex::Key NetworkIndex::key_of(const net::SocketAddress& address, unsigned bits) {
  const auto bytes = address.ip_bytes();
  uint64_t halves[2] = {0, 0};
  for (size_t i = 0; i < bytes.size(); ++i) halves[i / 8] |= uint64_t{bytes[i]} << (56 - 8 * (i % 8));
  const bool v4 = address.family() == net::Family::ipv4;
  return {halves[0], halves[1], static_cast<uint16_t>(bits | (v4 ? 256u : 0u))};
}

NetworkIndex::Key NetworkIndex::key_of(const net::Cidr& network) {
  return key_of(network.network(), network.bits());
}

void NetworkIndex::put(const net::Cidr& network, BanId id) {
  const bool v4 = network.network().family() == net::Family::ipv4;
  if (ids_.insert_or_assign(key_of(network), id).second) ++lengths_[v4][network.bits()];
}

void NetworkIndex::remove(const net::Cidr& network) {
  const bool v4 = network.network().family() == net::Family::ipv4;
  if (ids_.erase(key_of(network)) == 1) --lengths_[v4][network.bits()];
}

std::optional<BanId> NetworkIndex::find(const net::Cidr& network) const {
  const auto at = ids_.find(key_of(network));
  return at == ids_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace courier::admission
