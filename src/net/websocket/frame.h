// The bytes of one WebSocket frame's header, and the mask. Pure. RFC 6455, section 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "net/websocket/errc.h"

namespace courier::net::websocket {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline bool is_control(Opcode opcode) {
  return static_cast<uint8_t>(opcode) >= 8;
}

// Four bytes as they stand on the wire.
using Mask = uint32_t;

struct FrameHeader {
  Opcode opcode = Opcode::binary;
  bool final = true;
  std::optional<Mask> mask;
  uint64_t payload_bytes = 0;
  size_t size = 0;  // bytes of the header

  bool operator==(const FrameHeader&) const = default;
};

// Everything so far fits a header.
struct FrameNeedMore {};
// Static text.
struct FrameViolation {
  errc code = errc::bad_frame;
  std::string_view what;
};

using FrameDecoded = std::variant<FrameNeedMore, FrameHeader, FrameViolation>;

// Decodes the header at the front of `bytes`. Refused, as soon as the byte that shows it has come: reserved
// bits, unknown opcodes, lengths that are not in the shortest form or beyond 2^63, control frames that are
// long or in fragments. Whether a mask must be there is for whoever knows the roles.
FrameDecoded decode_frame_header(std::string_view bytes);

// The header of a final frame.
void append_frame_header(Opcode opcode, uint64_t payload_bytes, std::optional<Mask> mask, std::string& wire);

// Masks or unmasks in place. Returns the mask for the byte that comes next, so that payload may come in
// pieces.
Mask apply_mask(std::span<char> payload, Mask mask);

// Whether a close frame may carry this status. RFC 6455, section 7.4, and the IANA registry.
bool is_close_status(uint16_t status);

}  // namespace courier::net::websocket
