// The limits that the protocol itself sets, and one of ours. Those of configuration come in by DecodeLimits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::mqtt {

// A Variable Byte Integer has at most four bytes of seven bits. Section 1.5.5.
inline constexpr uint32_t kVariableByteIntegerMax = 268'435'455;
// One byte of type and flags, four of length, and what that length can count.
inline constexpr size_t kPacketSizeMax = 1 + 4 + size_t{kVariableByteIntegerMax};
// Strings and binary data have two bytes of length. Section 1.5.4, 1.5.6.
inline constexpr size_t kStringSizeMax = 65'535;

// Memory of messages that a thread let go of and keeps for its next ones.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr size_t kSpareMessageBytesMax = 0;  // a message used after its end is to be seen
#else
inline constexpr size_t kSpareMessageBytesMax = 1024 * 1024;
#endif

}  // namespace courier::mqtt
