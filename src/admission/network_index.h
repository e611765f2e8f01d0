// Which of many networks an address is in: a hundred thousand of them in less than a microsecond.
//
// One hash table over (network, prefix length), asked once for each length that is there: 33 times for IPv4
// at most, 129 times for IPv6. Asking in vain costs a few nanoseconds, since what tells is beside what would
// have to be compared, and small enough for the cache.
//
// Owned by one thread, or guarded by its owner.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <boost/unordered/unordered_flat_map.hpp>

#include "admission/ban.h"
#include "admission/seeded_hash.h"
#include "net/cidr.h"

namespace courier::admission {

class NetworkIndex {
 public:
  // One ban a network: a later one takes the place.
  void put(const net::Cidr& network, BanId id);
  void remove(const net::Cidr& network);
  std::optional<BanId> find(const net::Cidr& network) const;
  size_t size() const { return ids_.size(); }

  // The first ban, from the narrowest network to the widest, of which `wanted(id)` says yes. 0: none.
  template <typename Wanted>
  BanId find(const net::SocketAddress& address, Wanted&& wanted) const {
    if (!address.is_ip()) return 0;
    const bool v4 = address.family() == net::Family::ipv4;
    Key key = key_of(address, 0);
    for (int bits = v4 ? 32 : 128; bits >= 0; --bits) {
      if (lengths_[v4][static_cast<size_t>(bits)] == 0) continue;
      const auto at = ids_.find(masked(key, v4, static_cast<unsigned>(bits)));
      if (at != ids_.end() && wanted(at->second)) return at->second;
    }
    return 0;
  }

 private:
  struct Key {
    uint64_t high = 0, low = 0;  // IPv4 stands in the upper half of `high`
    uint16_t kind = 0;           // prefix length, and 256 for IPv4
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    using is_avalanching = void;
    size_t operator()(const Key& key) const {
      return mix(key.high ^ key.kind * 0x9E3779B97F4A7C15u, key.low ^ 0xD6E8FEB86659FD93u);
    }
  };

  static Key key_of(const net::SocketAddress& address, unsigned bits);
  static Key masked(const Key& whole, bool v4, unsigned bits) {
    const auto upper = [](unsigned count) { return count == 0 ? 0 : ~uint64_t{0} << (64 - count); };
    return {whole.high & upper(bits < 64 ? bits : 64), whole.low & upper(bits < 64 ? 0 : bits - 64),
            static_cast<uint16_t>(bits | (v4 ? 256u : 0u))};
  }
  static Key key_of(const net::Cidr& network);

  boost::unordered_flat_map<Key, BanId, Hash> ids_;
  std::array<std::array<uint32_t, 129>, 2> lengths_{};  // how many of each; IPv6, IPv4
};

}  // namespace courier::admission
