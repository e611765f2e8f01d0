// Every bound of this folder that is not a setting. Each has a test that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::net::websocket {

// The head of the upgrade request or of its answer, up to and with the empty line: what a stranger may make
// us hold.
inline constexpr size_t kHeadBytesMax = 6 * 1024;
// Two bytes, eight of length, four of mask.
inline constexpr size_t kFrameHeaderBytesMax = 14;
// Payload of ping, pong and close. RFC 6455, section 5.5.
inline constexpr size_t kControlBytesMax = 125;
// What of the peer's own text is repeated in a sentence of ours.
inline constexpr size_t kQuotedBytesMax = 80;

// Defaults of settings: payload goes on as it comes, so a large frame costs nothing, and the packet limit of
// the layer above is what bounds memory.
inline constexpr uint32_t kFrameBytesMaxDefault = 16 * 1024 * 1024;
inline constexpr uint32_t kMessageBytesMaxDefault = 64 * 1024 * 1024;

}  // namespace courier::net::websocket
