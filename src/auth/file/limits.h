// What a password file may ask of the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::auth::file {

inline constexpr size_t kFileBytesMax = 64 * 1024 * 1024;
inline constexpr size_t kUsersMax = 500'000;
inline constexpr size_t kUserNameBytesMax = 1024;
inline constexpr size_t kPasswordBytesMax = 65'535;  // what a CONNECT can carry
// The cost of one hash: a file must not be able to take the machine's memory, or a worker for minutes.
inline constexpr uint32_t kMemoryKibMax = 256 * 1024;
inline constexpr uint32_t kPassesMax = 64;
inline constexpr uint32_t kLanesMax = 16;

}  // namespace courier::auth::file
