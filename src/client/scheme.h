// What may be spoken with a server, as URLs name it: mqtt://, mqtts://, ws://, wss://. Words only: who makes
// the transports is told by ClientSetup::transport.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace courier::client {

enum class Scheme : uint8_t { mqtt, mqtts, ws, wss };

constexpr bool over_tls(Scheme scheme) {
  return scheme == Scheme::mqtts || scheme == Scheme::wss;
}
constexpr bool over_websocket(Scheme scheme) {
  return scheme == Scheme::ws || scheme == Scheme::wss;
}

constexpr std::string_view name(Scheme scheme) {
  constexpr std::array<std::string_view, 4> kNames = {"mqtt", "mqtts", "ws", "wss"};
  return kNames[static_cast<size_t>(scheme)];
}

constexpr std::optional<Scheme> scheme_of(std::string_view word) {
  for (const Scheme scheme : {Scheme::mqtt, Scheme::mqtts, Scheme::ws, Scheme::wss}) {
    if (word == name(scheme)) return scheme;
  }
  return std::nullopt;
}

// Those of MQTT and of HTTP.
constexpr uint16_t default_port(Scheme scheme) {
  constexpr std::array<uint16_t, 4> kPorts = {1883, 8883, 80, 443};
  return kPorts[static_cast<size_t>(scheme)];
}

}  // namespace courier::client
