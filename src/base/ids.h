// Numbers that must not be mixed up. Two StrongIds with different tags never compile as one another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace courier {

template <typename Tag, typename Number>
struct StrongId {
  Number value{};

  constexpr StrongId() = default;
  constexpr explicit StrongId(Number v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr explicit operator bool() const { return value != Number{}; }
};

// A place in the ordered log. Strictly increasing from record to record, not dense. 0 is "before all".
using Position = StrongId<struct PositionTag, uint64_t>;

// A session, for as long as it exists. Not reused.
//   bit 63      ephemeral: a clean session that never wrote an ATTACH; known to one run of one node only
//   bits 16-62  position of the ATTACH that created it (ephemeral: a counter)
//   bits 0-15   hash of (mountpoint, client id): the partition, and by that the shard thread
struct SessionId : StrongId<struct SessionIdTag, uint64_t> {
  using StrongId::StrongId;
  static constexpr uint64_t kEphemeralBit = uint64_t{1} << 63;
  constexpr bool ephemeral() const { return (value & kEphemeralBit) != 0; }
  constexpr uint16_t hash() const { return static_cast<uint16_t>(value); }
};

// One live network connection of this node; never reused within a run.
using ConnectionId = StrongId<struct ConnectionIdTag, uint64_t>;

// One run of one node of a cluster; greater than those of all runs that began before. 0: a node alone.
using NodeEpoch = StrongId<struct NodeEpochTag, uint64_t>;

// MQTT packet identifier, 1 to 65,535; 0 means "none".
using PacketId = StrongId<struct PacketIdTag, uint16_t>;

}  // namespace courier

template <typename Tag, typename Number>
struct std::hash<courier::StrongId<Tag, Number>> {
  size_t operator()(const courier::StrongId<Tag, Number>& id) const noexcept {
    return static_cast<size_t>(id.value * 0x9E3779B97F4A7C15ull);
  }
};
template <>
struct std::hash<courier::SessionId> {
  size_t operator()(const courier::SessionId& id) const noexcept {
    return static_cast<size_t>(id.value * 0x9E3779B97F4A7C15ull);
  }
};
