// Every bound of this folder that is not a setting. Each has a test that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace courier::admission {

// Places for sources: a megabyte, whoever comes. Sources whose hashes meet share one. See admission.h.
inline constexpr size_t kSourcePlaces = 65'536;
// So many a second are told at CONNECT that they are too many; telling costs what serving them would.
inline constexpr double kToldPerSecond = 100;

// Bans in force, some 300 bytes of memory each.
inline constexpr size_t kBansMax = 200'000;
// Of them, so many may be the broker's own: people find room when it is busy banning.
inline constexpr size_t kOwnBansMax = kBansMax / 2;
inline constexpr size_t kReasonBytesMax = 256;
inline constexpr size_t kMadeByBytesMax = 64;
// A user name or client id, as MQTT has them.
inline constexpr size_t kNameBytesMax = 65'535;
// The file of all bans.
inline constexpr size_t kBanFileBytesMax = 256 * 1024 * 1024;

// Client ids whose CONNECTs are counted for flapping: a megabyte, made when it is on.
inline constexpr size_t kFlappingSets = 8'192;
inline constexpr size_t kFlappingWays = 8;

}  // namespace courier::admission
