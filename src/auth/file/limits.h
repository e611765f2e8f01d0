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
// SCRAM: RFC 7677 asks for 4,096 at least; the client has to do them, too.
inline constexpr uint32_t kScramIterationsMin = 4'096;
inline constexpr uint32_t kScramIterationsMax = 1'000'000;
inline constexpr size_t kScramMessageBytesMax = 4'096;
inline constexpr size_t kScramNonceBytesMax = 256;

}  // namespace courier::auth::file
