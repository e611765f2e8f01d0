// What a token and a set of keys may ask of the machine, and what is the least that a key must be.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::jose {

inline constexpr size_t kTokenBytesMax = 16 * 1024;  // the whole token, as text
inline constexpr size_t kHeaderBytesMax = 4 * 1024;  // its first part, as text
inline constexpr size_t kKeyIdBytesMax = 256;
inline constexpr size_t kJsonDepthMax = 16;

inline constexpr size_t kKeySetBytesMax = 1024 * 1024;
inline constexpr size_t kKeysMax = 256;
// Keys that one token may make us try, when it does not say which one signed it.
inline constexpr size_t kKeysTriedMax = 8;
inline constexpr size_t kSecretBytesMax = 64 * 1024;

inline constexpr int kRsaBitsMin = 2048;  // RFC 7518, section 3.3
inline constexpr int kRsaBitsMax = 8192;  // a verification then still takes well below a millisecond

// 9999-12-31T23:59:59Z. Beyond it a time is a mistake: mostly milliseconds where seconds should be.
inline constexpr int64_t kNumericDateMax = 253'402'300'799;

}  // namespace courier::jose
